"""bench/soak.py, short: it is to find what is lost, and its full figures are in bench/README.md."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    spec = spec_from_file_location("soak", REPOSITORY / "bench/soak.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules["soak"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


@pytest.mark.parametrize(
    ("seen", "steady", "sound"),
    [
        ([100.0] * 50, [100.0] * 50, True),
        ([100.0] * 50, [100.0 + n for n in range(50)], True),  # caches that fill
        ([100.0] * 50, [100.0 + 2 * n for n in range(50)], False),
        ([15.0 + 5 * n for n in range(50)], [260.0] * 30, True),  # imports
        ([15.0 + 5 * n for n in range(50)], [], True),
        ([15.0 + 5 * n for n in range(50)], [100.0, 300.0], True),
    ],
)
def test_a_process_whose_memory_grows_once_all_is_imported_is_not_sound(
    soak: ModuleType, seen: list[float], steady: list[float], sound: bool
) -> None:
    figures = soak.Figures(
        "a", 1.0, 8, 0, 0, "ok", {"recorder": soak.memory(seen, steady), "agent": soak.memory([15.0], [])}
    )
    assert figures.sound is sound
    assert figures.memory["recorder"].most == max(seen)


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
