"""Every line of the grammar that people know, in words of `primus`."""

import shlex
from pathlib import Path

import pytest

from primus.launch import plugins
from primus.launch.cli.main import command
from primus.launch.cli.translate import Translation, translate
from primus.launch.problems import BadRequest

NATIVE = "defaults:\n  - override /data: mock\ntask: {steps: 7}\n"
FILE = ["data=mock", "task.steps=7"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("exp.yaml", "c.yaml", "e.yaml", "config.yaml"):
        (tmp_path / name).write_text(NATIVE)


def told(line: str) -> Translation:
    return translate(shlex.split(line), {})


def words(line: str) -> list[str]:
    return list(told(line).words)


def refusal(line: str) -> str:
    with pytest.raises(BadRequest) as refused:
        told(line)
    return str(refused.value)


TRAIN = "task=train/pretrain"
GEMM = "task=benchmark/gemm"
LINES = {
    "direct -- train pretrain --config exp.yaml": [*FILE, "runtime=direct", TRAIN],
    "direct --debug -- train pretrain --config c.yaml": [*FILE, "runtime=direct", TRAIN, "debug=true"],
    "direct -- benchmark gemm -M 8192 -N 8192 -K 8192": [
        *("runtime=direct", GEMM, "task.m=8192", "task.n=8192", "task.k=8192"),
    ],
    "direct -- benchmark gemm --dtype bf16 -M 8192": ["runtime=direct", GEMM, "task.dtypes=[bf16]", "task.m=8192"],
    "direct -- preflight --host --gpu --network": [
        "runtime=direct",
        "task=preflight",
        "task.checks=[host,gpu,network]",
    ],
    "direct -- preflight check --gpu --network": ["runtime=direct", "task=preflight", "task.checks=[gpu,network]"],
    "direct --patch fixes/workaround_rccl.sh -- train pretrain --config config.yaml": [
        *(*FILE, "runtime=direct", TRAIN, "patches=[fixes/workaround_rccl.sh]"),
    ],
    "direct -- train pretrain --replay output/exp_2025_11_10_134522/": [
        *("runtime=direct", "container=none", "replay=output/exp_2025_11_10_134522/"),
    ],
    "direct -- analyze topology --visualize": ["runtime=direct", "task=analyze/topology"],
    "direct -- node_smoke": ["runtime=direct", "task=smoke"],
    "container --image rocm/primus:v25.10 -- benchmark gemm -M 4096 -N 4096 -K 4096": [
        *("runtime=container", GEMM, "container.image=rocm/primus:v25.10"),
        *("task.m=4096", "task.n=4096", "task.k=4096"),
    ],
    "container --image I --mount /data:/data -- train pretrain --config c.yaml": [
        *(*FILE, "runtime=container", TRAIN, "container.image=I", "container.mounts=[/data:/data]"),
    ],
    'container --image I --env HF_TOKEN="x" -- train pretrain --config e.yaml': [
        *(*FILE, "runtime=container", TRAIN, "container.image=I", "env.set.HF_TOKEN=x"),
    ],
    "slurm srun -N 2 -- benchmark gemm -M 16384 -N 16384 -K 16384": [
        *("runtime=slurm", GEMM, "runtime.nodes=2", "task.m=16384", "task.n=16384", "task.k=16384"),
    ],
    "slurm srun -N 2 -p gpu-test -- container --image I -- train pretrain --config c.yaml": [
        *(*FILE, "runtime=slurm", "container=auto", TRAIN),
        *("runtime.nodes=2", "runtime.partition=gpu-test", "container.image=I"),
    ],
    "slurm sbatch -N 64 -p gpu-prod -t 72:00:00 --job-name=deepseek-v2-prod -o logs/train_%j.log "
    "-- container --image I -- train pretrain --config c.yaml": [
        *(*FILE, "runtime=slurm", "container=auto", "runtime.detach=true", TRAIN, "runtime.nodes=64"),
        *("runtime.partition=gpu-prod", "runtime.time=72:00:00", "runtime.job_name=deepseek-v2-prod"),
        *("container.image=I", "runtime.output=logs/train_%j.log"),
    ],
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_becomes_these_words(line: str) -> None:
    assert sorted(words(line)) == sorted(LINES[line])
    assert words(line)[: len(FILE)] == FILE or "config" not in line


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            "--op all_reduce alltoall --dtype bf16,fp32",
            ["task.operations=[all_reduce,all_to_all]", "task.dtypes=[bf16,fp32]"],
        ),
        ("--sizes 1K,1M --iters 50 --warmup 5", ["task.sizes=[1K,1M]", "task.iterations=50", "task.warmup=5"]),
        ("--min-bytes 1M --max-bytes 1G", ["task.sizes={from:1M,to:1G,factor:2}"]),
        ("task.iterations=7", ["task.iterations=7"]),
    ],
)
def test_rccl_is_the_benchmark_of_collectives(flags: str, expected: list[str]) -> None:
    expected = [*expected, "runtime=direct", "task=benchmark/collectives"]
    assert sorted(words(f"direct -- benchmark rccl {flags}")) == sorted(expected)


def test_other_benchmarks_have_their_names() -> None:
    assert words("direct -- benchmark strided-allgather --stride 8 --sizes-mb 64,128")[1:] == [
        "task=benchmark/collectives",
        "task.operations=[strided_all_gather]",
        "task.stride=8",
        "task.sizes=[64M,128M]",
    ]
    assert words("direct -- benchmark gemm-dense --model Llama3.1_8B --mbs 2 --seqlen 4096 --trans_a")[1:] == [
        *("task=benchmark/gemm", "task.shapes=model", "task.micro_batch=2", "task.sequence_length=4096"),
        *("task.transposes=tn", "model=llama3.1_8b"),
    ]


def test_a_model_of_a_plugin_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/Acme-7B.yaml").touch()
    monkeypatch.setattr(plugins, "directories", lambda inside: [tmp_path / inside])
    assert "model=Acme-7B" in words("direct -- benchmark gemm-dense --model Acme-7B")


def test_attention_has_one_dtype_and_kernels_by_name() -> None:
    assert words("direct -- benchmark attention --dtype bf16 --backend flash model=llama3_8b")[1:] == [
        *("task=benchmark/attention", "task.dtype=bf16", "task.kernels=flash", "model=llama3_8b"),
    ]
    assert "-m task.micro_batch=1,2" in refusal("direct -- benchmark attention --mbs-list 1,2")


def test_every_task_of_primus_can_be_named_and_its_settings_are_flags() -> None:
    assert words("direct -- runs --limit 5")[1:] == ["task=runs", "task.limit=5"]
    assert words("direct -- train evaluate --micro-batch 2 checkpoint=a")[1:] == [
        *("task=train/evaluate", "task.micro_batch=2", "checkpoint=a"),
    ]


def test_what_is_typed_wins_over_the_file() -> None:
    assert words("direct -- train pretrain --config c.yaml task.steps=9") == [
        *("data=mock", "runtime=direct", TRAIN, "task.steps=9"),
    ]


def test_config_may_stand_in_any_part() -> None:
    for line in ("--config c.yaml direct -- train pretrain", "direct --config=c.yaml -- train pretrain"):
        assert words(line) == [*FILE, "runtime=direct", TRAIN]
    assert "one experiment at a time" in refusal("--config c.yaml direct -- train pretrain --config e.yaml")


def test_flags_of_direct() -> None:
    assert words("direct --single --numa --silent -- train pretrain")[2:] == [
        *("ranks_per_node=1", "node.numa=auto", "console.ranks=none"),
    ]
    assert "node.numa=none" in words("direct --no-numa -- train pretrain")


def test_env_takes_a_value_a_name_of_this_shell_or_a_file() -> None:
    Path("vars").write_text("# of the cluster\nexport NCCL_DEBUG=INFO\n\nHF_HOME\n")
    assert words("direct --env A=b=c --env HF_TOKEN --env vars -- train pretrain")[2:] == [
        *("env.set.A=b=c", "env.set.NCCL_DEBUG=INFO", "env.forward=[HF_TOKEN,HF_HOME]"),
    ]
    assert "--env not/here" in refusal("direct --env not/here -- train pretrain")


def test_flags_of_containers_reach_the_engine() -> None:
    line = (
        "container --image I --volume /a --mount type=bind,source=/b,target=/c,readonly --device /dev/kfd "
        "--cap-add=SYS_PTRACE --privileged --shm-size 16g --engine podman -- train pretrain"
    )
    assert sorted(words(line)[2:]) == sorted(
        [
            *("container.image=I", "container.mounts=[/a,/b:/c:ro]", "container.shm_size=16g", "container=podman"),
            "container.options=['--device=/dev/kfd','--cap-add=SYS_PTRACE','--privileged']",
        ]
    )


def test_flags_of_sbatch_are_settings_or_options_of_it() -> None:
    assert words("slurm sbatch -N2 -A acct --gres=gpu:8 --exclusive --mem 64G -- train pretrain")[3:] == [
        *("runtime.nodes=2", "runtime.account=acct", "runtime.options.gres=gpu:8", "runtime.options.exclusive=true"),
        "runtime.mem=64G",
    ]


def test_a_value_that_sbatch_may_have_or_not_is_given_with_an_equals_sign() -> None:
    assert words("slurm sbatch -N 2 --nice=10 --exclusive=user --propagate --hold -- train pretrain")[4:] == [
        *("runtime.options.nice=10", "runtime.options.exclusive=user", "runtime.options.propagate=true"),
        "runtime.options.hold=true",
    ]
    assert "'user' stands where flags do" in refusal("slurm sbatch --exclusive user -- train pretrain")


def test_srun_is_what_slurm_means_without_a_word_and_the_job_may_be_direct_there() -> None:
    assert words("slurm -N 2 -- direct --env A=1 -- train pretrain") == [
        *("runtime=slurm", TRAIN, "runtime.nodes=2", "env.set.A=1"),
    ]


def test_the_command_of_a_sweep_is_one_of_primus() -> None:
    assert words("slurm srun -- train pretrain -m task.seed=1,2") == ["-m", "runtime=slurm", TRAIN, "task.seed=1,2"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("direct --dbug -- train pretrain", "direct: there is no flag --dbug. Did you mean '--debug'?"),
        ("slurm srun --partitoin=a -- train pretrain", "there is no flag --partitoin. Did you mean '--partition'?"),
        ("container --img I -- train pretrain", "there is no flag --img. Did you mean '--image'?"),
        (
            "slurm srun -- container --imag I -- train pretrain",
            "slurm -- container: there is no flag --imag",
        ),
        ("direct -- benchmark gemm --dtyp bf16", "benchmark gemm: there is no flag --dtyp. Did you mean '--dtype'?"),
        ("direct -- benchmark gem", "there is no task 'benchmark gem'. Did you mean 'benchmark gemm'?"),
        ("direct -- train pretrain --step 3", "there is no flag --step. Did you mean '--steps'?"),
        ("drect -- train pretrain", "'drect' is none of direct, container, slurm. Did you mean 'direct'?"),
        ("slurm sruns -- train pretrain", "'sruns' stands where flags do. Did you mean 'srun'?"),
        ("direct train pretrain", "The task comes after `--`"),
        ("direct", "there is no task after `--`"),
        ("--debug", "say where it runs"),
        ("direct -- train pretrain steps", "'steps' is no flag and no override (key=value)"),
        ("direct -- train posttrain", "there is no post-training; what there is: train pretrain"),
        ("direct -- benchmark gemm --output-file a.md", "--output-file: results are in the run directory"),
        ("container --clean -- train pretrain", "--clean: it removed every container of the host"),
        ("slurm sbatch -N -- train pretrain", "--nodes needs a value after it"),
        ("direct --single=1 -- train pretrain", "--single takes no value"),
        (
            "slurm srun -N2 --env A=1 -- preflight",
            "slurm: --env: it belongs to what runs on the nodes: slurm … -- direct",
        ),
        ("slurm --image I -- preflight", "it belongs to the container on the nodes: slurm … -- container --image …"),
        ("slurm -- direct --image I -- preflight", "it belongs to a container: container --image … -- task"),
        ("slurm --log_file a -- preflight", "slurm: --log_file: the run directory has every log"),
        ("direct -- train pretrain --config not-here.yaml", "--config not-here.yaml: there is no such file"),
    ],
)
def test_what_there_is_not_is_refused_with_the_closest(line: str, message: str) -> None:
    assert message in refusal(line)


def test_errors_are_said_to_be_in_the_log() -> None:
    assert told("slurm sbatch -e a_%j.err -- train pretrain").warnings == (
        "--error: not written apart: errors are in the log that --output names",
    )


def test_the_command_that_is_shown_is_quoted_and_has_no_secret() -> None:
    shown = command(told("direct --env HF_TOKEN=hf_x --env 'A=b c' -- train pretrain"))
    assert shown == "primus runtime=direct task=train/pretrain 'env.set.HF_TOKEN=<secret>' 'env.set.A=b c'"
    assert not told("direct -- train pretrain").explain
    assert told("--dry-run direct -- train pretrain").explain
