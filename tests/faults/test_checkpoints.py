"""Checkpoints that were damaged, disks that are full, ends within a save: a training goes on from what is whole."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from primus.node import checkpoints
from tests import neutral

from ..conftest import PATIENCE, Start
from ..rank.conftest import Ended, Run, none_is_left, runner

__all__ = ["none_is_left"]  # the fixture, which ends the interpreters that ranks are forked from

pytestmark = [pytest.mark.torch, pytest.mark.slow]

SIX = {"schedule": neutral.schedule(steps=6)}
EVERY = {"checkpoint": neutral.checkpoint(interval=1, keep=0)}

# As the first module that a rank imports: within the save of the second step it says so, and stays there.
STAYS_IN_THE_SECOND = """
import os, signal
really = os.fsync
def fsync(descriptor):
    really(descriptor)
    if "/step-2/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        open(os.environ["WRITING"], "w").close()
        while True:
            signal.pause()
os.fsync = fsync
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return runner(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def whole(base: Run) -> Ended:
    """Six steps on two ranks, with a checkpoint of each of them."""
    ended = base(ranks=2, steps=6, **SIX, **EVERY)
    assert ended.exit_codes == [0, 0], ended.logs
    return ended


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner(tmp_path)


@pytest.fixture
def again(whole: Ended, tmp_path: Path) -> Path:
    """A copy of its directory, for a start that goes on."""
    return Path(shutil.copytree(whole.directory, tmp_path / "again"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_damaged_is_passed_over_by_all_ranks_and_trained_once_more(run: Run, whole: Ended, again: Path) -> None:
    folder = again / "checkpoints"
    flip(folder / "step-6/__1_0.distcp")
    (folder / "step-5/__0_0.distcp").unlink()
    os.truncate(folder / "step-4/__1_0.distcp", 1000)
    (folder / "step-3/.metadata").write_bytes(b"garbage")
    rest = run(ranks=2, steps=6, directory=again, **SIX, **EVERY)
    assert rest.exit_codes == [0, 0], rest.logs
    for step, why in {
        6: "__1_0.distcp is not what was written: its CRC-32 is ",
        5: "__0_0.distcp is missing",
        4: "__1_0.distcp has 1000 bytes, of ",
        3: ".metadata has 7 bytes, of ",
    }.items():
        assert f"WARNING a checkpoint is passed over: {folder}/step-{step}: {why}" in rest.logs[0]
    assert all("Training starts at step 3" in log for log in rest.logs), "all go on from the same one"
    assert [line["loss"] for line in rest.metrics()[-4:]] == whole.losses()[2:]
    assert names(folder / "passed-over") == ["step-3", "step-4", "step-5", "step-6"], "nothing is deleted"
    found = checkpoints.judged(folder, "torchtitan")
    assert (found.whole and found.whole.step, found.passed) == (6, ())


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_in_one_line(run: Run, again: Path) -> None:
    for path in again.glob("checkpoints/step-*/__0_0.distcp"):
        os.truncate(path, 0)
    before = names(again / "checkpoints")
    refused = run(ranks=2, steps=6, directory=again, **SIX, **EVERY)
    assert refused.exit_codes == [3, 3], refused.logs
    for log in refused.logs:
        assert "holds no complete checkpoint: step-6: __0_0.distcp has 0 bytes, of " in log
        assert "To begin from scratch all the same, move that folder away" in log
        assert "Traceback" not in log
    assert names(again / "checkpoints") == before


@pytest.fixture
def small(tmp_path: Path, whole: Ended) -> Iterator[Path]:
    """A file system with room for one checkpoint and a half."""
    size = sum(path.stat().st_size for path in (whole.directory / "checkpoints/step-1").iterdir())
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2}", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_full_at_a_save_ends_the_job_in_one_line_and_the_former_one_serves(
    run: Run, whole: Ended, small: Path
) -> None:
    written = {"checkpoint": neutral.checkpoint(interval=1, keep=0, directory=str(small / "checkpoints"))}
    ended = run(ranks=2, steps=6, **SIX, **written)
    assert ended.exit_codes == [3, 3], ended.logs
    assert f"primus: {small}/checkpoints/step-2 cannot be written: No space left on device" in ended.logs[0]
    assert ended.losses() == whole.losses()[:2]
    subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
    rest = run(ranks=2, steps=6, directory=ended.directory, **SIX, **written)
    assert rest.exit_codes == [0, 0], rest.logs
    assert f"{small}/checkpoints/step-2: it was not written to its end" in rest.logs[0]
    assert "Training starts at step 2" in rest.logs[0]
    assert rest.losses()[-5:] == whole.losses()[1:]


FILLS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from primus.rank.metrics import MetricsFile
metrics = MetricsFile(os.environ["PRIMUS_METRICS"])
filler = open(os.environ["PRIMUS_RUN_DIR"] + "/filler", "wb", buffering=0)
for size in (1 << 16, 1):
    try:
        while True:
            filler.write(bytes(size))
    except OSError:
        pass
for number in range(10_000):
    print("a line for a log on a full disk", number)
metrics.write(1, {"loss": 1.0})
if len(sys.argv) > 2:
    filler.close()
    os.unlink(filler.name)
    metrics.write(2, {"loss": 0.5})
metrics.close()
print("done")
"""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    place = tmp_path / "full"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("freed", [False, True], ids=["to the end", "and then has room again"])
def test_a_run_directory_that_is_full_ends_no_job_and_its_outcome_is_written_all_the_same(
    start: Start, work: Path, full: Path, freed: bool
) -> None:
    (work / "fills.py").write_text(FILLS)
    words = ["python3", "-I", "-S", "fills.py", str(Path(__file__).parents[2]), *(["freed"] if freed else [])]
    off = ("tracking.enabled=false", "node.metrics_interval=0.1")
    process = start("task=command", f"task.command=[{','.join(words)}]", f"output.root={full}/outputs", *off)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert out.count("a line for a log on a full disk") == 10_000
    assert "WARNING metrics wait until there is room for them: No space left on device: " in out
    assert "Traceback" not in out + err
    (run,) = (full / "outputs/default").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert (result["status"], result["step"]) == ("FINISHED", 2 if freed else None)
    assert json.loads((run / "nodes/0.json").read_text())["outcome"]["status"] == "finished"
    losses = [json.loads(line)["loss"] for line in (run / "metrics/rank-0.jsonl").read_text().splitlines()]
    assert losses == ([1.0, 0.5] if freed else [])


TRAINING = (
    *("model.layers=1", "model.hidden_size=64", "model.head_size=8", "model.ffn_size=64", "ranks_per_node=1"),
    *("task.sequence_length=32", "task.steps=3", "task.checkpoint.interval=1", "tracking.enabled=false"),
)


def test_a_command_that_is_ended_within_a_save_goes_on_from_the_one_before(start: Start, work: Path) -> None:
    (work / "first").mkdir()
    (work / "first/sitecustomize.py").write_text(STAYS_IN_THE_SECOND)
    os.mkfifo(work / "writing")
    words: tuple[str, ...] = (*TRAINING, f"env.set.PYTHONPATH={work}/first", f"env.set.WRITING={work}/writing")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(*words)
        (work / "writing").read_bytes()  # until the rank is there
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, err
        (run,) = (work / "outputs/default").iterdir()
        assert {"step-1", "step-2"} <= set(names(run / "checkpoints"))
        words = (f"resume={run}",)
    (work / "first/sitecustomize.py").unlink()
    rest = start(*words)
    out, err = rest.communicate(timeout=PATIENCE)
    assert rest.returncode == 0, err
    assert f"INFO goes on from the checkpoint of step 1: {run}/checkpoints/step-1" in out
    assert json.loads((run / "result.json").read_text())["step"] == 3
    assert names(run / "checkpoints") == ["passed-over", "step-2", "step-3"]
    assert names(run / "checkpoints/passed-over") == ["step-2", "step-2-2"]
