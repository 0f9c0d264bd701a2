"""`resume=`, `checkpoint=` and `task.checkpoint.load` judge checkpoints before anything is started."""

from pathlib import Path

import pytest

from primus.launch import checkpoints, rundirectory
from primus.launch.problems import BadRequest
from primus.node import manifest
from primus.node.plan import from_json

from ..conftest import Primus

SMALL = ("dry_run=true", "task.steps=1")


@pytest.fixture
def folder(work: Path) -> Path:
    """Two whole checkpoints of TorchTitan's, by their checksums."""
    for step in (5, 10):
        path = work / f"saved/step-{step}"
        path.mkdir(parents=True)
        for name in (".metadata", "__0_0.distcp"):
            (path / name).write_text("content")
        manifest.write(path, 0, 1)
    return work / "saved"


def named(path: Path) -> str:
    return checkpoints.folder("checkpoint", str(path), "torchtitan", "outputs", path)


def test_a_folder_of_checkpoints_or_one_of_them_serves(folder: Path) -> None:
    assert named(folder) == str(folder)
    assert named(folder / "step-5") == str(folder / "step-5")
    (folder / "step-10/__0_0.distcp").unlink()
    assert named(folder) == str(folder), "there is another"


def test_one_of_a_run_that_was_not_begun_here_is_warned_of(folder: Path) -> None:
    assert checkpoints.cautions(None) == ()
    assert checkpoints.cautions(str(folder)) == (), "it is this user's, of no run"
    (folder.parent / "plan.json").touch()  # without a handle of ours, as what was unpacked or copied
    (note,) = checkpoints.cautions(str(folder))
    assert note.warning
    assert note.text == (
        f"{folder} is not of a run that you began here: load it only if you trust who made it, for it can run programs"
    )


def test_one_that_is_damaged_is_refused_with_what_is_wrong(primus: Primus, folder: Path) -> None:
    (folder / "step-10/__0_0.distcp").write_text("")
    said = primus(*SMALL, "task.checkpoint.load=saved/step-10")
    assert said.code == 2
    named = f"primus: task.checkpoint.load=saved/step-10: {folder}/step-10"
    assert said.err == f"{named} is not complete: __0_0.distcp has 0 bytes, of 7\n"
    (folder / "step-5/.metadata").unlink()
    said = primus(*SMALL, "task.checkpoint.load=saved")
    assert said.code == 2
    assert said.err == (
        f"primus: task.checkpoint.load=saved: {folder} holds no complete checkpoint: step-10: __0_0.distcp has 0 "
        "bytes, of 7; step-5: .metadata is missing\n"
    )


def test_a_folder_without_any_says_so(work: Path) -> None:
    (work / "notes").mkdir()
    with pytest.raises(BadRequest, match="there is no checkpoint in"):
        named(work / "notes")
    (work / "notes/read.me").touch()
    with pytest.raises(BadRequest, match="holds no complete checkpoint: there is none"):
        named(work / "notes")


def test_a_run_whose_checkpoints_are_all_damaged_is_not_resumed(primus: Primus, folder: Path, work: Path) -> None:
    said = primus("dry_run=json", "task.steps=1")
    assert said.code == 0
    plan = from_json(said.out)
    run = work / "outputs/default" / plan.run_id
    rundirectory.write(plan, run)
    folder.rename(run / "checkpoints")
    assert primus(f"resume={run}", "dry_run=true").code == 0
    for path in run.glob("checkpoints/*/__0_0.distcp"):
        path.unlink()
    said = primus(f"resume={run}", "dry_run=true")
    assert said.code == 2
    assert f"primus: resume={run}: {run}/checkpoints holds no complete checkpoint: step-10: __0_0.distcp is" in said.err
    assert "To begin from scratch all the same, move that folder away" in said.err
    assert (run / "checkpoints/step-10").is_dir()
