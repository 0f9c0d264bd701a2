"""One process per rank, watched until all have ended: their output, their failures, and requests to end them."""

import os
import signal
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from primus.node import clock, process
from primus.node.loop import Loop
from primus.node.outcome import RankEnd, rank_end
from primus.node.output import Output

_READ = 256 << 10  # bytes at once
_PIPE = 1 << 20  # of buffer: a rank that prints much does not wait for the agent
_READS_AT_END = 16  # empties the pipe; no more, since a process that the rank left behind may print for ever
_TICK = 0.5  # seconds; an unfinished line of output is written after one or two
_LAST_WORDS = 1.0  # seconds for a rank that is printing its traceback while another has failed already
_UNKILLABLE = 30.0  # seconds after SIGKILL, then a rank is stuck in the kernel (a driver) and is given up


@dataclass(frozen=True)
class Command:
    """What one rank runs. `log` is relative to the run directory, `ignored` are signals that do nothing to it.

    `cores` are those that it may use; empty: all that the agent may.
    """

    rank: int
    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: str
    log: str
    ignored: Sequence[int] = ()
    cores: Sequence[int] = ()


class _Rank:
    """A rank that was started."""

    def __init__(self, command: Command, pid: int, pipe: int, output: Output) -> None:
        self.command = command
        self.pid = pid
        self.pipe: Optional[int] = pipe
        self.output = output
        self.started = clock.steady()
        self.stopped: Optional[float] = None


class Supervisor:
    """Starts ranks, tells them to end, and knows how each ended. `say(text, level)` is the agent's own log.

    `failed` is to be called with each rank that fails by itself. `others` are children beside the ranks, by id: what is
    to be called, once, with the exit code.
    """

    def __init__(self, loop: Loop, grace_period: float, say: Callable[[str, str], None]) -> None:
        self.failed: Callable[[RankEnd], None] = lambda end: None
        self.others: Dict[int, Callable[[int], None]] = {}
        self._loop = loop
        self._grace_period = grace_period
        self._say = say
        self._running: Dict[int, _Rank] = {}
        self._ended: Dict[int, RankEnd] = {}
        self._all: Dict[int, _Rank] = {}
        self._stopping = False
        self._round = 0
        loop.every(_TICK, self._tick)

    @property
    def running(self) -> bool:
        """Whether any rank has not ended."""
        return bool(self._running)

    @property
    def living(self) -> List[Tuple[Command, int, Output]]:
        """The ranks that have not ended, with their processes."""
        return [(rank.command, rank.pid, rank.output) for rank in self._running.values()]

    @property
    def ended(self) -> List[RankEnd]:
        """Those that have."""
        return list(self._ended.values())

    @property
    def stopping(self) -> bool:
        """Whether the ranks have been told to end."""
        return self._stopping

    def start(self, command: Command, output: Output) -> None:
        """Start a rank; raises OSError when its program or directory is missing or cannot be run."""
        pid, pipe = process.start_piped(
            command.argv, env=command.environ, cwd=command.directory, ignored=command.ignored, cores=command.cores
        )
        _widen(pipe)
        rank = _Rank(command, pid, pipe, output)
        self._running[pid] = self._all[pid] = rank

        def read() -> None:
            self._read(rank)

        self._loop.on_readable(pipe, read)

    def stop(self) -> None:
        """SIGTERM to every rank and its group, SIGKILL to those that are still there after the grace period."""
        if not self._stopping:
            self._stopping = True
            for rank in self._running.values():
                self._terminate(rank)
            self._later(self._grace_period, self.kill)

    def kill(self) -> None:
        """SIGKILL to every rank and its group, at once."""
        if self._running:
            self._say(f"SIGKILL to {_names(self._running.values())}", "WARN")
        for rank in self._running.values():
            rank.stopped = rank.stopped or clock.steady()
            process.end_group(rank.pid, signal.SIGKILL)
        self._later(_UNKILLABLE, self._give_up)

    def forward(self, signum: int) -> None:
        """Pass a signal on to the processes of the ranks that have a handler for it."""
        for rank in self._running.values():
            for pid in [rank.pid, *process.descendants(rank.pid)]:
                process.notify(pid, signum)

    def reap(self) -> None:
        """Collect every child that has ended, ranks and the orphans that the agent adopted."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._end(self._running[pid], process.exit_code(status), used.ru_maxrss * 1024)
            elif pid in self.others:
                self.others.pop(pid)(process.exit_code(status))

    def finish(self) -> Sequence[RankEnd]:
        """How each rank ended, once none of them or of their descendants is left; reads what is still in the pipes.

        They are forgotten then: others may be started.
        """
        for rank in self._all.values():
            self._drain(rank)
            self._close(rank)
            if rank.output.log_error:
                self._say(f"{rank.command.log} is not complete: {rank.output.log_error}", "WARN")
        ends = list(self._ended.values())
        self._ended.clear()
        self._all.clear()
        self._stopping = False
        self._round += 1
        return ends

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call, unless these ranks are over by then: the ranks of a next start are not to be hit."""
        its_round = self._round
        self._loop.after(seconds, lambda: action() if its_round == self._round else None)

    def _read(self, rank: _Rank) -> bool:
        """Read once; False when there is nothing more now."""
        assert rank.pipe is not None
        try:
            data = os.read(rank.pipe, _READ)
        except BlockingIOError:
            return False
        if data:
            rank.output.feed(data, clock.steady())
        else:
            self._close(rank)
        return bool(data)

    def _drain(self, rank: _Rank) -> None:
        for _ in range(_READS_AT_END):
            if rank.pipe is None or not self._read(rank):
                return

    def _close(self, rank: _Rank) -> None:
        if rank.pipe is not None:
            self._loop.forget(rank.pipe)
            os.close(rank.pipe)
            rank.pipe = None
            rank.output.close(clock.steady())

    def _end(self, rank: _Rank, exit_code: int, memory_peak: int = 0) -> None:
        ended = clock.steady()
        self._drain(rank)  # its last words, for the sign of what went wrong
        del self._running[rank.pid]
        out = rank.output
        end = rank_end(rank.command.rank, rank.pid, exit_code, rank.started, ended, out.sign, rank.stopped,
                       rank.command.log, out.error, memory_peak)  # fmt: skip
        self._ended[rank.pid] = end
        if exit_code:
            how = f"by {end.signal}" if end.signal else f"with exit code {exit_code}"
            self._say(f"rank {end.rank} ended {how}", "ERROR" if end.own_doing else "INFO")
        if end.own_doing:
            self.failed(end)
            self.wind_down()

    def wind_down(self) -> None:
        """End the ranks that are left; those that are failing too may first say why."""
        if self._stopping or not self._running:
            return
        failing = [rank for rank in self._running.values() if rank.output.sign]
        self._say(f"ending {_names(self._running.values())}", "INFO")
        self._stopping = True
        for rank in self._running.values():
            if rank not in failing:
                self._terminate(rank)

        def last_words_are_over() -> None:
            for rank in failing:
                if rank.pid in self._running:
                    self._terminate(rank)

        self._later(_LAST_WORDS, last_words_are_over)
        self._later(self._grace_period + (_LAST_WORDS if failing else 0.0), self.kill)

    def _terminate(self, rank: _Rank) -> None:
        rank.stopped = rank.stopped or clock.steady()
        process.end_group(rank.pid, signal.SIGTERM)

    def _give_up(self) -> None:
        for rank in list(self._running.values()):
            where = f"rank {rank.command.rank} (process {rank.pid})"
            self._say(f"{where} does not end on SIGKILL: it is stuck in the kernel", "ERROR")
            self._end(rank, 128 + signal.SIGKILL)

    def _tick(self) -> None:
        for rank in self._all.values():
            if rank.pipe is not None:
                rank.output.tick(clock.steady())


def _names(ranks: Iterable[_Rank]) -> str:
    numbers = sorted(rank.command.rank for rank in ranks)
    return f"rank{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _widen(pipe: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe, 1031, _PIPE)  # F_SETPIPE_SZ of linux/fcntl.h; in Python's fcntl from 3.10
    except (ImportError, OSError):
        pass  # a limit of the user's (pipe-user-pages-soft), or no Linux: the usual 64 KiB
