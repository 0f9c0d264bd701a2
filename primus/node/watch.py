"""The ranks of a node from start to outcome, and what runs beside them."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence

from primus.node import host, process, rundir
from primus.node.asked import Asked
from primus.node.console import Console, Show, prefixed
from primus.node.ending import Requests
from primus.node.facts import Facts
from primus.node.load import Load
from primus.node.loop import Loop
from primus.node.outcome import Outcome, RankEnd, by_request, judge, unfit
from primus.node.output import Output
from primus.node.packages import ask_packages, known
from primus.node.prepare import Prepared
from primus.node.secrets import redactor
from primus.node.sidecar import Sidecar
from primus.node.supervise import Supervisor

if TYPE_CHECKING:
    from primus.node.watchdog import Watchdog

# Seconds between SIGTERM and SIGKILL for processes that the ranks left behind, after the last rank has ended.
_LEFT_BEHIND = 1.0
# Seconds that the end of a job waits for the ranks' interpreter to name its packages: it had the whole job for it.
_PACKAGES = 2.0
# Seconds after the end of the last rank in which a signal to the agent still counts as what ended the ranks.
_REQUEST = 0.5

Say = Callable[[str, str], None]


class Watch:
    """Starts what was prepared, and serves the loop around it. `metrics_interval` is in seconds, 0 for none."""

    def __init__(
        self,
        directory: Path,
        metrics_interval: float,
        loop: Loop,
        ranks: Supervisor,
        requests: Requests,
        facts: Facts,
        say: Say,
        make_dog: "Callable[[], Optional[Watchdog]]" = lambda: None,
    ) -> None:
        self._directory, self._metrics_interval = directory, metrics_interval
        self._loop, self._ranks, self._requests = loop, ranks, requests
        self._facts, self._say, self._make_dog = facts, say, make_dog
        self._dog: Optional[Watchdog] = None
        self._console = Console(loop)
        self._knows_packages = False

    def run(self, part: Prepared, beside: Sequence[int] = ()) -> Outcome:
        """Start, watch, and clean up after, all ranks of this node; processes that hooks left running are `beside`, and
        stay. May be called again, once it has returned.
        """
        process.adopt_orphans()
        memory_ran_out = host.out_of_memory_kills()
        trouble = self._start_ranks(part)
        asked = Asked(self._directory, part.world.node_rank, self._loop, self._ranks, self._say)
        self.look_away()
        self._dog = self._make_dog()
        if self._dog:
            self._dog.start([command.rank for command in part.commands])
        packages = None if trouble or self._knows_packages else self._ask_packages(part)
        self._facts.write()
        load = self._watch_load(part)
        self._wait(packages)
        asked.close()
        for helper in (packages, load):
            if helper:
                helper.stop()
        self._end_left_behind([helper.pid for helper in (packages, load and load.smi) if helper], beside)
        ends = self._ranks.finish()
        hung = self._dog.over(ends) if self._dog else None
        self._await_request(ends)
        self._console.finish()
        memory_ran_out = host.out_of_memory_kills() - memory_ran_out
        memory = host.memory_now() if memory_ran_out else None
        ended = judge(ends, self._requests.reason, self._requests.code, memory_ran_out > 0, memory)
        return trouble or hung or ended

    def look_away(self) -> None:
        """The ranks of all nodes are over: that nothing moves is no hang any more."""
        if self._dog:
            self._dog.close()
            self._dog = None

    def show(self, text: str) -> None:
        """Show a line of the agent's own."""
        self._console.show(text.encode(errors="replace"))
        self._console.finish()

    def _start_ranks(self, part: Prepared) -> Optional[Outcome]:
        secrets = part.secrets
        redact = redactor(secrets)
        overlap = max((len(os.fsencode(secret)) for secret in secrets), default=0)
        for command in part.commands:
            source = f"{host.name()} r{command.rank}"
            output = Output(source, str(self._directory / command.log), redact, overlap, self._show(part, command.rank))
            try:
                self._ranks.start(command, output)
            except (OSError, ValueError) as error:
                self._ranks.kill()
                return unfit(_cannot_start(command.argv[0], command.directory, error))
        return None

    def _show(self, part: Prepared, rank: int) -> Optional[Show]:
        if rank not in part.shown:
            return None
        return self._console.show if len(part.shown) == 1 else prefixed(self._console.show, rank)

    def _ask_packages(self, part: Prepared) -> Optional[Sidecar]:
        command = part.commands[0]
        told = known(command.argv, command.environ, command.directory)
        if told:
            self._knows_packages = True
            self._facts.interpreter(told)
            return None

        def answer(told: "dict[str, object]") -> None:
            self._knows_packages = True
            self._facts.interpreter(told)
            self._facts.write()

        return ask_packages(self._loop, command.argv, command.environ, command.directory, answer)

    def _watch_load(self, part: Prepared) -> Optional[Load]:
        interval = self._metrics_interval
        if interval <= 0:
            return None
        path = self._directory / rundir.host_metrics(part.world.node_rank)
        return Load(self._loop, path, interval, part.devices, self._say)

    def _wait(self, packages: Optional[Sidecar]) -> None:
        while self._ranks.running:
            self._loop.turn()
        until = time.monotonic() + _PACKAGES
        while packages and packages.running and not self._requests.reason and time.monotonic() < until:
            self._loop.turn()

    def _await_request(self, ends: Sequence[RankEnd]) -> None:
        """A rank was ended as if by a request: Slurm signals ranks and agent alike, and the rank may come first."""
        until = time.monotonic() + _REQUEST
        self._loop.after(_REQUEST, lambda: None)
        while by_request(ends) and not self._requests.reason and time.monotonic() < until:
            self._loop.turn()

    def _end_left_behind(self, helpers: List[int], beside: Sequence[int]) -> None:
        count, stuck = process.end_descendants(_LEFT_BEHIND, uncounted=helpers, spared=beside)
        if count:
            self._say(f"ended {count} process{'es' if count > 1 else ''} that the ranks had left behind", "WARN")
        if stuck:
            self._say(f"processes that do not end on SIGKILL: {', '.join(map(str, stuck))}", "ERROR")


def _cannot_start(program: str, directory: str, error: Exception) -> str:
    if not os.path.isdir(directory):
        return f"the working directory of the ranks is missing on this node: {directory}"
    if isinstance(error, FileNotFoundError):
        return f"the program of the ranks is not on this node: {program}"
    return f"the program of the ranks cannot be run: {program}: {getattr(error, 'strerror', None) or error}"
