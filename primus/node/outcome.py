"""How a node's ranks ended, and which of them was the cause. Pure."""

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from primus.node.host import Memory
from primus.node.process import signal_name

UNFIT, BAD_REQUEST = 3, 2

# Signals with which a job is ended from outside; Slurm sends them to the ranks as well as to the agent.
REQUESTS = ("SIGTERM", "SIGINT", "SIGHUP")


@dataclass(frozen=True)
class RankEnd:
    """One rank that has ended. Times are seconds of clock.steady; `sign` is when its output first told of its end."""

    rank: int
    pid: int
    exit_code: int
    signal: Optional[str]
    started: float
    ended: float
    sign: Optional[float]
    stopped: Optional[float]  # when the agent told it to end
    log: str
    error: Optional[str]
    memory_peak: int = 0  # bytes that were resident at most, of it or of one of its own processes; 0: not known

    @property
    def own_doing(self) -> bool:
        """It failed, and the agent had not asked it to end."""
        return self.exit_code != 0 and (self.stopped is None or self.stopped > self.ended)

    @property
    def first_sign(self) -> float:
        """When it was first known to fail."""
        return self.ended if self.sign is None else min(self.sign, self.ended)


@dataclass(frozen=True)
class RootCause:
    """The rank that failed first; the failures of the others follow from it.

    `hung`: it did not fail but held up all others until they were ended; `error` says what it was in.
    """

    rank: int
    exit_code: int
    signal: Optional[str]
    log: str
    time: float
    error: Optional[str]
    hung: bool = False


@dataclass(frozen=True)
class Outcome:
    """How the node's part of the job ended: finished, failed, killed (from outside) or unfit (never began).

    Killed is also a node whose ranks ended because of another's. `lost` names nodes that went away in mid-run, as this
    node saw it: that is the cause of the end of the job, whatever ranks failed of it.
    """

    status: str
    exit_code: int
    message: Optional[str]
    root_cause: Optional[RootCause]
    ranks: Tuple[RankEnd, ...]
    lost: Tuple[str, ...] = ()
    memory: Optional[Memory] = None


def judge(ends: Sequence[RankEnd], killed_by: Optional[str], killed_code: int, memory_ran_out: bool,
          memory: Optional[Memory] = None) -> Outcome:  # fmt: skip
    """The outcome of ranks that have all ended; `killed_by` says in words what ended them from outside, if anything.

    A rank that had failed before that makes the job failed all the same. `memory_ran_out`: the kernel has killed
    processes of this host for want of memory meanwhile; `memory` is what there was of it then.
    """
    ranks = tuple(sorted(ends, key=lambda end: end.rank))
    cause = root_cause(ranks)
    if killed_by and (cause is None or by_request(ranks)):
        return Outcome("killed", killed_code, killed_by, None, ranks)
    if cause is None:
        return Outcome("finished", 0, None, None, ranks)
    if cause.signal == "SIGKILL" and memory_ran_out:
        return Outcome("failed", cause.exit_code, _out_of_memory(cause, ranks, memory), cause, ranks, memory=memory)
    return Outcome("failed", cause.exit_code, _message(cause), cause, ranks)


def without(outcome: Outcome, lost: Mapping[str, str]) -> Outcome:
    """The outcome of a node that lost others: by name, how, in words."""
    return Outcome("failed", 1, "; ".join(lost.values()), None, outcome.ranks, tuple(lost))


def describe(end: RankEnd) -> str:
    """How a rank failed, in words."""
    return _message(RootCause(end.rank, end.exit_code, end.signal, end.log, end.ended, end.error))


def by_request(ends: Sequence[RankEnd]) -> bool:
    """Whether what came first was the end of a rank by a signal with which jobs are ended."""
    cause = root_cause(ends)
    return cause is not None and cause.signal in REQUESTS


def unfit(message: str, code: int = UNFIT) -> Outcome:
    """The ranks were never started, or not all of them."""
    return Outcome("unfit", code, message, None, ())


def root_cause(ends: Sequence[RankEnd]) -> Optional[RootCause]:
    """Of the ranks that failed by themselves the one whose first sign of failure came first; None when none did."""
    failed = [end for end in ends if end.own_doing]
    if not failed:
        return None
    first = min(failed, key=lambda end: end.first_sign)
    return RootCause(first.rank, first.exit_code, first.signal, first.log, first.first_sign, first.error)


def rank_end(rank: int, pid: int, exit_code: int, started: float, ended: float, sign: Optional[float],
             stopped: Optional[float], log: str, error: Optional[str], memory_peak: int = 0) -> RankEnd:  # fmt: skip
    """A RankEnd with the name of its signal worked out."""
    return RankEnd(rank, pid, exit_code, signal_name(exit_code), started, ended, sign, stopped, log, error, memory_peak)


def _out_of_memory(cause: RootCause, ranks: Sequence[RankEnd], memory: Optional[Memory]) -> str:
    peak = next((end.memory_peak for end in ranks if end.rank == cause.rank), 0)
    numbers = [f"the rank had used {peak / 2**30:.1f} GiB"] if peak else []
    numbers += [str(memory)] if memory else []
    return f"{_message(cause)}: the host ran out of memory" + (f" ({'; '.join(numbers)})" if numbers else "")


def _message(cause: RootCause) -> str:
    if cause.signal:
        return f"rank {cause.rank} was ended by {cause.signal}"
    return f"rank {cause.rank} ended with exit code {cause.exit_code}" + (f": {cause.error}" if cause.error else "")
