"""What partitions give, and what of a request none gives."""

from collections.abc import Mapping
from typing import Any

import pytest

from primus.launch.problems import BadRequest
from primus.launch.slurm import partitions
from primus.launch.slurm.options import Settings
from primus.launch.slurm.partitions import Partition

SHOWN = """\
PartitionName=debug Default=YES Hidden=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalNodes=8
PartitionName=short Default=NO Hidden=NO MaxNodes=1 MaxTime=00:30:00 State=UP TotalNodes=8
PartitionName=old Default=NO Hidden=NO MaxNodes=UNLIMITED MaxTime=2-00:00:00 State=DRAIN TotalNodes=8
PartitionName=down Default=NO Hidden=NO MaxNodes=UNLIMITED MaxTime=2-00:00:00 State=DOWN TotalNodes=8
PartitionName=secret Default=NO Hidden=YES MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalNodes=16
"""


def check(environ: Mapping[str, str] | None = None, **settings: Any) -> list[str]:
    asked = Settings(**{"name": "slurm", "nodes": 1, **settings})
    return partitions.check(asked, partitions.read(SHOWN), environ or {})


def refusal(environ: Mapping[str, str] | None = None, **settings: Any) -> str:
    with pytest.raises(BadRequest) as refused:
        check(environ, **settings)
    return str(refused.value)


def test_partitions_are_read_from_what_scontrol_shows() -> None:
    assert partitions.read(SHOWN) == [
        Partition("debug", True, "UP", 8, None),
        Partition("short", False, "UP", 1, 30),
        Partition("old", False, "DRAIN", 8, 2880),
        Partition("down", False, "DOWN", 8, 2880),
        Partition("secret", False, "UP", 16, None, hidden=True),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"partition": "shrt"},
            "runtime.partition: 'shrt' is not among debug, down, old, short. Did you mean 'short'?",
        ),
        ({"partition": "short", "nodes": 2}, "runtime.nodes: 2 is more than the 1 that a job in partition short gets."),
        ({"partition": "short", "time": "1:00:00"}, "runtime.time: 60 minutes is more than the 30"),
        ({"nodes": 9}, "runtime.nodes: 9 is more than the 8 that a job in partition debug gets."),
        ({"partition": "old"}, "runtime.partition: old takes no jobs now: it is DRAIN. It would fit debug, short."),
        ({"partition": "short,old", "nodes": 2}, "runtime.nodes: 2 is more than the 1"),
    ],
)
def test_what_no_partition_gives_is_said_with_the_key(settings: dict[str, Any], said: str) -> None:
    assert refusal(**settings).startswith(said)


def test_of_several_partitions_one_is_enough() -> None:
    assert check(nodes=4, partition="short,debug") == []


def test_a_partition_that_would_do_is_named() -> None:
    assert refusal(nodes=4, partition="short").endswith("It would fit debug.")


def test_an_unlimited_time_is_no_mistake() -> None:
    assert check(time="UNLIMITED") == []
    assert check(time="0", partition="short") == []


def test_a_hidden_partition_is_one() -> None:
    assert check(partition="secret", nodes=16) == []


def test_a_job_waits_for_a_partition_that_is_down() -> None:
    assert check(partition="down") == ["runtime.partition: down is down, and the job waits until it is up again"]


def test_a_qos_may_allow_what_the_partition_does_not() -> None:
    (warning,) = check(partition="short", nodes=2, qos="high")
    assert warning == (
        "runtime.nodes: 2 is more than the 1 that a job in partition short gets. "
        "Where its QOS (high) does not allow it either, the job waits for ever"
    )
    assert check({"SBATCH_QOS": "high"}, partition="short", nodes=2) == [warning]


def test_the_users_defaults_for_sbatch_count_where_nothing_is_set() -> None:
    short = {"SBATCH_PARTITION": "short", "SBATCH_TIMELIMIT": "60"}
    assert refusal(short, nodes=2).startswith("runtime.nodes: 2 is more than the 1")
    assert refusal(short).startswith("SBATCH_TIMELIMIT: 60 minutes is more than the 30")
    assert refusal({"SBATCH_TIMELIMIT": "1"}).startswith("SBATCH_TIMELIMIT: 1 minute is no longer than runtime.signal")
    assert refusal({"SBATCH_PARTITION": "x"}).startswith("SBATCH_PARTITION: 'x' is not among")
    assert check(short, partition="debug", time="90") == []
