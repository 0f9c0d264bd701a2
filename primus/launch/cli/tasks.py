"""The words and flags after the last `--`: which task, and its settings. Data, but for what the words choose.

AMD's names are those of primus/cli/subcommands and primus/tools/*/*_args.py in AMD-AGI/Primus v26.5; beside them every
setting of a task is a flag by its own name (`--iterations 5` is `task.iterations=5`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from primus.launch.cli.flags import Flag, flag
from primus.launch.cli.launchers import DEBUG, DRY_RUN, EXPERIMENT, PATCH, REPLAY, STRICT
from primus.launch.config import catalog
from primus.launch.config.catalog import Choice
from primus.launch.problems import BadRequest
from primus.node.typed import closest


@dataclass(frozen=True)
class Task:
    """A task by AMD's words: ours, its flags beside its own settings, and what choosing it by these words sets."""

    task: str
    flags: tuple[Flag, ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)


_RESULTS = "results are in the run directory (JSONL, CSV, report.html) and in MLflow"
_OUTPUT = tuple(
    flag(name, instead=_RESULTS)
    for name in ("--output-file", "--append", "--report-csv-path", "--per-rank-file", "--trace-file")
)
_DTYPES = flag("--dtype", "--dtypes", key="task.dtypes", listed=True)
_TRAINING = (
    flag("--backend_path", "--backend-path", key="backend.path", takes="text"),
    flag("--data_path", "--data-path", instead="data=text data.files=GLOB, or data=megatron data.paths=[PREFIX]"),
    flag("--export_config", "--export-config", instead="<run>/config.yaml is the resolved config; --dry-run shows it"),
)
_MODEL = (
    flag("--model", takes="text"),
    flag("--seqlen", key="task.sequence_length"),
    flag("--mbs", key="task.micro_batch"),
    flag("--hidden-size", key="model.hidden_size"),
    flag("--intermediate-size", key="model.ffn_size"),
    flag("--num-attention-heads", key="model.attention_heads"),
    flag("--num-key-value-heads", key="model.kv_heads"),
    flag("--head-dim", key="model.head_size"),
    flag("--vocab-size", key="model.vocabulary"),
)
_GEMM = (
    *(flag(f"-{x}", f"--{x}", key=f"task.{x.lower()}", listed=True) for x in "MNK"),
    flag("--trans_a", "--trans-a", takes="nothing"),
    flag("--trans_b", "--trans-b", takes="nothing"),
    flag("--duration", key="task.seconds"),
    _DTYPES,
    *_OUTPUT,
)
_COLLECTIVES = (
    flag("--op", "--operations", key="task.operations", takes="values", listed=True),
    flag("--sizes", key="task.sizes", listed=True),
    flag("--min-bytes"),
    flag("--max-bytes"),
    flag("--iters", key="task.iterations"),
    flag("--warmup", key="task.warmup"),
    flag("--stride", key="task.stride"),
    flag("--check", takes="nothing", note="--check: the data are always checked"),
    *(
        flag(name, instead="p50, p95, slowest rank and spread are always measured; task.iterations=<n> for more")
        for name in ("--repeat", "--aggregate-repeat", "--per-rank", "--per-iter-trace", "--trace-limit")
    ),
    *(
        flag(name, instead="sizes are a list or a range: --sizes 1K,1M, --min-bytes and --max-bytes")
        for name in ("--num-sizes", "--scale")
    ),
    _DTYPES,
    *_OUTPUT,
)
_ATTENTION = (
    flag("--dtype", key="task.dtype"),
    flag("--backend", "--kernels", key="task.kernels"),
    flag("--mbs-list", instead="one size at a time, --micro-batch 2, or a sweep: -m task.micro_batch=1,2"),
    *(
        flag(name, instead="the shapes are those of model=")
        for name in ("--models", "--skip-models", "--shapes-json-path")
    ),
    *_OUTPUT,
)
_CHECKS = tuple(
    flag(f"--{name}", f"--check-{name}", key="task.checks", takes="nothing", to=name, listed=True)
    for name in ("host", "gpu", "network", "storage", "software")
)
_MEASURE = "measure with: -- benchmark gemm, -- benchmark rccl"

TASKS: Mapping[str, Task] = {
    "train pretrain": Task("train/pretrain", _TRAINING),
    "train evaluate": Task("train/evaluate", _TRAINING),
    "benchmark gemm": Task("benchmark/gemm", _GEMM),
    "benchmark gemm-dense": Task("benchmark/gemm", (*_GEMM, *_MODEL), {"task.shapes": "model"}),
    "benchmark gemm-deepseek": Task("benchmark/gemm", (*_GEMM, *_MODEL), {"task.shapes": "model"}),
    "benchmark rccl": Task("benchmark/collectives", _COLLECTIVES),
    "benchmark strided-allgather": Task(
        "benchmark/collectives", (*_COLLECTIVES, flag("--sizes-mb")), {"task.operations": ["strided_all_gather"]}
    ),
    "benchmark attention": Task("benchmark/attention", _ATTENTION),
    **{
        words: Task(
            "preflight",
            (*_CHECKS, *(flag(name, instead=_MEASURE) for name in ("--perf-test", "--tests", "--quick", "--plot"))),
        )
        for words in ("preflight", "preflight check")
    },
    "node_smoke": Task("smoke", (flag("--tier2-perf", takes="nothing", note="--tier2-perf: always measured"),)),
    "analyze topology": Task(
        "analyze/topology",
        (flag("--visualize", takes="nothing", note="--visualize: the report always has the picture"),),
    ),
}

_NOT_HERE = {
    "train posttrain": "there is no post-training; what there is: train pretrain, from the weights of a run or a "
    "checkpoint with task.checkpoint.load=<run>, and train evaluate",
    "projection": "--dry-run with a training shows the memory that it takes, by estimate",
}

COMMON = (EXPERIMENT, REPLAY, PATCH, DEBUG, DRY_RUN, STRICT, flag("--multirun", "-m", takes="nothing"))


def chosen(words: Sequence[str]) -> tuple[Task, tuple[str, ...]]:
    """The task that the first words name, and the words after it. Raises BadRequest for one that there is not."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in _NOT_HERE:
            raise BadRequest(f"{name}: {_NOT_HERE[name]}")
        task = TASKS.get(name) or _by_path("/".join(words[:count]))
        if task:
            return task, tuple(words[count:])
    known = [*TASKS, *(path.replace("/", " ") for path in _choices())]
    typed = " ".join(words[:2])
    near = closest(typed, known) or closest(words[0], known)
    raise BadRequest(f"there is no task {typed!r}.{near} `primus-cli --help` shows what there is.")


def flags_of(task: Task) -> tuple[Flag, ...]:
    """What may follow the task: AMD's flags, and the settings of conf/task/<task>.yaml by their own names."""
    taken = {name for f in (*task.flags, *COMMON) for name in f.names}
    own = (
        flag(f"--{name.replace('_', '-')}", f"--{name}", key=f"task.{name}")
        for name in _settings(task.task)
        if not {f"--{name}", f"--{name.replace('_', '-')}"} & taken
    )
    return (*task.flags, *COMMON, *own)


def _settings(task: str) -> list[str]:
    """The keys of a task's YAML file, with those of the tasks that it is made of."""
    choice = _choices().get(task)
    content = yaml.safe_load(choice.path.read_text(encoding="utf-8")) if choice else {}
    found = {name: None for name in content if name not in ("name", "defaults")}
    for entry in content.get("defaults", ()):
        if str(entry).endswith("@_here_"):
            found |= dict.fromkeys(_settings(str(entry).removesuffix("@_here_")))
    return list(found)


def _choices() -> dict[str, Choice]:
    return catalog.choices("task", catalog.directories())


def _by_path(path: str) -> Task | None:
    return Task(path) if path in _choices() else None
