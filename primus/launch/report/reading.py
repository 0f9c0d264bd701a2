"""A run as a report shows it, read from its run directory. Nothing here decides how it looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from primus.launch import closing
from primus.launch.config.terms.model import Model
from primus.launch.record import files, tail
from primus.launch.replaying import sound
from primus.launch.report.curves import Curve, curves
from primus.launch.results import Row, baseline, rows
from primus.launch.results.baseline import Baseline
from primus.launch.snapshot import REVISION
from primus.node import rundir
from primus.node.plan import Plan, from_json
from primus.node.typed import DataError, read

_TRAINS = ("train/", "benchmark/train")


@dataclass(frozen=True)
class Run:
    """One run: what was planned, what the nodes found, how it ended, and its metrics by name.

    `metrics` are those of the rank that reports the loss; `hosts` those of each node. `result` is empty while it runs.
    """

    directory: Path
    plan: Plan
    config: str
    nodes: dict[int, dict[str, Any]]
    revision: dict[str, Any]
    result: dict[str, Any]
    metrics: dict[str, Curve]
    hosts: dict[int, dict[str, Curve]]
    last_words: list[str]
    results: dict[str, list[Row]]
    baseline: Baseline | None

    @property
    def name(self) -> str:
        """The id of the run; a job of a sweep is `<sweep>/<index>`."""
        return f"{self.plan.sweep}/{self.plan.run_id}" if self.plan.sweep else self.plan.run_id

    @property
    def status(self) -> str:
        """FINISHED, FAILED, KILLED or RUNNING."""
        return str(self.result.get("status", "RUNNING"))

    @property
    def node(self) -> dict[str, Any]:
        """What the first node found."""
        return self.nodes.get(0, {})

    @cached_property
    def model(self) -> Model | None:
        """The model, of a run that has one; None also where it was stated in the terms of another Primus."""
        try:
            return read(Model, self.plan.config["model"]) if self.plan.task.startswith(_TRAINS) else None
        except (KeyError, DataError):
            return None

    @property
    def started(self) -> float | None:
        """When the job was started, in seconds since the epoch."""
        return self.result.get("started") or self.node.get("time")

    @property
    def seconds(self) -> float | None:
        """How long the whole job took."""
        started, ended = self.result.get("started"), self.result.get("ended")
        return ended - started if started and ended else None

    @property
    def start_up(self) -> float | None:
        """Seconds from the start of the job to the end of its first step, which compiles where there is a compiler."""
        if "loss" not in self.metrics or self.started is None:
            return None
        return next((time - self.started for time in self.metrics["loss"].times if time >= self.started), None)


def run(directory: Path) -> Run:
    """Read a run directory. Raises OSError and ValueError for one without a plan that can be read."""
    result = sound.result(files.read_json(directory / rundir.RESULT) or None) or {}
    log = (result.get("root_cause") or {}).get("log")
    config = files.own(directory, rundir.CONFIG)
    return Run(
        directory=directory,
        plan=from_json((directory / rundir.PLAN).read_text(encoding="utf-8")),
        config=config.read_text(encoding="utf-8") if config else "",
        nodes={node: sound.node(report) for node, report in files.node_reports(directory).items()},
        revision=files.read_json(directory / REVISION),
        result=result,
        metrics=_rank_metrics(directory),
        hosts={node: curves(_lines(path)) for node, path in files.host_files(directory).items()},
        last_words=closing.last_words(directory, str(log)) if log else [],
        results=rows.read(directory),
        baseline=baseline.of(directory),
    )


def _rank_metrics(directory: Path) -> dict[str, Curve]:
    paths = files.rank_files(directory)
    main = files.main_rank({rank: tail.last_objects(path) for rank, path in paths.items()})
    return curves(_lines(paths[main])) if main in paths else {}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The sound lines of a metrics file, piece by piece: a long run has millions."""
    position = tail.Position()
    while lines := tail.read(path, position, over=True):
        yield from (line.value for line in lines if line.value)
        position = lines[-1].after
