"""The report of one run: its figures, its curves, and why it failed if it did. Pure, from what was read."""

import re
from collections.abc import Mapping, Sequence

from primus.launch import closing
from primus.launch.diagnosis import words
from primus.launch.report import facts
from primus.launch.report.charts import Chart, Clock, Line, clock, line, line_chart
from primus.launch.report.curves import Curve, at_steps, spread
from primus.launch.report.page import Charts, Facts, Page, Section, Text
from primus.launch.report.reading import Run
from primus.launch.results import sections as results

GIB = 1 / 2**30
_ALONE = 8
"""Curves of GPUs or hosts that are drawn each by itself; of more, the lowest, the median and the highest."""
_POINTS = 500
"""Stretches of time into which those are put."""
_OTHERS = 12
"""Charts of metrics that a program reports under names of its own, at most."""
_TOLD = {
    *("loss", "validation_loss", "validation_perplexity", "lr", "grad_norm", "step_time", "memory_peak", "mfu"),
    *("tokens", "tokens_per_second", "tokens_per_second_per_device"),
}


def page(run: Run) -> Page:
    """The report of a run."""
    sections: list[Section] = []
    if run.status not in ("FINISHED", "RUNNING"):
        sections += [_failure(run)]
        if likely := words.lines(run.result.get("diagnosis") or {}, (run.result.get("root_cause") or {}).get("rank")):
            sections += [Text("Diagnosis", "\n".join(likely))]
    if run.results or run.baseline:
        sections += results.of_run(run.plan.task, run.results, run.baseline)
    sections += [Facts("What ran", facts.facts(run))]
    if rows := facts.figures(run):
        sections += [Facts("Figures", rows)]
    if charts := [*_training(run), *_others(run)]:
        sections += [Charts("Training" if "loss" in run.metrics else "Metrics", charts)]
    if charts := _hosts(run):
        sections += [Charts("Hosts", charts)]
    if run.config:
        sections += [Text("Config", run.config, folded=True)]
    return Page(title(run), run.status, facts.summary(run), sections)


def title(run: Run) -> str:
    """The experiment and the run."""
    return f"{(run.plan.config.get('experiment') or {}).get('name', '')} {run.name}".strip()


def length(run: Run) -> float:
    """Seconds from the start of a run to its last metrics."""
    ends = [curve.times[-1] for host in (run.metrics, *run.hosts.values()) for curve in host.values()]
    return max(ends) - run.started if ends and run.started is not None else 0.0


def loss_lines(run: Run, metric: str, name: str, longest: float, style: int = 0) -> list[Line]:
    """A loss over steps, tokens and time since the start of its run; none where it was not reported.

    `longest`: seconds that the longest run on the same axis takes.
    """
    curve = run.metrics.get(metric)
    if curve is None:
        return []
    over: dict[str, Sequence[float | None]] = {"step": curve.steps}
    if "tokens" in run.metrics:
        over["tokens"] = at_steps(curve.steps, run.metrics["tokens"])
    since = clock(run.started if run.started is not None else curve.times[0], longest)
    over[since.unit] = since.read(curve.times)
    return [Line(name, curve.values, over, style)]


def _failure(run: Run) -> Text:
    lines = str(run.result.get("message") or "no rank said why").split("; ")
    if cause := run.result.get("root_cause"):
        lines = [closing.first_to_fail(cause), "", *run.last_words, "", f"its whole log: {cause.get('log')}"]
    return Text("Why it failed" if run.status == "FAILED" else "Why it ended", "\n".join(lines))


def _training(run: Run) -> list[Chart]:
    charts = []
    names = ("loss", "validation_loss")
    if losses := [one for n, m in enumerate(names) for one in loss_lines(run, m, m.replace("_", " "), length(run), n)]:
        charts += [line_chart("Loss", "nats per token", losses, wide=True)]
    for metric, name, unit, scale in (
        ("tokens_per_second", "Tokens per second", "tokens/s", 1.0),
        ("mfu", "Model FLOPs utilisation", "% of the peak", 100.0),
        ("memory_peak", "Memory, peak", "GiB", GIB),
        ("lr", "Learning rate", "", 1.0),
        ("grad_norm", "Gradient norm", "", 1.0),
    ):
        if metric in run.metrics:
            one = line(name, run.metrics[metric], scale)
            charts += [line_chart(name, unit, [one], zero=metric != "grad_norm")]
    return charts


def _others(run: Run) -> list[Chart]:
    names = sorted(name for name in run.metrics if name not in _TOLD)
    return [line_chart(name, "", [line(name, run.metrics[name])]) for name in names[:_OTHERS]]


def _hosts(run: Run) -> list[Chart]:
    """How busy hosts and GPUs were, from runs that were long enough to be sampled more than once."""
    start = run.started
    if start is None or all(len(curve.values) < 2 for host in run.hosts.values() for curve in host.values()):
        return []
    since, charts = clock(start, length(run)), []
    for title, unit, scale, groups in (
        ("Utilisation", "%", 1.0, (("CPU", "cpu_percent"), ("GPU", "gpu*_utilization_percent"))),
        ("Memory in use", "GiB", GIB, (("host", "memory_used"), ("GPU", "gpu*_memory_used"))),
        ("Power of the GPUs", "W", 1.0, (("GPU", "gpu*_power_watts"),)),
    ):
        lines: list[Line] = []
        for word, metric in groups:
            lines += _group(word, _members(run.hosts, metric), scale, len(lines), since)
        charts += [line_chart(title, unit, lines, zero=True)] if lines else []
    return charts


def _members(hosts: Mapping[int, Mapping[str, Curve]], metric: str) -> dict[str, Curve]:
    """The curves of a metric of the hosts, or of their GPUs (`gpu*_power_watts`), by node and GPU."""
    pattern = re.compile(metric.replace("*", r"(\d+)"))
    found = {}
    for node, curves in hosts.items():
        for name, curve in curves.items():
            if match := pattern.fullmatch(name):
                found[" ".join([*match.groups(), *([f"of node {node}"] if len(hosts) > 1 else [])])] = curve
    return found


def _group(word: str, members: Mapping[str, Curve], scale: float, style: int, since: Clock) -> list[Line]:
    if len(members) > _ALONE:
        drawn = spread(list(members.values()), _POINTS)
        members = dict(zip((", lowest", ", median", ", highest"), drawn, strict=True))
    return [
        line(f"{word} {name}".strip().replace(" ,", ","), curve, scale, style + n, since)
        for n, (name, curve) in enumerate(members.items())
    ]
