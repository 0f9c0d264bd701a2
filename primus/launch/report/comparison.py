"""The report that sets runs beside each other: the jobs of a sweep, or any others. Pure, from what was read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from primus.launch.report import facts, job, words
from primus.launch.report.charts import Chart, bar_chart, line_chart, point_chart
from primus.launch.report.curves import START_UP_STEPS, steady
from primus.launch.report.differences import Differences, between
from primus.launch.report.page import Cell, Charts, Page, Section, Table
from primus.launch.report.reading import Run
from primus.launch.results import beside

_BARS = 20
"""Runs up to which bars are drawn; of more the table tells better."""


@dataclass(frozen=True)
class Figure:
    """One number of each run: how to get it, how to say it, and whether the lowest or the highest is the best."""

    name: str
    of: Callable[[Run], float | None]
    say: Callable[[float | None], str]
    best: Callable[[Sequence[float]], float] | None = None


def _last(metric: str) -> Callable[[Run], float | None]:
    return lambda run: run.metrics[metric].values[-1] if metric in run.metrics else None


def _steady(metric: str) -> Callable[[Run], float | None]:
    return lambda run: steady(run.metrics[metric]) if metric in run.metrics else None


def _step(run: Run) -> float | None:
    return run.metrics["loss"].steps[-1] if "loss" in run.metrics else run.result.get("step")


def _memory(run: Run) -> float | None:
    return max(run.metrics["memory_peak"].values) if "memory_peak" in run.metrics else None


SPEED = Figure("tokens/s", _steady("tokens_per_second"), words.amount, max)
MFU = Figure("MFU", _steady("mfu"), words.percent, max)
MEMORY = Figure("memory, peak", _memory, words.gibibytes, min)
START_UP = Figure("start-up", lambda run: run.start_up, words.duration, min)
LOSS = Figure("loss", _last("loss"), words.decimals, min)
VALIDATION = Figure("validation loss", _last("validation_loss"), words.decimals, min)
FIGURES = (
    Figure("last step", _step, words.amount),
    LOSS,
    VALIDATION,
    SPEED,
    MFU,
    MEMORY,
    START_UP,
    Figure("duration", lambda run: run.seconds, words.duration),
    Figure("parameters", lambda run: run.model.parameters if run.model else None, words.amount),
)


def page(title: str, status: str, runs: Sequence[Run], left_out: int = 0) -> Page:
    """The comparison. `left_out`: jobs of a sweep that were never started."""
    found = between([run.plan for run in runs], [run.name for run in runs]) if runs else Differences((), (), (), ())
    said = [f"{len(runs)} run{'s' * (len(runs) != 1)}" + (f", {left_out} never started" if left_out else "")]
    said += [f"differing in {', '.join(found.keys)}"] if found.keys else []
    said += [f"all with {' '.join(found.shared)}"] if found.shared else []
    sections: list[Section] = []
    if runs:
        sections += [_results(runs, found)]
        if charts := [*_losses(runs, found), *_against(runs, found), *_bars(runs, found)]:
            sections += [Charts("Curves", charts)]
        sections += beside.sections([(run.plan.task, run.results) for run in runs], found)
        sections += [_places(runs, found)]
    return Page(title, status, " · ".join(said), sections)


def best(figure: Figure, values: Sequence[float | None], runs: Sequence[Run]) -> float | None:
    """The best value: of runs that finished and came equally far, where these do not all read the same."""
    steps = {_step(run) for run in runs if run.status == "FINISHED"}
    known = [v for v, run in zip(values, runs, strict=True) if v is not None and run.status == "FINISHED"]
    comparable = len(steps) == 1 or figure not in (LOSS, VALIDATION)
    return figure.best(known) if figure.best and comparable and len({figure.say(v) for v in known}) > 1 else None


def _results(runs: Sequence[Run], found: Differences) -> Table:
    columns = []
    for figure in FIGURES:
        values = [figure.of(run) for run in runs]
        if any(value is not None for value in values):
            value = best(figure, values, runs)
            columns += [(figure, [figure.say(v) for v in values], "" if value is None else figure.say(value))]
    rows = [
        [Cell(found.names[n]), Cell(run.status.lower(), run.status.lower())]
        + [Cell(said[n], "best" if said[n] == winner else "") for _, said, winner in columns]
        for n, run in enumerate(runs)
    ]
    note = (
        f"tokens/s and MFU: median of the steps after the first {START_UP_STEPS}. start-up: from the start of the job"
        " to the end of its first step. Best values are marked, those of losses only where all came equally far."
    )
    return Table("Results", ["", "status", *(figure.name for figure, *_ in columns)], rows, note, left=(1,))


def _losses(runs: Sequence[Run], found: Differences) -> list[Chart]:
    charts, longest = [], max(map(job.length, runs))
    for metric, title in (("loss", "Loss"), ("validation_loss", "Validation loss")):
        lines = [one for n, run in enumerate(runs) for one in job.loss_lines(run, metric, found.names[n], longest, n)]
        charts += [line_chart(title, "nats per token", lines, wide=True)] if lines else []
    return charts


def _against(runs: Sequence[Run], found: Differences) -> list[Chart]:
    """The last loss over every swept number; points are joined where nothing else differs."""
    charts = []
    for key in found.keys:
        numbers = found.numbers(key)
        if numbers is None:
            continue
        series = []
        for figure in (LOSS, VALIDATION):
            pairs = sorted((x, y) for x, run in zip(numbers, runs, strict=True) if (y := figure.of(run)) is not None)
            series += [(f"last {figure.name}", [x for x, _ in pairs], [y for _, y in pairs])] if pairs else []
        charts += (
            [point_chart(f"Loss against {key}", key, "nats per token", series, joined=len(found.keys) == 1)]
            if series
            else []
        )
    return charts


def _bars(runs: Sequence[Run], found: Differences) -> list[Chart]:
    charts: list[Chart] = []
    if len(runs) > _BARS:
        return charts
    for figure, title, unit, scale in (
        (SPEED, "Throughput", "tokens/s", 1.0),
        (MFU, "Model FLOPs utilisation", "% of the peak", 100.0),
        (MEMORY, "Memory, peak", "GiB", job.GIB),
        (START_UP, "Start-up, to the end of the first step", "seconds", 1.0),
    ):
        values = [figure.of(run) for run in runs]
        bars = [
            (found.names[n], None if value is None else scale * value, figure.say(value), n)
            for n, value in enumerate(values)
        ]
        charts += [bar_chart(title, unit, bars)] if any(value is not None for value in values) else []
    return charts


def _places(runs: Sequence[Run], found: Differences) -> Table:
    """With what and where each ran."""
    keys = [(n, key) for n, key in enumerate(found.keys) if key != "backend"]  # its version is told anyway
    head = ["", "run", *(key for _, key in keys), "backend", "devices", "ranks", "versions", "git commit"]
    said = (facts.backend, facts.devices, facts.ranks, facts.versions, facts.commit)
    rows = [
        [found.names[n], run.name, *(found.values[n][k] for k, _ in keys), *(say(run) for say in said)]
        for n, run in enumerate(runs)
    ]
    told = [n for n, name in enumerate(head) if not name or any(row[n] for row in rows)]
    cells = [[Cell(row[n]) for n in told] for row in rows]
    return Table("What ran", [head[n] for n in told], cells, words=True)
