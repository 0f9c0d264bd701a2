"""Which rank holds up a job that makes no progress, by what each of its ranks is in. Pure."""

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from primus.node.stacks import Doing

_NAMED = 8  # ranks of a group by their numbers
_GROUPS = 6  # in the message


@dataclass(frozen=True)
class Report:
    """One rank at the time of a hang, in plain values: agents send it to node 0.

    `state` is what speaks against it whatever its stack says: `stopped (SIGSTOP)`, `ended with exit code 0`. Empty
    `what`: its stack is not known. `step` is the last that its metrics tell of, `phase` what its heartbeat says.
    """

    rank: int
    node: int
    state: str = ""
    what: str = ""
    where: str = ""
    waits: bool = False
    step: Optional[int] = None
    phase: str = ""

    @property
    def doing(self) -> str:
        """In words, as the end of a sentence."""
        if self.state:
            return self.state if self.state.startswith("ended") else f"is {self.state}"
        if not self.what:
            return "has no stack that can be read"
        where = f" ({self.where})" if self.where else ""
        return f"{'waits' if self.waits else 'is'} in {self.what}{where}"


@dataclass(frozen=True)
class Verdict:
    """Why a job makes no progress, in words, and the rank that holds it up; None where none stands out."""

    message: str
    rank: Optional[int]
    node: Optional[int]


def report(rank: int, node: int, state: str, doing: Optional[Doing], step: Optional[int], phase: str) -> Report:
    """A Report of what was found."""
    if doing is None:
        return Report(rank, node, state, step=step, phase=phase)
    return Report(rank, node, state, doing.what, doing.where, doing.waits, step, phase)


def judge(reports: Sequence[Report], silent: Sequence[str], seconds: float) -> Verdict:
    """The verdict after so many seconds without progress; `silent` are the names of nodes that did not answer."""
    groups = _groups(reports)
    odd = _stragglers(groups)
    head = f"no rank made progress for {seconds:g} s{_since(reports)}"
    said = [f"{_ranks(group)} {_plural(group)}" for group in groups if group[0] not in odd][:_GROUPS]
    said += [f"{_ranks(group)} {_plural(group)}" for group in groups if group[0] in odd][:_GROUPS]
    said += [f"{name} did not answer" for name in silent]
    if len(groups) == 1 and not odd and not silent and len(reports) > 1:
        said[0] = f"{'both' if len(reports) == 2 else f'all {len(reports)}'} ranks {_plural(groups[0])}"
    first = odd[0] if odd else None
    return Verdict(
        f"{head}: {'; '.join(said)}" if said else head,
        first.rank if first else None,
        first.node if first else None,
    )


def _groups(reports: Sequence[Report]) -> List[List[Report]]:
    """Ranks that are in the same, the largest group first."""
    found: Dict[Tuple[str, str, str], List[Report]] = {}
    for one in sorted(reports, key=lambda one: one.rank):
        found.setdefault((one.state, one.what if not one.state else "", one.where if not one.state else ""), []).append(
            one
        )
    return sorted(found.values(), key=lambda group: (-len(group), group[0].rank))


def _stragglers(groups: Sequence[Sequence[Report]]) -> List[Report]:
    """The first rank of each group that holds up the others: what cannot run; else what is missing from a collective
    that others wait in; else the ranks that are elsewhere than most. None where all are in the same.
    """
    halted = [group[0] for group in groups if group[0].state]
    if halted:
        return sorted(halted, key=lambda one: (one.state.startswith("ended"), one.rank))
    missing = [group[0] for group in groups if not group[0].waits]
    if missing and len(missing) < len(groups):
        return sorted(missing, key=lambda one: one.rank)
    largest = len(groups[0]) if groups else 0
    fewer = [group[0] for group in groups if len(group) < largest]
    return sorted(fewer, key=lambda one: one.rank) if len(fewer) == len(groups) - 1 else []


def _since(reports: Sequence[Report]) -> str:
    steps = [one.step for one in reports if one.step is not None]
    if steps:
        return f" after step {max(steps)}"
    phases = sorted({one.phase for one in reports if one.phase})
    return f" (before the first step: {', '.join(phases[:3])})" if phases else ""


def _ranks(group: Sequence[Report]) -> str:
    numbers = [str(one.rank) for one in group]
    if len(numbers) == 1:
        return f"rank {numbers[0]} on node {group[0].node}"
    if len(numbers) > _NAMED:
        return f"{len(numbers)} ranks ({', '.join(numbers[:_NAMED])}, …)"
    return f"ranks {', '.join(numbers[:-1])} and {numbers[-1]}"


def _plural(group: Sequence[Report]) -> str:
    words = group[0].doing
    if len(group) == 1:
        return words
    for one, many in (("waits ", "wait "), ("is ", "are "), ("has ", "have ")):
        if words.startswith(one):
            return many + words[len(one) :]
    return words
