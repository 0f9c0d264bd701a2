"""The README is true: what it says to type works."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from primus.node import manifest
from tests.conftest import Primus

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
USES = [re.split(r"\s{2,}", line)[0] for line in README.splitlines() if line.startswith("primus ")]


def test_there_are_two_commands_and_examples_of_use() -> None:
    assert len(BLOCKS) == 2
    assert len(USES) >= 8


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for the examples that name one."""
    place = tmp_path_factory.mktemp("recorded")
    words = [sys.executable, "-m", "primus", "task=command", "task.command=[env]", "tracking.enabled=false"]
    subprocess.run(words, cwd=place, check=True, capture_output=True, timeout=120)
    return next((place / "outputs/default").iterdir())


@pytest.mark.parametrize("use", USES)
def test_an_example_of_use_can_be_planned(use: str, primus: Primus, work: Path, recorded: Path) -> None:
    (work / "docs").mkdir()
    (work / "docs/a.md").write_text("text")
    (work / "saved/step-1").mkdir(parents=True)  # a checkpoint may be named as a run, or as a folder
    for name in (".metadata", "__0_0.distcp"):
        (work / "saved/step-1" / name).write_text("content")
    manifest.write(work / "saved/step-1", 0, 1)  # it is whole by its checksums
    use = use.replace("checkpoint=<run>", "checkpoint=saved")
    words = shlex.split(re.sub(r"(outputs/default/)?<run>", str(recorded), use))[1:]
    said = primus(*words, *([] if "--help" in words else ["dry_run=true"]))
    assert said.code == 0, said.err
    assert said.out


@pytest.mark.install
@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.timeout(1800)
def test_the_first_command_ends_in_a_trained_model(tmp_path: Path) -> None:
    tree = tmp_path / "primus"
    root = Path(__file__).parents[1]
    files = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, files.stdout.decode().split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_file():
            (tree / name).write_bytes((root / name).read_bytes())
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "MLFLOW"))}
    clean["PIP_NO_COMPILE"] = "0"  # that is: do not compile. One module in ten is ever imported
    subprocess.run(["bash", "-euo", "pipefail", "-c", BLOCKS[0]], cwd=tree, env=clean, check=True, timeout=1700)
    run = next((tree / "outputs/default").iterdir())
    result = json.loads((run / "result.json").read_text())
    losses = [json.loads(line)["loss"] for line in (run / "metrics/rank-0.jsonl").read_text().splitlines()]
    assert result["status"] == "FINISHED"
    assert len(losses) >= 100
    assert sum(losses[-10:]) / 10 < 0.6 * losses[0]
    assert json.loads((run / "record.json").read_text())["complete"]
