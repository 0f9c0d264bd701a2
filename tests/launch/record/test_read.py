"""A run directory from the id of an MLflow run."""

import shutil
from pathlib import Path

import pytest

from primus.launch.outcome import write_result
from primus.launch.record.__main__ import main
from primus.launch.record.files import read_json
from primus.launch.record.read import fetch_run
from primus.launch.record.store import Store
from primus.node import rundir
from primus.node.plan import from_json

from .run_directories import START, end_nodes, make_run

pytestmark = pytest.mark.mlflow


@pytest.fixture
def recorded(root: Path) -> Path:
    directory = root / "exp" / "run"
    make_run(directory)
    end_nodes(directory)
    write_result(directory, START, interrupted=False)
    assert main(["--directory", str(directory), "--once"]) == 0
    return directory


def test_a_run_of_this_machine_is_its_own_directory(recorded: Path, store: Store, root: Path, tmp_path: Path) -> None:
    run_id = read_json(recorded / rundir.RECORD)["run_id"]
    assert fetch_run(run_id, store.uri, root, tmp_path / "cache") == recorded
    assert not (tmp_path / "cache").exists()


def test_a_run_whose_directory_is_gone_comes_from_its_artifacts(
    recorded: Path, store: Store, root: Path, tmp_path: Path
) -> None:
    run_id = read_json(recorded / rundir.RECORD)["run_id"]
    plan = from_json((recorded / rundir.PLAN).read_text())
    shutil.rmtree(recorded)
    for _ in range(2):
        found = fetch_run(run_id, store.uri, root, tmp_path / "cache")
        assert found == tmp_path / "cache" / run_id
        assert from_json((found / rundir.PLAN).read_text()) == plan
        assert read_json(found / rundir.node_facts(0))["host"] == "gpu00"
        assert read_json(found / rundir.RESULT)["status"] == "FINISHED"


def test_an_id_that_no_run_has_gives_none(store: Store, root: Path, tmp_path: Path) -> None:
    assert fetch_run("0" * 32, store.uri, root, tmp_path) is None
    assert fetch_run("not an id", store.uri, root, tmp_path) is None


def test_looking_for_a_run_makes_no_database(tmp_path: Path) -> None:
    assert fetch_run("0" * 32, f"sqlite:///{tmp_path}/outputs/mlflow.db", tmp_path / "outputs", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_primus_did_not_record_gives_none(store: Store, root: Path, tmp_path: Path) -> None:
    foreign = store.create("exp", "by hand", START, {})
    assert fetch_run(foreign.run_id, store.uri, root, tmp_path) is None
