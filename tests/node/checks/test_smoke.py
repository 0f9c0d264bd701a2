"""Processes that hang, break or lie, beside those that do not."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node import rundir
from primus.node.checks import smoke
from primus.node.checks.smoke import Least, Settings, Trial, judge

WORKER = """#!{python} -IS
import json, os, signal, sys, time
def say(stage, **values):
    print(json.dumps({{"stage": stage, "values": values, "model": "Some GPU"}}), flush=True)
rank = os.environ["RANK"]
def here():
    open(f"{{os.path.dirname(sys.argv[-1])}}/here-{{rank}}", "w").close()
{body}
"""

Try = Callable[[str], list[dict[str, object]]]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """The rows of a node with two devices, whose processes run this text: `here()` in it is where they are to come."""

    def run(body: str) -> list[dict[str, object]]:
        program = tmp_path / "worker"
        program.write_text(WORKER.format(python=sys.executable, body=body))
        program.chmod(0o755)
        for within in (1.0, 10.0, 60.0):  # to come there takes what it takes
            for earlier in tmp_path.glob("here-*"):
                earlier.unlink()
            began = time.time()
            smoke.run(Settings(within, 0.1, "cpu", None, str(program), 2, ()), tmp_path, 0)
            if [path.stat().st_mtime < began + within / 2 for path in tmp_path.glob("here-*")] == [True] * 2:
                break
        report = json.loads((tmp_path / rundir.checks_report(0, "smoke")).read_text())
        rows: list[dict[str, object]] = report["rows"]
        return rows

    monkeypatch.setattr(smoke, "_COMPANY", 0.1)
    return run


def test_one_that_hangs_is_named_with_its_stage_and_the_one_that_waits_for_it_passes(tried: Try) -> None:
    healthy, hung = tried(
        "say('gemm')\n"
        "if rank == '1': here(); os.kill(os.getpid(), signal.SIGSTOP)\n"
        "say('all_reduce', gemm=3.0); here()\n"
        "time.sleep(600)"
    )
    assert (healthy["state"], healthy["gemm"], healthy["all_reduce"]) == ("pass", 3.0, None)
    assert healthy["gemm_least"] is None  # nothing is demanded of this device
    assert hung["state"] == "fail"
    assert re.fullmatch(r"hung, killed after \d+ s in gemm", str(hung["why"]))


def test_one_that_breaks_is_told_by_its_last_words_and_the_others_do_not_wait_for_it(tried: Try) -> None:
    waits, broke = tried(
        "say('gemm')\n"
        "if rank == '1': here(); sys.exit('CUDA error: out of luck')\n"
        "say('all_reduce', gemm=3.0); here()\n"
        "time.sleep(600)"
    )
    assert broke["why"] == "ended with exit code 1 in gemm: CUDA error: out of luck"
    assert waits["state"] == "pass"


def test_all_hang_together(tried: Try) -> None:
    rows = tried("say('all_reduce', gemm=3.0); here()\ntime.sleep(600)")
    assert all(re.fullmatch(r"hung, killed after \d+ s in all_reduce", str(row["why"])) for row in rows)


def test_nonsense_is_no_result(tried: Try) -> None:
    rows = tried('print(\'[1, 2]\'); print(\'{"stage": "end", "values": {"gemm": "fast"}}\'); here()')
    assert {row["state"] for row in rows} == {"fail"}


@pytest.mark.parametrize(
    ("gemm", "why"), [(573.0, "gemm 573 TFLOP/s, at least 574 expected"), (681.5, ""), (float("nan"), "gemm nan")]
)
def test_less_than_the_profile_demands_fails(gemm: float, why: str) -> None:
    trial = Trial("gpu 0", stage="end", values={"gemm": gemm, "memory": 4191.4}, model="NVIDIA H200")
    other = Least(("*MI300X*",), 9e9, 9e9, None)
    judge([trial], [other, Least(("NVIDIA H200",), 573.91, 3552.0, None)], 90.0)
    assert trial.why.startswith(why)
    assert bool(trial.why) == bool(why)
    assert trial.least == {"gemm": 573.91, "memory": 3552.0}


@pytest.mark.parametrize(("count", "judged"), [(8, True), (2, False)])
def test_what_all_gpus_of_a_node_reach_together_is_demanded_of_all_alone(count: int, judged: bool) -> None:
    trials = [Trial(f"gpu {n}", stage="end", values={"all_reduce": 100.0}, model="MI300X OAM") for n in range(count)]
    judge(trials, [Least(("*MI300X*",), None, None, 182.4, gpus=8)], 90.0)
    assert [bool(trial.why) for trial in trials] == [judged] * count


def test_what_nothing_is_demanded_of_is_said_not_to_be_judged() -> None:
    trial = Trial("gpu 0", stage="end", values={"gemm": 700.0, "memory": 4000.0}, model="NVIDIA H200")
    judge([trial], [Least(("NVIDIA H200",), 573.91, None, None)], 90.0)
    assert (smoke.row("n", trial)["state"], smoke.row("n", trial)["unjudged"]) == ("pass", "memory")
