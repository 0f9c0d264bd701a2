"""The controller of a real Slurm, asked through its own commands."""

import os
import shutil
import time
from pathlib import Path

import pytest

from primus.launch.problems import BadRequest, Unfit
from primus.launch.slurm import controller
from primus.launch.slurm.controller import Pace, State

from ...cluster.slurm import Slurm


def submit(work: Path, text: str, *options: str) -> str:
    return controller.submit(
        ["sbatch", "--parsable", "--output=/dev/null", f"--chdir={work}", *options], text=f"#!/bin/sh\n{text}\n"
    )


READS = "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
"""For another user to read slurm.conf where the test has it."""


def as_nobody(work: Path) -> str:
    """A PATH whose scancel is called by another user."""
    program = work / "bin/scancel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid=65534 --clear-groups {READS} {shutil.which("scancel")} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.slurm
def test_the_states_of_jobs_and_of_elements_of_arrays_come_from_one_call(slurm: Slurm, work: Path) -> None:
    good, bad = submit(work, "exit 0"), submit(work, "exit 3")
    array = submit(work, "exit $SLURM_ARRAY_TASK_ID", "--array=0-2")
    held = submit(work, "exit 0", "--hold")
    for job in (good, bad, f"{array}_0", f"{array}_1", f"{array}_2"):
        slurm.wait(job, "COMPLETED", "FAILED")
    found = controller.states([good, bad, array, held, "999999"])
    assert {job: (state.name, state.exit_code) for job, state in found.items()} == {
        good: ("COMPLETED", 0),
        bad: ("FAILED", 3),
        f"{array}_0": ("COMPLETED", 0),
        f"{array}_1": ("FAILED", 1),
        f"{array}_2": ("FAILED", 2),
        held: ("PENDING", 0),
    }
    assert found[good].over
    assert found[bad].nodes in slurm.nodes
    assert (found[held].pending, found[held].reason) == (True, "JobHeldUser")
    assert set(controller.states([f"{array}_1"])) == {f"{array}_1"}
    assert controller.states(["999999"]) == {}
    assert controller.cluster() == slurm.ask("sh", "-c", "sed -n s/^ClusterName=//p $SLURM_CONF").strip()
    with pytest.raises(controller.Denied):
        controller.cancel([held], {**os.environ, "PATH": as_nobody(work)})
    controller.cancel([held, good, "999999"])
    assert controller.states([held])[held].name == "CANCELLED"


@pytest.mark.slurm
def test_a_job_that_slurm_refuses_is_a_bad_request_in_its_words(slurm: Slurm, work: Path) -> None:
    with pytest.raises(BadRequest, match=r"sbatch refuses the job: .*nvalid"):
        submit(work, "exit 0", "--gres=unicorn:1")


def test_having_sbatch_is_not_having_a_cluster(tmp_path: Path) -> None:
    nowhere = {**os.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")}
    with pytest.raises(Unfit, match="no Slurm cluster can be reached from here"):
        controller.check_reachable(nowhere)


def test_without_slurms_commands_there_is_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unfit, match=r"sbatch: No such file or directory"):
        controller.submit(["sbatch", "x"])
    with pytest.raises(Unfit, match=r"squeue: No such file or directory"):
        controller.states(["1"])


def test_a_cluster_that_sbatch_alone_would_be_sent_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_CLUSTERS", "other")
    with pytest.raises(BadRequest, match=r"set SLURM_CLUSTERS, or submit from that cluster"):
        controller.submit(["sbatch", "x"])


def test_a_command_that_does_not_answer_is_given_up() -> None:
    answer = controller.call(["sh", "-c", "echo looking >&2; sleep 100"], 0.2)
    assert answer.code is None
    assert answer.said == "looking; no answer within 0.2 s"


def test_the_users_defaults_for_a_command_of_slurm_hide_nothing_from_us(tmp_path: Path) -> None:
    for name in ("squeue", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\nenv\n")
        (tmp_path / name).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SQUEUE_PARTITION": "x", "SBATCH_ACCOUNT": "mine"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environ["PATH"])
        asked = controller.call(["squeue"], 5.0, environ).out
        assert ("SQUEUE_PARTITION" in asked, "SBATCH_ACCOUNT" in asked) == (False, True)
        assert "SBATCH_ACCOUNT=mine" in controller.call(["sbatch"], 5.0, environ).out
        patch.setenv("SQUEUE_STATES", "PD")
        assert "SQUEUE_STATES" not in controller.call(["squeue"], 5.0).out


def test_a_word_for_a_state_that_we_do_not_know_is_no_end() -> None:
    assert not State("EXPEDITING").over
    assert not State("EXPEDITING").pending
    assert all(State(word).over for word in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"))


def test_the_controller_is_asked_at_a_pace() -> None:
    pace = Pace(1000.0)
    assert pace.due()
    assert not pace.due()
    quick = Pace(0.01)
    quick.rest()
    quick.rest()
    assert time.monotonic() > 0


@pytest.mark.parametrize(("text", "code"), [("768", 3), ("9", 137), ("0", 0), ("3:0", 3), ("0:15", 143), ("", 0)])
def test_an_exit_code_is_read_as_squeue_and_as_sacct_write_it(text: str, code: int) -> None:
    line = f"12|12|N/A|FAILED|{text}|1|c[1-2]|None|"
    assert controller._squeue_line(line) == ("12", State("FAILED", "", code, "c[1-2]", 1))


def test_an_element_that_waits_is_known_by_its_array() -> None:
    key, state = controller._squeue_line("12|12|3|PENDING|0|0||JobArrayTaskLimit|")
    assert (key, state.pending, state.reason) == ("12_3", True, "JobArrayTaskLimit")
