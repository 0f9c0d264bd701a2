"""JAX's own store, by which the ranks of a job have met."""

from typing import Any

import jax
from jax._src import distributed

from primus.rank.stopping import Store


def of_ranks() -> Store:
    """What all ranks see; of a rank that is alone, a dictionary."""
    return RankStore() if jax.distributed.is_initialized() else {}


class RankStore:
    """The keys and values of JAX's coordination service, under names of its own; see stopping.Store.

    Private in jax 0.12, which has no public way to them.
    """

    def __init__(self) -> None:
        self._client: Any = distributed.global_state.client

    def __setitem__(self, name: str, value: str, /) -> None:
        self._client.key_value_set(f"primus/{name}/value", value)

    def get(self, name: str, /) -> str | None:
        """The value, or None where there is none yet: a folder, unlike a key, may be listed before it is there."""
        return next((value for _, value in self._client.key_value_dir_get(f"primus/{name}/")), None)
