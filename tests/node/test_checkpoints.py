"""Which checkpoint is whole is judged by what lies there, without a framework."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.node import checkpoints, dcp, manifest

SHARD = "__0_0.distcp"
pytestmark = pytest.mark.torch
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one checkpoint, `step-5`, as PyTorch writes it."""
    import torch
    from torch.distributed import checkpoint

    folder = tmp_path_factory.mktemp("written")
    state = {"weight": torch.arange(5000.0), "optimizer": {"state": torch.ones(40, 50)}, "step": 5}
    with pytest.warns(UserWarning, match="in a single process"):
        checkpoint.save(state, checkpoint_id=folder / "step-5", no_dist=True)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """Two checkpoints of one training, `step-5` and `step-10`, both whole, with checksums."""
    for step in (5, 10):
        path = Path(shutil.copytree(written / "step-5", tmp_path / "run" / f"step-{step}"))
        manifest.write(path, 0, 1)
    return tmp_path / "run"


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def without_checksums(checkpoint: Path) -> Path:
    (checkpoint / "primus-0.json").unlink(missing_ok=True)
    return checkpoint


def test_the_newest_whole_one_is_found(folder: Path) -> None:
    (folder / "step-x").mkdir()
    (folder / "step-99").write_text("no folder")
    found = checkpoints.judged(folder, "torchtitan")
    assert found.whole == checkpoints.Checkpoint(10, folder / "step-10", finished=True)
    assert found.passed == ()
    assert checkpoints.judged(folder / "nowhere", "torchtitan") == checkpoints.Judged(None, ())


@pytest.mark.parametrize("checksums", [True, False], ids=["with checksums", "without"])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        pytest.param(lambda path: (path / SHARD).unlink(), f"{SHARD} is missing", id="a shard is gone"),
        pytest.param(lambda path: shorten(path / SHARD), f"{SHARD} has ", id="a shard has lost its end"),
        pytest.param(lambda path: shorten(path / ".metadata"), ".metadata ", id="so has the metadata"),
        pytest.param(lambda path: (path / ".metadata").write_bytes(b""), ".metadata ", id="the metadata is empty"),
    ],
)
def test_one_that_is_damaged_is_passed_over_and_says_why(
    folder: Path, damage: Damage, why: str, checksums: bool
) -> None:
    if not checksums:
        without_checksums(folder / "step-10")
    damage(folder / "step-10")
    found = checkpoints.judged(folder, "torchtitan")
    assert found.whole
    assert found.whole.step == 5
    (passed,) = found.damaged
    assert str(passed).startswith(f"step-10: {why}")


def test_one_that_was_being_written_is_unfinished_and_not_damaged(folder: Path) -> None:
    for step in (5, 10):
        (without_checksums(folder / f"step-{step}") / ".metadata").rename(folder / f"step-{step}/.metadata.tmp")
    found = checkpoints.judged(folder, "torchtitan")
    assert (found.whole, found.damaged) == (None, ())
    assert [str(one) for one in found.passed] == [
        f"step-{step}: it was not written to its end (there is no .metadata)" for step in (10, 5)
    ]


def test_one_that_has_lost_its_marker_is_known_by_its_checksums_to_have_been_whole(folder: Path) -> None:
    (folder / "step-10/.metadata").unlink()
    assert [str(one) for one in checkpoints.judged(folder, "torchtitan").damaged] == ["step-10: .metadata is missing"]


def test_a_single_bit_is_found_by_the_rank_that_reads_its_share(folder: Path) -> None:
    checkpoint = folder / "step-10"
    assert [manifest.changed(checkpoint, rank, 2) for rank in (0, 1)] == [None, None]
    flip(checkpoint / SHARD)
    assert checkpoints.problem(checkpoint, "torchtitan") is None, "sizes alone do not tell"
    said = manifest.changed(checkpoint, 0, 2)
    assert said
    assert said.startswith(f"{SHARD} is not what was written: its CRC-32 is ")
    assert manifest.changed(checkpoint, 1, 2) is None


def test_each_rank_writes_and_reads_what_it_wrote(tmp_path: Path) -> None:
    for name in (".metadata", "__0_0.distcp", "__1_0.distcp", "ocdbt.process_1/d/x", "iter/process_0-of-2.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for rank in (0, 1):
        assert not manifest.complete(manifest.read(tmp_path))
        manifest.write(tmp_path, rank, 2)
    first, second = manifest.read(tmp_path)
    assert sorted(first.files) == [".metadata", "__0_0.distcp", "iter/process_0-of-2.json"]
    assert sorted(second.files) == ["__1_0.distcp", "ocdbt.process_1/d/x"]
    assert manifest.complete([first, second])


@pytest.mark.parametrize(
    "text", ["", "[]", '{"rank": 0, "ranks": 1, "files": {"../x": [1, 2]}}', '{"rank": 0, "ranks": 1, "files": 3}']
)
def test_checksums_that_cannot_be_read_make_no_whole_checkpoint(folder: Path, text: str) -> None:
    (folder / "step-10/primus-0.json").write_text(text)
    assert checkpoints.problem(folder / "step-10", "torchtitan") == "primus-0.json cannot be read"


class Stranger:
    """What its pickle says is run by whoever unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("it-was-run",)


def test_nothing_is_run_that_a_stranger_has_put_into_the_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".metadata").write_bytes(pickle.dumps(Stranger()))
    with pytest.raises(ValueError, match="cannot be read"):
        dcp.least_sizes(tmp_path)
    assert not (tmp_path / "it-was-run").exists()


def test_a_checkpoint_of_megatrons_needs_its_own_marker_too(folder: Path) -> None:
    for step in (5, 10):
        path = without_checksums(folder / f"step-{step}").rename(folder / f"iter_{step:07}")
        (path / "metadata.json").write_text('{"sharded_backend": "torch_dist", "sharded_backend_version": 1}')
    (folder / "latest_checkpointed_iteration.txt").write_text("10")
    assert checkpoints.judged(folder, "megatron").passed == ()
    shorten(folder / "iter_0000010/metadata.json")
    found = checkpoints.judged(folder, "megatron")
    assert found.whole
    assert found.whole.step == 5
    assert str(found.damaged[0]) == "iter_0000010: metadata.json cannot be read"


def test_maxtext_counts_from_0_and_what_orbax_has_not_named_yet_is_unfinished(tmp_path: Path) -> None:
    for name in ("4", "9.orbax-checkpoint-tmp-17"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_CHECKPOINT_METADATA").write_text(json.dumps({"init_timestamp_nsecs": 1}))
    found = checkpoints.judged(tmp_path, "maxtext")
    assert found.whole == checkpoints.Checkpoint(5, tmp_path / "4", finished=True)
    assert [(one.checkpoint.step, one.checkpoint.finished) for one in found.passed] == [(10, False)]
