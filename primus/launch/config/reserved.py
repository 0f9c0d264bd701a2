"""Variables that Primus gives each rank itself, whoever sets them: a value of the user's would be lost without a word.

MASTER_PORT is none of them: a port that the user gives is taken.
"""

from primus.launch.problems import BadRequest

_NUMBERED = "Primus numbers nodes and ranks itself"
_OF_THE_RUN = "it is the run's own; output.root=<folder> says where runs are kept"

INSTEAD = {
    **dict.fromkeys(("RANK", "LOCAL_RANK", "NODE_RANK"), _NUMBERED),
    "WORLD_SIZE": "give runtime.nodes=<n> and ranks_per_node=<n>",
    "LOCAL_WORLD_SIZE": "give ranks_per_node=<n>",
    "MASTER_ADDR": "the job's first node has it; env.set.MASTER_PORT=<port> fixes the port",
    **dict.fromkeys(
        ("PRIMUS_RUN_DIR", "PRIMUS_RUN_ID", "PRIMUS_METRICS", "PRIMUS_STOP_FILE", "PRIMUS_HEARTBEAT"), _OF_THE_RUN
    ),
}
"""What to give instead of each."""


def check(name: str, where: str) -> None:
    """Raise BadRequest for a variable that would be overruled; `where` is what gives it."""
    if name in INSTEAD:
        raise BadRequest(f"{where}: each rank has {name} from Primus: {INSTEAD[name]}")
