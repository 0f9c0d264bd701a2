"""bench/soak.py, short: it is to find what is lost, and its full figures are in bench/README.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.mlflow
def test_a_short_soak_loses_nothing_and_leaves_a_sound_database(work: Path) -> None:
    argv = [sys.executable, str(REPOSITORY / "bench/soak.py"), "--jobs=5", "--ranks=2", "--lines=500", "--json=figures"]
    ended = subprocess.run(argv, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    sweep, much = json.loads((work / "figures").read_text())
    assert (sweep["written"], much["written"]) == (5 * 20 * 2, 2 * 500 * 2)
    assert all((f["missing"], f["extra"], f["integrity"]) == (0, 0, "ok") for f in (sweep, much))
    assert all(set(f["memory"]) == {"agent", "launcher", "recorder"} for f in (sweep, much))
