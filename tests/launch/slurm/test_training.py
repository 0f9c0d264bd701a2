"""A real training on a real Slurm that is asked to stop in the middle."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ...cluster.slurm import Slurm
from ...conftest import PATIENCE, Start
from .following import job_of, read, soon

pytestmark = [pytest.mark.slurm, pytest.mark.torch, pytest.mark.slow]
STEPS = 60
TINY = (
    *("runtime=slurm", "tracking.enabled=false", "runtime.frozen=false", "env.set.OMP_NUM_THREADS=1"),
    *(f"task.steps={STEPS}", "task.sequence_length=64", f"data.files={Path(os.__file__).parent}/ab*.py"),
)

# In the rank: after its third step it waits until it is asked to stop.
ASKED_IN_THE_MIDDLE = """
import os, time
write = os.write
def waiting(descriptor, data):
    written = write(descriptor, data)
    while b'"step": 3,' in data and not os.path.exists(os.environ["PRIMUS_STOP_FILE"]):
        time.sleep(0.01)
    return written
os.write = waiting
"""


def lines(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics/rank-0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_training_that_is_asked_to_stop_is_requeued_and_its_losses_are_those_of_an_uninterrupted_one(
    start: Start, slurm: Slurm, work: Path
) -> None:
    (work / "sitecustomize.py").write_text(ASKED_IN_THE_MIDDLE)
    path = f"env.set.PYTHONPATH={work}"
    stopped = start(*TINY, "runtime.requeue=true", "experiment.name=stopped", path)
    job = job_of(work, "stopped")
    whole = start(*TINY, "experiment.name=whole")
    (run,) = (work / "outputs/stopped").iterdir()
    soon(lambda: len(lines(run)) >= 3)
    slurm.ask("scancel", "--batch", "--signal=USR1", job)
    out, err = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == 0, out + err
    _, err = whole.communicate(timeout=PATIENCE)
    assert whole.returncode == 0, err
    (other,) = (work / "outputs/whole").iterdir()
    saved = read(run / "attempts/1/nodes/0.json")["outcome"]
    assert (saved["status"], saved["message"]) == ("finished", "stopped on request")
    assert int(out.split("primus: stopped on request at step ")[1].split(";")[0]) < STEPS
    assert [line["step"] for line in lines(run)] == [*range(1, STEPS + 1)]
    assert [line["loss"] for line in lines(run)] == [line["loss"] for line in lines(other)]
