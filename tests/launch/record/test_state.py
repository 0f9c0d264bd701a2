"""record.json: how far a record has come."""

from pathlib import Path

import pytest

from primus.launch.record import state
from primus.launch.record.tail import Position
from primus.node import rundir


def test_a_record_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    record = state.Record(tracking_uri="sqlite:///x", run_id="abc", artifacts=("plan.json",))
    record = record.moved({"metrics/rank-0.jsonl": Position(120, 2)}, broken=1).failed("it was down")
    state.save(tmp_path, record)
    assert state.load(tmp_path, "sqlite:///x") == record
    assert record.position("metrics/rank-0.jsonl") == Position(120, 2)
    assert record.position("metrics/rank-1.jsonl") == Position()


def test_a_record_of_another_mlflow_is_begun_anew(tmp_path: Path) -> None:
    state.save(tmp_path, state.Record(tracking_uri="http://a", run_id="abc", complete=True))
    assert state.load(tmp_path, "http://b") == state.Record(tracking_uri="http://b")


def test_a_record_that_cannot_be_read_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    rundir.write_json(tmp_path / rundir.RECORD, {"tracking_uri": "http://a", "offsets": 3})
    with pytest.raises(ValueError, match="offsets"):
        state.load(tmp_path, "http://a")


def test_the_same_error_is_kept_once_and_old_ones_go() -> None:
    record = state.Record()
    for n in (1, 1, 2, 3, 4, 5, 6, 1):
        record = record.failed(f"error {n}")
    assert record.errors == ("error 3", "error 4", "error 5", "error 6", "error 1")


def test_one_process_at_a_time_records_a_directory(tmp_path: Path) -> None:
    held = state.lock(tmp_path)
    with pytest.raises(state.Busy):
        state.lock(tmp_path)
    held.close()
    state.lock(tmp_path).close()
