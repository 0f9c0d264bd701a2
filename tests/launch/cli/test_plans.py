"""The plans of whole command lines: what is asked for arrives."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from primus.node.plan import Plan, from_json

from ...conftest import PATIENCE, Primus, Rank

NATIVE = "defaults:\n  - override /data: mock\nexperiment: {name: mine}\ntask: {steps: 7, optimizer: {lr: 1e-3}}\n"


@pytest.fixture(autouse=True)
def experiment(work: Path) -> None:
    (work / "c.yaml").write_text(NATIVE)


def plan(cli: Primus, line: str) -> Plan:
    said = cli(*shlex.split(line), "dry_run=json")
    assert said.code == 0, said.err
    return from_json(said.out)


def sbatch(of: Plan) -> str:
    return next(file.text for file in of.files if file.path == "job.sbatch")


def test_a_direct_training(cli: Primus, work: Path) -> None:
    made = plan(cli, "direct -- train pretrain --config c.yaml")
    assert made.task == "train/pretrain"
    assert (made.config["task"]["steps"], made.config["task"]["optimizer"]["lr"]) == (7, 0.001)
    assert (made.config["data"]["name"], made.config["runtime"]["name"]) == ("mock", "direct")
    assert Path(made.directory).parent == work / "outputs/mine"


def test_a_training_in_a_container_with_a_mount_and_a_secret(cli: Primus, work: Path) -> None:
    line = "container --image I --mount /data:/data --env HF_TOKEN=hf_secret -- train pretrain --config c.yaml"
    made = plan(cli, line)
    assert made.container
    assert (made.container.engine, made.container.image) == ("docker", "I")
    assert [(m.source, m.target) for m in made.container.mounts] == [("/data", "/data")]
    assert [(v.name, v.value) for v in made.environment[-1].variables] == [("HF_TOKEN", None)]
    assert "hf_secret" not in cli(*shlex.split(line), "--dry-run").out


def test_a_training_on_two_nodes_in_a_container(cli: Primus) -> None:
    line = "slurm srun -N 2 -p gpu-test -- container --image I -- train pretrain --config c.yaml"
    made = plan(cli, f"{line} backend.python=python3")
    assert (made.job.nodes, made.config["runtime"]["detach"]) == (2, False)
    assert made.container
    assert made.container.image == "I"
    assert "#SBATCH --nodes=2\n" in sbatch(made)
    assert "#SBATCH --partition=gpu-test\n" in sbatch(made)


def test_a_batch_job_of_64_nodes(cli: Primus) -> None:
    line = (
        "slurm sbatch -N 64 -p gpu-prod -t 72:00:00 --job-name=deepseek-v2-prod -o logs/train_%j.log "
        "-- container --image I -- train pretrain --config c.yaml"
    )
    made = plan(cli, line)
    assert (made.job.nodes, made.config["runtime"]["detach"]) == (64, True)
    assert made.config["runtime"]["output"] == "logs/train_%j.log"
    script = sbatch(made)
    for option in ("nodes=64", "partition=gpu-prod", "time=72:00:00", "job-name=deepseek-v2-prod"):
        assert f"#SBATCH --{option}\n" in script


@pytest.mark.parametrize(
    ("line", "task", "settings"),
    [
        ("direct -- benchmark gemm -M 8192 -N 8192 -K 8192", "benchmark/gemm", {"m": 8192, "n": 8192, "k": 8192}),
        ("direct -- benchmark gemm --dtype bf16 -M 8192", "benchmark/gemm", {"m": 8192, "dtypes": ["bf16"]}),
        ("container --image I -- benchmark gemm -M 4096 -N 4096 -K 4096", "benchmark/gemm", {"k": 4096}),
        ("direct -- preflight --host --gpu --network", "preflight", {"checks": ["host", "gpu", "network"]}),
        ("direct -- preflight check --gpu --network", "preflight", {"checks": ["gpu", "network"]}),
        ("direct -- node_smoke", "smoke", {}),
        ("direct -- analyze topology --visualize", "analyze/topology", {}),
        ("direct -- benchmark rccl", "benchmark/collectives", {}),
        ("direct -- benchmark attention", "benchmark/attention", {}),
    ],
)
def test_a_benchmark_a_check_or_an_analysis(cli: Primus, line: str, task: str, settings: dict[str, Any]) -> None:
    made = plan(cli, f"{line} backend.python={sys.executable}" if "container" in line else line)
    assert made.task == task
    known = made.config["task"]
    assert {key: known[key] for key in settings} == settings, known


def test_a_benchmark_on_two_nodes_measures_every_device_of_both(cli: Primus) -> None:
    made = plan(cli, "slurm srun -N 2 -- benchmark gemm -M 16384 -N 16384 -K 16384")
    assert (made.task, made.config["task"]["n"]) == ("benchmark/gemm", 16384)
    assert (made.job.nodes, made.job.ranks_per_node) == (2, None)
    assert plan(cli, "slurm srun -N 1 -- benchmark gemm -M 16384").job.ranks_per_node == 1


def test_a_patch_file_runs_before_the_task(cli: Primus, work: Path) -> None:
    (work / "fixes").mkdir()
    (work / "fixes/workaround_rccl.sh").write_text("echo env.NCCL_ALGO=Ring\n")
    made = plan(cli, "direct --patch fixes/workaround_rccl.sh -- train pretrain --config c.yaml")
    (patch,) = [hook for hook in made.hooks if hook.patch]
    assert (patch.name, patch.phase) == ("fixes/workaround_rccl.sh", "before")


def test_a_replay_takes_the_task_of_the_run(cli: Primus, primus: Primus, rank: Rank, work: Path) -> None:
    assert primus(*rank("print(1)"), "tracking.enabled=false", "runtime=direct").code == 0
    (run,) = (work / "outputs/default").iterdir()
    made = plan(cli, f"direct -- train pretrain --replay outputs/default/{run.name}/ env.set.A=1")
    assert (made.replay_of, made.task) == (run.name, "command")
    assert [(v.name, v.value) for v in made.environment[-1].variables] == [("A", "1")]


def test_dry_run_prints_the_command_of_primus_and_its_plan(cli: Primus) -> None:
    said = cli("--dry-run", "direct", "--", "train", "pretrain", "--config", "c.yaml")
    assert said.code == 0
    command = said.err.strip().splitlines()[-1].removeprefix("primus-cli: ")
    assert shlex.split(command)[0] == "primus"
    assert said.out.startswith("task          train/pretrain with torchtitan\n")
    assert "task.steps=7" in shlex.split(command)


def entry(work: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    code = f"import sys; sys.argv[:] = ['primus-cli', *{words!r}]; from primus.cli import primus_cli; primus_cli()"
    environ: dict[str, Any] = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = [sys.executable, "-c", code]
    return subprocess.run(done, cwd=work, env=environ, text=True, capture_output=True, timeout=PATIENCE, check=False)


def test_the_entry_point_ends_with_the_exit_code_and_one_line(work: Path) -> None:
    done = entry(work, "direct", "--dbug", "--", "train", "pretrain")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "primus-cli: direct: there is no flag --dbug. Did you mean '--debug'?\n"


def test_help_names_every_task_and_flag(cli: Primus) -> None:
    for words in ((), ("--help",), ("slurm", "--help")):
        said = cli(*words)
        assert said.code == 0
        for text in ("benchmark gemm", "node_smoke", "--nodes, -N", "--image", "--single"):
            assert text in said.out
