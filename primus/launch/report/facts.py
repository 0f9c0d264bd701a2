"""A run in words: what ran, where, and what it came to. Pure, from what was read."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from primus.launch.record import content
from primus.launch.report import words
from primus.launch.report.curves import Curve, steady
from primus.launch.report.reading import Run

_VERSIONS = ("torch", "jax", "transformer-engine", "flash-attn")
"""Packages of the ranks' interpreter that say much about a result, beside that of the backend; packages.txt has all."""


def summary(run: Run) -> str:
    """The run in one line: what, with what, on what, how long."""
    seconds = words.duration(run.seconds) if run.seconds is not None else ""
    model = run.model.name if run.model else ""
    return " · ".join(part for part in (run.plan.task, model, backend(run), devices(run), seconds) if part)


def figures(run: Run) -> list[tuple[str, str]]:
    """The final figures, of a run that reported any."""

    def median(say: Callable[[float | None], str]) -> Callable[[Curve], str]:
        return lambda curve: f"{say(steady(curve))} (median)"

    told: list[tuple[str, str, Callable[[Curve], str]]] = [
        ("last step", "loss", lambda curve: words.amount(curve.steps[-1])),
        ("tokens seen", "tokens", lambda curve: words.amount(curve.values[-1])),
        ("loss", "loss", _fall),
        ("validation loss", "validation_loss", _fall),
        ("validation perplexity", "validation_perplexity", lambda curve: words.decimals(curve.values[-1], 2)),
        ("tokens/s", "tokens_per_second", median(words.amount)),
        ("tokens/s per device", "tokens_per_second_per_device", median(words.amount)),
        ("MFU", "mfu", median(words.percent)),
        ("step time", "step_time", median(lambda value: f"{value:.3f} s")),
        ("memory, peak", "memory_peak", lambda curve: words.gibibytes(max(curve.values))),
    ]
    rows = [(name, say(run.metrics[metric])) for name, metric, say in told if metric in run.metrics]
    return rows + ([("start to end of first step", words.duration(run.start_up))] if run.start_up is not None else [])


def facts(run: Run) -> list[tuple[str, str]]:
    """What ran: where, from which source, with which versions."""
    plan = run.plan
    hosts = [str(node["host"]) for node in run.nodes.values() if node.get("host")]
    rows = [
        ("model", f"{run.model.name}, {words.size(run.model.parameters)} parameters" if run.model else ""),
        ("backend", backend(run)),
        ("devices", devices(run)),
        ("ranks", ranks(run)),
        ("hosts", ", ".join(hosts[:8]) + (f" and {len(hosts) - 8} more" if len(hosts) > 8 else "")),
        ("versions", versions(run)),
        ("git commit", commit(run)),
        ("overrides", shlex.join(plan.overrides) or "none"),
        ("started", words.moment(run.started)),
        ("restarts", restarts(run)),
        ("duration", words.duration(run.seconds)),
        ("exit code", str(run.result.get("exit_code", "-"))),
        ("replay of", plan.replay_of or ""),
        ("run directory", str(run.directory)),
        ("run again", f"primus replay={shlex.quote(str(run.directory))}"),
    ]
    return [(name, value) for name, value in rows if value]


def backend(run: Run) -> str:
    """The framework and its version."""
    return " ".join(filter(None, [run.plan.backend, _tag(run, "backend_version")]))


def devices(run: Run) -> str:
    """The devices of a node, and on how many nodes."""
    device = _tag(run, "device")
    return f"{run.plan.job.nodes} nodes of {device}" if device and run.plan.job.nodes > 1 else device


def ranks(run: Run) -> str:
    """How many ranks, and how they share the work."""
    world = run.node.get("world_size")
    parallel = [f"{name} {degree}" for name, degree in run.plan.job.parallel.items() if degree > 1]
    return ", ".join([str(world), *parallel]) if world else ""


def versions(run: Run) -> str:
    """Python, the driver and the packages that say most, as the ranks had them."""
    node = run.node
    packages = node.get("packages") or {}
    interpreter = node.get("interpreter")
    python = interpreter.get("version") if isinstance(interpreter, dict) else None
    driver = (node.get("devices") or {}).get("driver")
    found = [("python", python or node.get("python")), ("driver", driver)]
    found += [(name, packages.get(name)) for name in _VERSIONS]
    return ", ".join(f"{name} {version}" for name, version in found if version)


def restarts(run: Run) -> str:
    """After which failures the ranks were started again, in the words of the first node; of others, how often."""
    starts = run.node.get("starts") or []
    told = run.result.get("restarts") or run.node.get("restarts")
    count = told if isinstance(told, int) and isinstance(starts, list) else 0  # a stranger's files may hold anything
    known = [start for start in starts[:count] if isinstance(start, dict)] if count else []
    after = [f"{start.get('message') or start.get('status')}{_at(start)}" for start in known]
    return f"{count}, after: {'; '.join(after)}" if count else ""


def _at(start: Mapping[str, Any]) -> str:
    return "" if start.get("step") is None else f" (step {start['step']})"


def commit(run: Run) -> str:
    """The git commit, and whether the source was changed on top of it."""
    if not run.plan.code.commit:
        return ""
    return run.plan.code.commit[:12] + (" with changes" if run.revision.get("dirty") else "")


def _tag(run: Run, name: str) -> str:
    return content.report_tags(run.plan, run.node, run.revision).get(f"primus.{name}", "")


def _fall(curve: Curve) -> str:
    first, last = curve.values[0], curve.values[-1]
    if len(curve.values) == 1:
        return words.decimals(last)
    return f"{words.decimals(last)} (first {words.decimals(first)}, lowest {words.decimals(min(curve.values))})"
