"""How far ranks have come, by their metrics."""

from pathlib import Path
from typing import Any

import pytest

from primus.node import progress, rundir


@pytest.mark.parametrize(
    ("step", "meant"),
    [(7, 7), (7.0, 7), (-0.0, 0), (7.5, None), (True, None), ("7", None), (None, None), (float("inf"), None)],
)
def test_a_step_is_a_whole_number_however_it_was_written(step: Any, meant: int | None) -> None:
    assert progress.step_of({"step": step}) == meant


def test_the_last_step_is_the_furthest_of_all_ranks_since_they_started(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / rundir.rank_metrics(0)).write_text('{"step": 900}\n{"step": 12.0}\n[]\n{"step": 12.5}\n{"st')
    (tmp_path / rundir.rank_metrics(1)).write_text('{"step": 11}\n')
    assert progress.last_step(tmp_path, {0: 14, 1: 0, 2: 0}) == 12
    assert progress.last_step(tmp_path, {1: 13, 2: 0}) is None
