"""One job from plan to record: write, start, follow, end, say what happened."""

import contextlib
import json
import os
import select
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from primus.launch import attempts, closing, handle, readiness, rundirectory, snapshot
from primus.launch.config.request import Request
from primus.launch.place import Place
from primus.launch.problems import INTERRUPTED
from primus.launch.replaying.original import Original
from primus.launch.running import Agent, Recorder
from primus.node import rundir
from primus.node.plan import Code, Plan

_TICK = 0.1
"""Seconds between two looks at the metrics."""

LONGEST_LINE = 1 << 20
"""Bytes of one line on the console."""


@dataclass(frozen=True)
class Ended:
    """How a job ended: the exit code of the command, and the last loss for a sweeper that optimises it."""

    exit_code: int
    loss: float | None


def single(plan: Plan, request: Request, place: Place, secrets: Mapping[str, str], original: Original | None) -> Ended:
    """Run one job on this machine, attached. Raises Complaint before anything is started."""
    if original:
        from primus.launch.replaying import drift

        drift.report(original, plan, place, request.replay_strict)
    readiness.check(plan, place)
    resumes = original is not None and original.purpose == "resume"
    with Interrupts() as interrupts, attempts.opened(plan, again=resumes) as directory:
        handle.write(directory, handle.ours(request.runtime["name"]))
        agent = Agent(plan, directory, secrets)
        interrupts.forward_to(agent)
        asking_git = threading.Thread(target=_snapshot, args=(plan.code, directory))  # slow on a large tree
        asking_git.start()
        recorder = _follow(agent, plan, request)
        asking_git.join()
        before = interrupts.count
        result = agent.finish(before > 0)
        complete = recorder.finish(lambda: interrupts.count > before) if recorder else _report(directory)
    closing.say(plan, request, result, complete)
    exit_code = INTERRUPTED if before else int(str(result["exit_code"]))
    return Ended(exit_code, closing.loss(result))


def _snapshot(code: Code, directory: Path) -> None:
    """The code as it is now; a disk that is full by then costs this record of it, not the job."""
    try:
        snapshot.take(code, directory)
    except OSError as error:
        rundirectory.log(directory, "WARN", f"the changes on top of the git commit are not kept: {error}")


def _report(directory: Path) -> bool:
    """What the recorder does beside its record, of a run that is not recorded."""
    from primus.launch.report import writing

    writing.of_run(directory)
    return True


def _follow(agent: Agent, plan: Plan, request: Request) -> Recorder | None:
    """Show the job until it ends. The recorder starts once the ranks have: its imports would slow their start."""
    from primus.launch.progress import display

    def record() -> Recorder | None:
        return Recorder(agent.directory, tracking_uri(request), request.tracking.wait) if wanted else None

    wanted, recorder = request.tracking.enabled, None
    screen = display(plan.config["task"].get("steps"))
    metrics, lines = NewestMetrics(agent.directory), Lines()
    try:
        while (data := agent.read(_TICK)) != b"":
            if data:
                screen.lines(lines.feed(data))
            recorder = recorder or (record() if _ranks_started(agent.directory) else None)
            newest = metrics.read()
            if newest:
                screen.metrics(newest)
    finally:
        screen.lines(lines.rest())
        screen.close()
    return recorder or record()


def tracking_uri(request: Request) -> str | None:
    """The MLflow tracking URI that was asked for; None: sqlite under the output root."""
    return request.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")


def _ranks_started(directory: Path) -> bool:
    return (directory / rundir.node_facts(0)).is_file()


class Lines:
    """Whole lines out of pieces of bytes; one that is longer than LONGEST_LINE in several, its log has it whole."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[str]:
        *whole, last = data.split(b"\n")
        for line in whole:
            self._parts.append(line)
            yield self._taken().rstrip("\r")
        self._parts.append(last)
        self._size += len(last)
        if self._size > LONGEST_LINE:
            yield self._taken()

    def rest(self) -> Iterator[str]:
        if self._size:
            yield self._taken()

    def _taken(self) -> str:
        text = b"".join(self._parts).decode("utf-8", "replace")
        self._parts.clear()
        self._size = 0
        return text


class NewestMetrics:
    """The newest line of the metrics file that holds the loss, read as it grows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "metrics"
        self._offsets: dict[Path, int] = {}

    def read(self) -> dict[str, Any] | None:
        newest = None
        with contextlib.suppress(OSError):
            for path in self._directory.glob("rank-*.jsonl"):
                newest = self._last_of(path) or newest
        return newest

    def _last_of(self, path: Path) -> dict[str, Any] | None:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            whole, newline, _ = file.read().rpartition(b"\n")
        if not newline:
            return None
        self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(whole.rpartition(b"\n")[2])
            return line if isinstance(line, dict) else None
        return None


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP while a job runs: handed on to its agent, counted, and never a traceback."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self._agents: list[Agent] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [number for number in self._SIGNALS if not (under_nohup and number == signal.SIGHUP)]
        self._before = {number: signal.signal(number, self._take) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt where one has come: the last moment at which nothing need be ended."""
        if self.count:
            raise KeyboardInterrupt

    def forward_to(self, agent: Agent) -> None:
        """From now on this agent gets the signals too; one that came before is handed on at once."""
        self._agents.append(agent)
        for number in (signal.SIGINT, signal.SIGTERM)[: self.count]:
            agent.signal(number)

    def _take(self, number: int, _: object) -> None:
        self.count += 1
        if self.count == 2:  # another signal: of two alike in quick succession a process may see one
            number = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
        for agent in self._agents:
            agent.signal(number)
        if self.count == 1:
            _tell(b"\nprimus: ending the job in good order; once more to end it at once\n")


def _tell(text: bytes) -> None:
    """Write to stderr from a signal's handler: not through a stream in mid-write, nor to a terminal that is stuck."""
    with contextlib.suppress(OSError):  # a terminal that is gone
        if select.select([], [2], [], 0)[1]:
            os.write(2, text)
