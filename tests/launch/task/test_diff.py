"""Where two runs differ, by config, environment and metrics."""

import json
import shutil
from pathlib import Path

import pytest

from primus.launch.replaying import finding
from primus.launch.task.diff import differences, leaves

from ...conftest import Primus, Rank


@pytest.fixture
def two(primus: Primus, rank: Rank, work: Path) -> tuple[Path, Path]:
    """Two runs of one job with a value that differs."""
    assert primus("-m", *rank(METRICS), "tracking.enabled=false", "+env.set.A=1,2").code == 0
    (sweep,) = (work / "outputs/default").iterdir()
    return sweep / "0", sweep / "1"


METRICS = """
import json, os
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    file.write(json.dumps({"time": 1.0, "step": 1, "loss": float(os.environ["A"])}) + "\\n")
"""


def test_leaves_are_named_by_dotted_keys() -> None:
    assert leaves({"a": {"b": 1, "c": {}}, "d": [1, 2], "e": None}) == {
        "a.b": "1",
        "a.c": "{}",
        "d": "[1, 2]",
        "e": "None",
    }


def test_each_kind_of_difference_is_found(two: tuple[Path, Path]) -> None:
    (found_a, found_b) = (finding.from_directory(run) for run in two)
    found = dict(differences(found_a, found_b))
    assert found["config"] == [("env.set.A", "1", "2")]
    assert ("environment A", "1", "2") in found["environment"]
    assert ("loss", "1", "2") in found["metrics"]


def test_the_command_prints_them(primus: Primus, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = primus("task=diff", f"run_a={two[0]}", f"run_b={two[1]}")
    assert (said.code, said.err) == (0, "")
    assert said.out.index("config") < said.out.index("environment") < said.out.index("metrics")
    assert "env.set.A" in said.out


def test_what_is_equal_is_said_to_be(primus: Primus, two: tuple[Path, Path], work: Path) -> None:
    shutil.copytree(two[0], work / "copy")
    said = primus("task=diff", f"run_a={two[0]}", "run_b=copy")
    assert [line for line in said.out.splitlines() if line.endswith(": equal")] == [
        "config: equal",
        "environment: equal",
        "metrics: equal",
    ]


def test_a_run_that_has_not_ended_is_running(two: tuple[Path, Path]) -> None:
    (two[1] / "result.json").unlink()
    found = dict(differences(*(finding.from_directory(run) for run in two)))
    assert ("status", "FINISHED", "RUNNING") in found["metrics"]


@pytest.mark.parametrize("missing", ["run_a", "run_b"])
def test_both_runs_must_be_named(primus: Primus, two: tuple[Path, Path], missing: str) -> None:
    words = [f"{key}={run}" for key, run in zip(("run_a", "run_b"), two, strict=True) if key != missing]
    said = primus("task=diff", *words)
    assert said.code == 2
    assert said.err.startswith(f"primus: task=diff needs two runs: {missing}=")


def test_a_run_that_is_not_there_is_named_by_its_key(primus: Primus, two: tuple[Path, Path]) -> None:
    said = primus("task=diff", f"run_a={two[0]}", "run_b=no/such/run")
    assert (said.code, said.err) == (2, "primus: run_b=no/such/run: there is no such run directory or file.\n")


def test_an_unfinished_metrics_file_is_no_hindrance(two: tuple[Path, Path]) -> None:
    result = json.loads((two[1] / "result.json").read_text())
    (two[1] / "result.json").write_text(json.dumps(result | {"metrics": {}, "step": None}))
    found = dict(differences(*(finding.from_directory(run) for run in two)))
    assert ("loss", "1", "-") in found["metrics"]
