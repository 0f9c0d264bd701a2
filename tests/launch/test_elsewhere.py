"""Hydra's other launchers run Primus's jobs in processes of their own: how a job ended is how the command ends."""

import os
from pathlib import Path

import pytest

from ..conftest import Primus, Rank, everything
from .sweep.test_sweep import OFF

LOCAL = ("-m", "hydra/launcher=submitit_local", OFF)
ENDS = "import os; raise SystemExit(int(os.environ['CODE']))"


def statuses(work: Path) -> list[str]:
    results = [path.read_text() for path in work.glob("outputs/default/*/result.json")]
    return sorted(word for text in results for word in ("FINISHED", "FAILED") if f'"status": "{word}"' in text)


def test_a_sweep_whose_jobs_do_well_ends_well(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*LOCAL, *rank(ENDS), "env.set.CODE=0")
    assert (said.code, said.err) == (0, "")
    assert statuses(work) == ["FINISHED"]


def test_a_job_that_fails_is_the_commands_failure(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*LOCAL, *rank(ENDS), "env.set.CODE=0,3")
    assert said.code == 1
    assert f"primus: the job in {work}/outputs/default/" in said.err
    assert said.err.endswith(" ended with exit code 1\n")
    assert statuses(work) == ["FAILED", "FINISHED"]


def test_a_request_that_is_wrong_is_answered_as_ever(primus: Primus, rank: Rank, work: Path) -> None:
    said = primus(*LOCAL, *rank(ENDS), "ranks_per_node=x")
    assert said.code == 2
    assert (
        "primus: ranks_per_node: expected a whole number, got 'x' (text)  (command line: ranks_per_node=x)" in said.err
    )
    assert statuses(work) == []


def test_a_choice_that_is_wrong_is_refused_before_any_job_starts(primus: Primus, work: Path) -> None:
    said = primus(*LOCAL, "model=tiny,tinny")
    assert (said.code, "model=tinny: there is no model of that name" in said.err) == (2, True)
    assert everything(work) == []


def test_what_such_a_launcher_cannot_do_is_said_without_a_traceback(
    primus: Primus, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("srun", "sbatch"):
        program = work / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'sbatch: error: no luck' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{work}/bin:{os.environ['PATH']}")
    said = primus("-m", "hydra/launcher=submitit_slurm", "task.steps=1")
    assert said.code == 1
    assert said.err == "sbatch: error: no luck\nprimus: hydra/launcher=submitit_slurm: sbatch: error: no luck\n"


@pytest.mark.parametrize("launcher", ["submitit_local", "submitit_slurm"])
@pytest.mark.parametrize("sweeper", ["primus", "basic"])
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("dry_run=true", "dry_run: "),
        ("env.set.HF_TOKEN=hf_canary,hf_canary12345", "env.set.HF_TOKEN: "),
        ("env.set={HF_TOKEN: hf_canary12345}", "env.set: "),
        ("tracking.uri=http://me:hf_canary12345@host", "tracking.uri: "),
    ],
)
def test_what_another_process_cannot_do_is_refused_and_nothing_is_written(
    primus: Primus, work: Path, launcher: str, sweeper: str, word: str, said: str
) -> None:
    ended = primus("-m", f"hydra/launcher={launcher}", f"hydra/sweeper={sweeper}", "task.steps=1,2", word)
    assert ended.code == 2
    assert ended.err.startswith(f"primus: {said}hydra/launcher={launcher} ")
    assert "hf_canary" not in ended.err
    assert everything(work) == []


def test_a_secret_of_a_file_is_refused_too_and_a_reference_to_one_is_none(primus: Primus, work: Path) -> None:
    (work / "conf/experiment").mkdir(parents=True)
    file = work / "conf/experiment/mine.yaml"
    words = ("-m", "hydra/launcher=submitit_local", "--config-dir", "conf", "experiment=mine")
    file.write_text("# @package _global_\nenv: {set: {HF_TOKEN: hf_canary12345}}\n")
    assert primus(*words).err.startswith("primus: env.set.HF_TOKEN: hydra/launcher=submitit_local writes")
    file.write_text("# @package _global_\nenv: {set: {HF_TOKEN: '${oc.env:NO_SUCH}'}}\n")
    assert "hydra/launcher" not in primus(*words, "model=tiny,tinny").err
