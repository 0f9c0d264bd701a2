"""Whether the ranks of a job start again after a failure: node 0 decides for all nodes. Pure."""

from dataclasses import dataclass, replace
from typing import Collection, Optional

from primus.node.outcome import BAD_REQUEST, REQUESTS, UNFIT, Outcome

_LONGEST = 300.0  # seconds of back-off


@dataclass(frozen=True)
class Part:
    """How a start ended on one node, as node 0 must know it.

    `time` is that of the first sign of failure, in seconds since the epoch by node 0's clock; `step` the last that its
    ranks have reported in this start; `final`: whatever the other nodes say, no start may follow.
    """

    status: str
    message: str
    time: float
    step: Optional[int]
    final: bool


@dataclass(frozen=True)
class Verdict:
    """`start` is the number of the next start, counted from 1, after so many `seconds`; None: there is none.

    `words` say what has failed where there is a next start, else what the job's message is to say beside its failure.
    """

    start: Optional[int] = None
    seconds: float = 0.0
    words: str = ""


NO_MORE = Verdict()


class Policy:
    """`most` starts after the first, `backoff` seconds before the first of them and, doubled each time, the next.

    `trains`: a start that has reported no step has failed before its first. A program of the user's may report none.
    """

    def __init__(self, most: int, backoff: float, trains: bool) -> None:
        self.starts = 1
        self._most, self._backoff, self._has_steps = most, backoff, trains
        self._failed_at: Optional[str] = None

    def decide(self, parts: Collection[Part]) -> Verdict:
        """What follows a start that has ended so on all nodes."""
        failed = [part for part in parts if part.status == "failed"]
        if not failed or any(part.final for part in parts):
            return NO_MORE
        first = min(failed, key=lambda part: part.time)
        step = max((part.step for part in parts if part.step is not None), default=None)
        self._has_steps |= step is not None
        before, self._failed_at = self._failed_at, self._where(step)
        if before and before == self._failed_at:
            return Verdict(words=f"it failed {before} twice in a row, so it is not started again")
        if self.starts > self._most:
            return Verdict(words=f"restart.max={self._most} allows no further start")
        seconds = min(self._backoff * 2.0 ** min(self.starts - 1, 60), _LONGEST)
        self.starts += 1
        return Verdict(self.starts, seconds, f"{first.message} {self._failed_at or ''}".rstrip())

    def _where(self, step: Optional[int]) -> Optional[str]:
        if not self._has_steps:
            return None
        return "before its first step" if step is None else f"after step {step}"


def repeatable(outcome: Outcome, workers: bool) -> bool:
    """Whether another start may mend it. `workers`: the ranks are Primus's own, whose exit codes 2 and 3 say that the
    request or the environment is wrong; a rank that was ended by a signal with which jobs are ended was meant to end,
    but for one that held up the others.
    """
    cause = outcome.root_cause
    if outcome.status == "unfit" or outcome.lost:
        return False
    refused = workers and cause is not None and cause.exit_code in (BAD_REQUEST, UNFIT)
    return not refused and (cause is None or cause.hung or cause.signal not in REQUESTS)


def counted(outcome: Outcome, restarts: int) -> Outcome:
    """The outcome with the number of restarts in its message, if there were any."""
    if not restarts:
        return outcome
    words = f"after {restarts} restart{'s' if restarts > 1 else ''}"
    return replace(outcome, message=f"{outcome.message} ({words})" if outcome.message else words)
