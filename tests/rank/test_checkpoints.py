"""All ranks go on from the checkpoint that rank 0 names, once each has read its share of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from primus.node import manifest
from primus.node.typed import plain
from primus.rank import checkpoints
from tests import neutral

from ..conftest import port

ROOT = Path(__file__).parents[2]
# A rank without a framework, which listens at MASTER_PORT afterwards as one would; it prints what was agreed on.
RANK = """
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from primus.rank import checkpoints
from primus.rank.problems import Refused
try:
    found = checkpoints.own(json.loads(sys.argv[2]), "maxtext")
except Refused as refused:
    sys.exit(f"refused with {refused.exit_code}: {refused}")
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if os.environ["RANK"] == "0":
    with socket.create_server(address) as server:
        for _ in range(int(os.environ["WORLD_SIZE"]) - 1):
            server.accept()[0].close()
else:
    while True:
        try:
            with socket.create_connection(address) as connection:
                break
        except ConnectionRefusedError:
            pass
    assert connection is not None
print(found.step if found else None)
"""


def rank_file(folder: Path, **changes: Any) -> dict[str, Any]:
    asked = plain(neutral.checkpoint(directory=str(folder), **changes))
    return {"checkpoint": asked, "evaluation": {"only": False}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 1 to 4, by two ranks, with checksums."""
    for number in range(4):
        for rank in (0, 1):
            (tmp_path / f"{number}/ocdbt.process_{rank}").mkdir(parents=True)
            (tmp_path / f"{number}/ocdbt.process_{rank}/data").write_text("weights")
        (tmp_path / f"{number}/_CHECKPOINT_METADATA").write_text("{}")
        for rank in (0, 1):
            manifest.write(tmp_path / str(number), rank, 2)
    return tmp_path


Ranks = Callable[..., list[str]]


@pytest.fixture
def ranks(folder: Path) -> Ranks:
    """What each of several real processes says in the end."""

    def run(world: int = 2, **changes: Any) -> list[str]:
        meeting = str(port())
        processes = [
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", RANK, str(ROOT), json.dumps(rank_file(folder, **changes))],
                env={
                    "RANK": str(rank),
                    "WORLD_SIZE": str(world),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": meeting,
                    "PRIMUS_RUN_ID": "a-run",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(world)
        ]
        return [process.communicate(timeout=120)[0] for process in processes]

    return run


def test_every_rank_goes_on_from_the_newest_that_no_rank_finds_changed(ranks: Ranks, folder: Path) -> None:
    (folder / "3/ocdbt.process_1/data").write_text("Weights")  # as long as it was: rank 1 alone reads it
    (folder / "2/ocdbt.process_0/data").unlink()
    first, second, third = ranks(world=3)
    assert first.splitlines()[-1] == second.strip() == third.strip() == "2"
    warned = [line for line in first.splitlines() if line.startswith("WARNING")]
    assert len(warned) == 2
    assert f"{folder}/3: ocdbt.process_1/data is not what was written: its CRC-32 is " in warned[0]
    assert warned[1] == (
        f"WARNING a checkpoint is passed over: {folder}/2: ocdbt.process_0/data is missing; it is now "
        f"{folder}/passed-over/2"
    )
    assert f"INFO goes on from the checkpoint of step 2: {folder}/1" in first
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "passed-over"]
    assert (folder / "passed-over/3/ocdbt.process_1/data").read_text() == "Weights", "nothing is lost"


def test_nobody_begins_anew_where_every_checkpoint_is_damaged(ranks: Ranks, folder: Path) -> None:
    for number in range(4):
        (folder / str(number) / "ocdbt.process_1/data").write_text("")
    said = ranks()
    assert said[0] == said[1], "all ranks end with the same words"
    assert said[0].startswith(
        f"refused with 3: the checkpoints of this run: {folder} holds no complete checkpoint: 3: "
    )
    assert "ocdbt.process_1/data has 0 bytes, of 7" in said[0]
    assert "To begin from scratch all the same, move that folder away" in said[0]
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "2", "3"]


def test_a_run_that_was_ended_within_its_first_save_begins_anew(ranks: Ranks, folder: Path) -> None:
    for number in range(1, 4):
        for path in sorted((folder / str(number)).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (folder / str(number)).rmdir()
    for part in (*folder.glob("0/primus-*.json"), folder / "0/_CHECKPOINT_METADATA"):
        part.unlink()
    (folder / "0").rename(folder / "0.orbax-checkpoint-tmp-1")
    first, second = ranks()
    assert first.splitlines()[-1] == second.strip() == "None"
    assert "it was not written to its end" in first


def test_without_checksums_sizes_alone_count(ranks: Ranks, folder: Path) -> None:
    (folder / "3/ocdbt.process_1/data").write_text("Weights")
    assert [said.splitlines()[-1] for said in ranks(checksums=False)] == ["4", "4"]


def test_only_whole_checkpoints_count_as_kept_and_none_but_those_are_removed(folder: Path) -> None:
    (folder / "2/ocdbt.process_0/data").unlink()
    (folder / "7.orbax-checkpoint-tmp-1").mkdir()
    removed = checkpoints.retire(folder, "maxtext", 2)
    assert [path.name for path in removed] == [".removed-0"]
    assert sorted(path.name for path in folder.iterdir()) == [".removed-0", "1", "2", "3", "7.orbax-checkpoint-tmp-1"]
    assert checkpoints.retire(folder, "maxtext", 2) == removed, "what a killed rank has not removed is found again"
    assert checkpoints.retire(folder, "maxtext", 0) == []


def test_a_checkpoint_to_load_is_judged_and_left_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    (folder / "3/ocdbt.process_1/data").write_text("")
    for load in (folder, folder / "2"):
        found = checkpoints.given(rank_file(folder / "own", load=str(load)), "maxtext")
        assert found
        assert found.path == folder / "2"
    with pytest.raises(checkpoints.Refused, match=r"/3 is not complete: ocdbt\.process_1/data has 0 bytes, of 7"):
        checkpoints.given(rank_file(folder / "own", load=str(folder / "3")), "maxtext")
    assert (folder / "3").is_dir()
    assert os.listdir(folder / "3")
