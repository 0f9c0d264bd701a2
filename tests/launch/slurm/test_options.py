"""What sbatch is told, and what it is never told."""

from typing import Any

import pytest

from primus.launch.problems import BadRequest
from primus.launch.slurm.options import Settings, directives, minutes


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


@pytest.mark.parametrize("key", ["constraint", "job_name", "gpus_per_node"])
def test_a_setting_with_a_line_break_is_refused_by_its_own_name(key: str) -> None:
    with pytest.raises(BadRequest, match=rf"^runtime\.{key}: "):
        given(**{key: "a\tb"})


@pytest.mark.parametrize(
    ("time", "signal"), [("3", 120), ("2", 119), ("0:30", 0), ("UNLIMITED", 120), ("infinite", 120), ("0", 120)]
)
def test_a_time_limit_is_longer_than_the_time_for_saving_or_none(time: str, signal: int) -> None:
    assert given(time=time, signal=signal)["time"] == time


@pytest.mark.parametrize(("time", "told"), [("1", "1 minute"), ("2", "2 minutes"), ("0:30", "1 minute")])
def test_one_that_is_not_would_end_a_job_at_once(time: str, told: str) -> None:
    with pytest.raises(BadRequest, match=rf"^runtime\.time: {told} is no longer than runtime\.signal=120 s"):
        given(time=time)


@pytest.mark.parametrize("time", ["abc", "4h", "1:2:3:4", ""])
def test_what_is_no_time_limit_is_refused_without_asking_a_cluster(time: str) -> None:
    with pytest.raises(BadRequest, match=r"^runtime\.time: .* is no time limit"):
        given(time=time)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("30:30", 30.5), ("4:00:00", 240), ("2-0", 2880), ("2-12:30", 3630), ("1-0:0:30", 1440.5)],
)
def test_a_time_limit_is_read_as_slurm_reads_it(text: str, expected: float) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["UNLIMITED", "", "1:2:3:4", "x-1", "4h"])
def test_what_is_no_time_limit_is_none(text: str) -> None:
    assert minutes(text) is None
