"""PyTorch's own store, by which the ranks of a job have met."""

from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, _get_default_store


class RankStore:
    """A connection of its own to the store of the process group, under names of its own; see stopping.Store.

    A waiting call holds the connection that it waits on, and collectives that begin wait on the group's own.
    """

    def __init__(self) -> None:
        # Private in torch 2.13, which has no other way to the store of `init_process_group("env://")`.
        group: Any = _get_default_store()  # its stub lacks `clone`
        self._store = PrefixStore("primus", group.clone())

    def __setitem__(self, name: str, value: str, /) -> None:
        self._store.set(name, value)

    def get(self, name: str, /) -> str | None:
        """The value, or None where there is none yet."""
        return self._store.get(name).decode() if self._store.check([name]) else None
