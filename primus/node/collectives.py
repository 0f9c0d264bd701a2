"""The collectives that `task=benchmark/collectives` measures, by name: what may be asked for, and what ranks can do."""

from typing import Literal, Tuple, get_args

Operation = Literal[
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "broadcast",
    "all_to_all",
    "p2p",
    "ring_p2p",
    "strided_all_gather",
]
OPERATIONS: Tuple[Operation, ...] = get_args(Operation)
