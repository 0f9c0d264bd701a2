"""The operations: their buffers, one call of each, and whether the data that arrived are right.

Sizes are those of nccl-tests: of the whole tensor that is gathered or scattered, else of what one rank sends.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from primus.rank.benchmark.collectives import data

# torch 2.13 has other names for them, and warns of these, which 2.11 has.
_all_gather: Callable[..., Any] = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter: Callable[..., Any] = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


@dataclass(frozen=True)
class Member:
    """This rank in a group: the group's ranks, which of them it is, and torch's handle (None: all ranks)."""

    ranks: tuple[int, ...]
    index: int
    handle: Any

    @property
    def count(self) -> int:
        """How many ranks the group has."""
        return len(self.ranks)


class Operation(ABC):
    """An operation on buffers of so many elements, which its ranks have in equal parts where it gathers or scatters."""

    def __init__(self, member: Member, elements: int, dtype: torch.dtype, device: torch.device) -> None:
        self.member, self._elements, self._dtype, self._device = member, elements, dtype, device
        self._each = elements // member.count
        self.allocate()

    @property
    def takes_part(self) -> bool:
        """Whether this rank has anything to do."""
        return True

    @abstractmethod
    def allocate(self) -> None:
        """Make the buffers."""

    @abstractmethod
    def fill(self) -> None:
        """Write what is to be sent."""

    @abstractmethod
    def run(self) -> None:
        """Once. On a GPU it is over when the current stream is."""

    @abstractmethod
    def wrong(self) -> int:
        """After `fill` and `run`: how many elements are not what they should be."""

    def _empty(self, elements: int) -> torch.Tensor:
        return torch.zeros(elements, dtype=self._dtype, device=self._device)

    def _series(self, *sources: int) -> torch.Tensor:
        return data.period(sources, self.member.count, self._dtype, self._device)


class AllReduce(Operation):
    """The sum of all, at all."""

    def allocate(self) -> None:
        self._tensor = self._empty(self._elements)

    def fill(self) -> None:
        data.fill(self._tensor, self._series(self.member.index))

    def run(self) -> None:  # again and again on its own sums, which grow to infinity: that takes no longer
        dist.all_reduce(self._tensor, group=self.member.handle)

    def wrong(self) -> int:
        return data.wrong(self._tensor, self._series(*range(self.member.count)))


class AllGather(Operation):
    """The parts of all, at all."""

    def allocate(self) -> None:
        self._part, self._whole = self._empty(self._each), self._empty(self._elements)

    def fill(self) -> None:
        data.fill(self._part, self._series(self.member.index))

    def run(self) -> None:
        _all_gather(self._whole, self._part, group=self.member.handle)

    def wrong(self) -> int:
        parts = enumerate(torch.split(self._whole, self._each))
        return sum(data.wrong(part, self._series(source)) for source, part in parts)


class ReduceScatter(Operation):
    """The sum of all, a part of it at each."""

    def allocate(self) -> None:
        self._part, self._whole = self._empty(self._each), self._empty(self._elements)

    def fill(self) -> None:
        for place, part in enumerate(torch.split(self._whole, self._each)):
            data.fill(part, self._series(self._source(place, self.member.index)))

    def run(self) -> None:
        _reduce_scatter(self._part, self._whole, group=self.member.handle)

    def wrong(self) -> int:
        place = self.member.index
        return data.wrong(self._part, self._series(*(self._source(place, rank) for rank in range(self.member.count))))

    def _source(self, place: int, rank: int) -> int:
        return place * self.member.count + rank


class Broadcast(Operation):
    """What the first has, at all."""

    def allocate(self) -> None:
        self._tensor = self._empty(self._elements)

    def fill(self) -> None:
        data.fill(self._tensor, self._series(0 if self.member.index == 0 else 1))

    def run(self) -> None:
        dist.broadcast(self._tensor, self.member.ranks[0], group=self.member.handle)

    def wrong(self) -> int:
        return data.wrong(self._tensor, self._series(0))


class AllToAll(Operation):
    """A part of each, at each."""

    def allocate(self) -> None:
        self._out, self._in = self._empty(self._elements), self._empty(self._elements)

    def fill(self) -> None:
        for to, part in enumerate(torch.split(self._out, self._each)):
            data.fill(part, self._series(self.member.index + to * self.member.count))

    def run(self) -> None:
        dist.all_to_all_single(self._in, self._out, group=self.member.handle)

    def wrong(self) -> int:
        own = self.member.index * self.member.count
        parts = enumerate(torch.split(self._in, self._each))
        return sum(data.wrong(part, self._series(source + own)) for source, part in parts)


class Sending(Operation):
    """From rank to rank: `to` and `origin` are places in the group, None: nothing to send, or to receive."""

    @property
    def to(self) -> int | None:
        """Where this rank sends."""
        return (self.member.index + 1) % self.member.count

    @property
    def origin(self) -> int | None:
        """From where it receives."""
        return (self.member.index - 1) % self.member.count

    def allocate(self) -> None:
        self._out, self._in = self._empty(self._elements), self._empty(self._elements)
        ranks, group, calls = self.member.ranks, self.member.handle, []
        if self.to is not None:
            calls.append(dist.P2POp(dist.isend, self._out, ranks[self.to], group))
        if self.origin is not None:
            calls.append(dist.P2POp(dist.irecv, self._in, ranks[self.origin], group))
        self._calls = calls

    def fill(self) -> None:
        data.fill(self._out, self._series(self.member.index))
        self._in.zero_()

    def run(self) -> None:
        for work in dist.batch_isend_irecv(self._calls):
            work.wait()

    def wrong(self) -> int:
        return data.wrong(self._in, self._series(self.origin)) if self.origin is not None else 0


class Ring(Sending):
    """Every rank sends to the next and receives from the one before, as sendrecv_perf of nccl-tests."""

    def run(self) -> None:
        if self.member.count == 1:  # which gloo and NCCL do not send to themselves
            self._in.copy_(self._out)
        else:
            super().run()


class Pairs(Sending):
    """The first half of the ranks sends to the second: one way, all pairs at once; an odd one is left out."""

    @property
    def takes_part(self) -> bool:
        return self.to is not None or self.origin is not None

    @property
    def to(self) -> int | None:
        half = self.member.count // 2
        return self.member.index + half if self.member.index < half else None

    @property
    def origin(self) -> int | None:
        half = self.member.count // 2
        return self.member.index - half if half <= self.member.index < 2 * half else None


KINDS: dict[str, type[Operation]] = {
    "all_reduce": AllReduce,
    "all_gather": AllGather,
    "reduce_scatter": ReduceScatter,
    "broadcast": Broadcast,
    "all_to_all": AllToAll,
    "p2p": Pairs,
    "ring_p2p": Ring,
    "strided_all_gather": AllGather,
}
