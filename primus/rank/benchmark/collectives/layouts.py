"""Which ranks talk to each other: the groups of a benchmark, all of which work at the same time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

Group = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Groups that share no rank, and a name for them."""

    name: str
    groups: tuple[Group, ...]

    def of(self, rank: int) -> Group | None:
        """The group of a rank; None: it has none."""
        return next((group for group in self.groups if rank in group), None)


def layouts(wanted: Sequence[str | Group], world: int, per_node: int) -> list[Layout]:
    """`all`, `intra_node` (the ranks of each node), `inter_node` (those of one local rank on all nodes), chosen groups.

    Chosen groups make one layout. Groups of one rank are left out where there are more ranks, and so is a layout that
    is the same as one before. Raises ValueError for a rank that is not there, or in two groups.
    """
    ranks = range(world)
    named = {
        "all": (tuple(ranks),),
        "intra_node": tuple(tuple(ranks[first : first + per_node]) for first in range(0, world, per_node)),
        "inter_node": strided(world, per_node),
    }
    chosen = tuple(tuple(group) for group in wanted if not isinstance(group, str))
    _check(chosen, world)
    every = [Layout(name, named[name]) for name in wanted if isinstance(name, str)]
    if chosen:
        every.append(Layout("+".join(",".join(map(str, group)) for group in chosen), chosen))
    found: dict[tuple[Group, ...], Layout] = {}
    for layout in every:
        groups = tuple(group for group in layout.groups if len(group) > 1 or world == 1)
        if groups:
            found.setdefault(groups, Layout(layout.name, groups))
    return list(found.values())


def strided(world: int, stride: int) -> tuple[Group, ...]:
    """Groups of the ranks that are `stride` apart: (0, stride, 2 stride, ...), (1, 1 + stride, ...)."""
    return tuple(tuple(range(first, world, stride)) for first in range(min(stride, world)))


def usual_stride(world: int, per_node: int) -> int | None:
    """Where none is given: groups reach across the nodes, or leave out every second rank of a single one; None: of so
    few ranks, a stride says no more than all of them do.
    """
    stride = per_node if world > per_node else 2
    return stride if stride > 1 and world // stride > 1 else None


def _check(chosen: Sequence[Group], world: int) -> None:
    members = [rank for group in chosen for rank in group]
    if absent := [rank for rank in members if not 0 <= rank < world]:
        raise ValueError(f"task.groups: there is no rank {absent[0]}: the {world} ranks are 0 to {world - 1}")
    if twice := [rank for rank in members if members.count(rank) > 1]:
        raise ValueError(f"task.groups: rank {twice[0]} is in two groups, which work at the same time")
