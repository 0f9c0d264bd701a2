"""What sbatch is told, and what it is never told."""

from typing import Any

import pytest

from primus.launch.problems import BadRequest
from primus.launch.slurm.options import Partition, Settings, check, directives, minutes, partitions


def given(**settings: Any) -> dict[str, str | None]:
    return dict(directives(Settings(name="slurm", **{"nodes": 1, **settings}), "20261121-1"))


def test_a_job_is_one_task_on_each_node_under_the_name_of_its_run() -> None:
    assert given(nodes=4) == {
        "job-name": "primus-20261121-1",
        "nodes": "4",
        "ntasks-per-node": "1",
        "signal": "B:USR1@120",
        "no-requeue": None,
        "kill-on-invalid-dep": "yes",
    }


def test_each_setting_is_an_option_of_sbatch() -> None:
    options = given(
        partition="gpu", time="4:00:00", account="me", qos="high", gpus_per_node="h100:8", cpus=32, mem="64G",
        constraint="a&b", exclude="c[1-3]", nodelist="c[4-5]", reservation="r", dependency="afterok:1",
        requeue=True, signal=60, job_name="mine",
    )  # fmt: skip
    assert options["job-name"] == "mine"
    assert options["signal"] == "B:USR1@60"
    assert "requeue" in options
    assert "no-requeue" not in options
    assert {name: options[name] for name in ("cpus-per-task", "gpus-per-node", "time", "mem", "dependency")} == {
        "cpus-per-task": "32",
        "gpus-per-node": "h100:8",
        "time": "4:00:00",
        "mem": "64G",
        "dependency": "afterok:1",
    }
    assert {"partition", "account", "qos", "constraint", "exclude", "nodelist", "reservation"} <= set(options)


def test_no_signal_before_the_end_where_none_is_wanted() -> None:
    assert "signal" not in given(signal=0)


def test_any_other_option_passes_through_a_flag_without_a_value() -> None:
    options = given(options={"mail-type": "END", "exclusive": True, "nice": 10, "contiguous": False})
    assert (options["mail-type"], options["exclusive"], options["nice"]) == ("END", None, "10")
    assert "contiguous" not in options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mail_type": "END"}, "is no long option of sbatch"),
        ({"--exclusive": True}, "is no long option of sbatch"),
        ({"array": "0-3"}, "Primus sets --array itself; use a sweep"),
        ({"output": "x"}, "Primus sets --output itself"),
        ({"clusters": "other"}, "use another cluster's login node"),
        ({"partition": "x"}, "that is runtime.partition"),
        ({"cpus-per-task": 3}, "that is runtime.cpus"),
        ({"comment": "a\n#SBATCH --uid=0"}, "cannot stand in a batch script"),
        ({"comment": ""}, "cannot stand in a batch script"),
    ],
)
def test_an_option_of_another_form_or_of_primus_itself_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=r"runtime\.options\.") as refused:
        given(options=options)
    assert said in str(refused.value)


def test_a_setting_with_a_line_break_is_refused_by_its_own_name() -> None:
    with pytest.raises(BadRequest, match=r"runtime\.constraint"):
        given(constraint="a\nb")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("30:30", 30.5), ("4:00:00", 240), ("2-0", 2880), ("2-12:30", 3630), ("1-0:0:30", 1440.5)],
)
def test_a_time_limit_is_read_as_slurm_reads_it(text: str, expected: float) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["UNLIMITED", "", "1:2:3:4", "x-1", "4h"])
def test_what_is_no_time_limit_is_none(text: str) -> None:
    assert minutes(text) is None


SHOWN = """\
PartitionName=debug Default=YES MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalCPUs=8 TotalNodes=8
PartitionName=short Default=NO MaxNodes=1 MaxTime=00:30:00 State=UP TotalCPUs=8 TotalNodes=8
PartitionName=old Default=NO MaxNodes=UNLIMITED MaxTime=2-00:00:00 State=DOWN TotalCPUs=8 TotalNodes=8
"""


def test_partitions_are_read_from_what_scontrol_shows() -> None:
    assert partitions(SHOWN) == [
        Partition("debug", True, True, 8, None),
        Partition("short", False, True, 1, 30),
        Partition("old", False, False, 8, 2880),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"partition": "shrt"}, "'shrt' is not among debug, old, short. Did you mean 'short'?"),
        ({"partition": "short", "nodes": 2}, "runtime.nodes: 2 is more than the 1 that a job in partition short gets."),
        ({"partition": "short", "time": "1:00:00"}, "runtime.time: 60 minutes is more than the 30"),
        ({"nodes": 9}, "runtime.nodes: 9 is more than the 8 that a job in partition debug gets."),
        ({"partition": "old"}, "old takes no jobs now"),
        ({"time": "4h"}, "'4h' is no time limit"),
    ],
)
def test_what_no_partition_gives_is_said_with_the_key(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check(Settings(**{"name": "slurm", "nodes": 1, **settings}), partitions(SHOWN))
    assert said in str(refused.value)


def test_of_several_partitions_one_is_enough() -> None:
    check(Settings(name="slurm", nodes=4, partition="short,debug"), partitions(SHOWN))


def test_a_partition_that_would_do_is_named() -> None:
    with pytest.raises(BadRequest, match=r"It would fit debug\."):
        check(Settings(name="slurm", nodes=4, partition="short"), partitions(SHOWN))


def test_an_unlimited_time_is_no_mistake() -> None:
    check(Settings(name="slurm", nodes=1, time="UNLIMITED"), partitions(SHOWN))
