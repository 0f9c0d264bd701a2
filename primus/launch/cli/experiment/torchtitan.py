"""Names of TorchTitan's sections, of its TOML files and of AMD's YAML, and of AMD's additions.

Sources: torchtitan/config/configs.py of torchtitan 0.3.0 for what it has now; the same names, in TOML, of 0.2 and
before; primus/configs/modules/torchtitan/pre_trainer.yaml of AMD-AGI/Primus v26.5 for AMD's own and the defaults.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from primus.launch.cli.experiment import files, models
from primus.launch.cli.experiment.ledger import Ledger, Rule, Told, not_known
from primus.launch.cli.literal import literal

RULES = {
    "training.steps": Rule("task.steps"),
    "training.local_batch_size": Rule("task.micro_batch"),
    "training.batch_size": Rule("task.micro_batch"),  # before 0.1
    "training.seq_len": Rule("task.sequence_length"),
    "training.max_norm": Rule("task.clip_grad_norm"),
    "debug.seed": Rule("task.seed"),
    "training.seed": Rule("task.seed"),  # before 0.2
    "optimizer.name": Rule("task.optimizer.name", {"AdamW": "adamw"}),
    "optimizer.lr": Rule("task.optimizer.lr"),
    "optimizer.eps": Rule("task.optimizer.epsilon"),
    "optimizer.weight_decay": Rule("task.optimizer.weight_decay"),
    "lr_scheduler.warmup_steps": Rule("task.schedule.warmup_steps"),
    "lr_scheduler.decay_type": Rule("task.schedule.name", {"cosine": "cosine", "linear": "linear"}),
    "lr_scheduler.min_lr_factor": Rule("task.schedule.min_lr_ratio"),
    "lr_scheduler.total_steps": Rule("task.schedule.steps"),
    "parallelism.data_parallel_replicate_degree": Rule("task.parallel.replicate"),
    "parallelism.tensor_parallel_degree": Rule("task.parallel.tensor"),
    "parallelism.enable_sequence_parallel": Rule("task.parallel.sequence"),
    "parallelism.pipeline_parallel_degree": Rule("task.parallel.pipeline"),
    "parallelism.context_parallel_degree": Rule("task.parallel.context"),
    "parallelism.expert_parallel_degree": Rule("task.parallel.expert"),
    "activation_checkpoint.mode": Rule(
        "task.activation_checkpointing", {"none": "none", "selective": "selective", "full": "full"}
    ),
    "compile.enable": Rule("task.compile"),
    "training.mixed_precision_param": Rule("task.precision", {"bfloat16": "bf16", "float32": "fp32"}),
}

PRESETS: dict[str, dict[str, Any]] = {
    "pre_trainer.yaml": {  # what has a neutral name
        "training.steps": 10000,
        "training.local_batch_size": 8,
        "training.seq_len": 2048,
        "training.max_norm": 1.0,
        "training.mixed_precision_param": "bfloat16",
        "training.mock_data": True,
        "training.dataset": "c4",
        "optimizer.lr": 0.0008,
        "optimizer.beta1": 0.9,
        "optimizer.beta2": 0.95,
        "optimizer.eps": 1.0e-8,
        "optimizer.weight_decay": 0.1,
        "lr_scheduler.warmup_steps": 200,
        "lr_scheduler.decay_type": "linear",
        "lr_scheduler.min_lr_factor": 0.0,
        "activation_checkpoint.mode": "none",
        "compile.enable": True,
        "checkpoint.enable": False,
    },
}
FP8 = {"quantize.linear.float8": True}
"""What a model whose name ends in -fp8 adds (primus/configs/models/torchtitan)."""

# Fields of the same name in 0.3.0 that have no neutral one.
_PASSED = (
    *("training.gc_freq", "training.gc_debug", "training.enable_cpu_offload", "training.mixed_precision_reduce"),
    *("training.dtype", "debug.deterministic", "debug.deterministic_warn_only", "debug.moe_force_load_balance"),
    *("parallelism.data_parallel_shard_degree", "parallelism.fsdp_reshard_after_forward"),
    *("parallelism.pipeline_parallel_schedule", "parallelism.pipeline_parallel_microbatch_size"),
    *("parallelism.pipeline_parallel_layers_per_stage", "parallelism.pipeline_parallel_first_stage_less_layers"),
    *("parallelism.pipeline_parallel_last_stage_less_layers", "parallelism.module_fqns_per_model_part"),
    *("lr_scheduler.decay_ratio", "compile.components", "compile.backend", "compile.enable_async_tensor_parallel"),
    *("comm.init_timeout_seconds", "comm.train_timeout_seconds", "comm.trace_buf_size"),
)
_RECORD = ("job.", "metrics.", "sink_level", "file_sink_level", "stderr_sink_level", "comm.save_traces_folder")
_COMBINED = (
    *("training.mock_data", "training.dataset", "training.dataset_path", "training.global_batch_size"),
    *("optimizer.beta1", "optimizer.beta2", "checkpoint.enable", "checkpoint.enable_checkpoint"),
    *("checkpoint.interval", "checkpoint.folder", "checkpoint.keep_latest_k", "checkpoint.initial_load_path"),
    *("validation.enable", "validation.freq", "validation.steps", "model.name", "model.flavor", "model.converters"),
    *("profiling.enable_profiling", "activation_checkpoint.selective_ac_option", "quantize.linear.float8"),
)
NAMES = (*RULES, *_COMBINED, *_PASSED)
"""Names that may follow the task on the command line as well."""

# What TorchTitan calls a data set (torchtitan/hf_datasets/text_datasets.py).
_DATASETS = {"c4": {"data": "hf", "data.dataset": "allenai/c4", "data.subset": "en"}}


def of_toml(content: Mapping[str, Any], typed: Mapping[str, Any]) -> Told:
    """A TOML with TorchTitan's own sections; `typed` was given on the command line by its names."""
    book = Ledger({**files.flat(content), **typed}, {})
    enter(book)
    told = book.told()
    return replace(told, overrides=("backend=torchtitan", *told.overrides))


def enter(book: Ledger) -> None:
    """Deal with every name."""
    _model(book)
    batch = book.value("training.global_batch_size")
    if batch is not None:
        book.becomes("task.global_batch", None if batch == -1 else batch, "training.global_batch_size")
    book.apply({name: rule for name, rule in RULES.items() if book.value(name) is not None})
    steps, warmup = book.number("training.steps"), book.number("lr_scheduler.warmup_steps")
    if steps is not None and warmup is not None and warmup > steps:  # as optimizer/lr_scheduler.py of 0.3.0
        book.instead("task.schedule.warmup_steps", steps, f"{literal(steps)}, the steps that there are")
    book.settled("null", *(name for name in RULES if book.value(name) is None))
    betas = [book.value("optimizer.beta1"), book.value("optimizer.beta2")]
    if None not in betas:
        book.becomes("task.optimizer.betas", betas, "optimizer.beta1", "optimizer.beta2")
    book.unclear("give task.optimizer.betas=[b1,b2]", "optimizer.beta1", "optimizer.beta2")
    _precision(book)
    _data(book)
    _saving(book)
    _switched(book)
    book.settled(
        "metrics and logs are in the run directory and in MLflow", *(n for n in book.rest if n.startswith(_RECORD))
    )
    if book.value("parallelism.data_parallel_shard_degree") == -1:
        book.settled("the ranks left over shard", "parallelism.data_parallel_shard_degree")
    book.passed(*(name for name in book.rest if name in _PASSED))
    for name in book.rest:
        book.off_or_unclear(not_known(name, list(NAMES)), name)


def _model(book: Ledger) -> None:
    name, size = book.value("model.name"), book.value("model.flavor")
    if name and size:
        book.becomes("model", models.flavor(str(name), str(size)), "model.name", "model.flavor")
    book.settled(
        "data.tokenizer= is the path of a tokenizer.json, or bytes",
        *("model.hf_assets_path", "model.tokenizer_path", "model.print_after_conversion"),
    )


def _precision(book: Ledger) -> None:
    converters = [str(converter) for converter in book.listed("model.converters")]
    names = [name for name in book.rest if name.startswith(("quantize.linear.float8.", "float8."))]
    if book.value("quantize.linear.float8") or "float8" in converters or "quantize.linear.float8" in converters:
        book.becomes("task.precision", "fp8", "quantize.linear.float8", "training.mixed_precision_param")
        book.settled("task.precision=fp8 decides how", *names)
    if set(converters) <= {"float8", "quantize.linear.float8"}:
        book.settled("told by task.precision", "model.converters")
    book.off_or_unclear("of these, only float8 is here (task.precision=fp8)", "model.converters", *names)


def _data(book: Ledger) -> None:
    name = book.value("training.dataset")
    if book.value("training.mock_data"):
        book.becomes("data", "mock", "training.mock_data")
        book.settled("the data are made up", "training.dataset", "training.dataset_path")
    elif isinstance(name, str) and name in _DATASETS:
        for key, value in _DATASETS[name].items():
            book.becomes(key, value, "training.dataset", "training.mock_data")
    book.settled("no made-up data", "training.mock_data")
    book.off_or_unclear("of TorchTitan's data sets, c4 is known here; say data=", "training.dataset")
    book.off_or_unclear("say data=text data.files=GLOB or data.dataset=", "training.dataset_path")


def _saving(book: Ledger) -> None:
    if book.value("checkpoint.enable") or book.value("checkpoint.enable_checkpoint"):
        book.becomes("task.checkpoint.interval", book.value("checkpoint.interval") or 500, "checkpoint.interval")
        book.settled("task.checkpoint.interval says so", "checkpoint.enable", "checkpoint.enable_checkpoint")
        if book.value("checkpoint.keep_latest_k") is not None:
            book.becomes("task.checkpoint.keep", book.value("checkpoint.keep_latest_k"), "checkpoint.keep_latest_k")
        if book.value("checkpoint.initial_load_path"):
            path = book.value("checkpoint.initial_load_path")
            book.becomes("task.checkpoint.load", path, "checkpoint.initial_load_path")
        book.settled("checkpoints are in the run directory", "checkpoint.folder")
        book.off_or_unclear("checkpoints are whole and in the framework's format", *_starting(book, "checkpoint."))
    book.settled("nothing is saved", *_starting(book, "checkpoint."))


def _switched(book: Ledger) -> None:
    """Sections that one switch turns on."""
    if book.value("validation.enable"):
        book.becomes("task.eval.interval", book.value("validation.freq") or 10, "validation.freq", "validation.enable")
        if (book.number("validation.steps") or -1) > 0:
            book.becomes("task.eval.steps", book.value("validation.steps"), "validation.steps")
        book.unclear("validation is on held-out data of data=", *_starting(book, "validation."))
    book.settled("no validation", *_starting(book, "validation."))
    if book.value("profiling.enable_profiling"):
        book.unclear("give profile.steps=[first,last]", *_starting(book, "profiling."))
    book.settled("no profile", *_starting(book, "profiling."))
    if book.value("activation_checkpoint.selective_ac_option") in (None, "op", "2", 2):
        book.settled("as the backend recomputes", "activation_checkpoint.selective_ac_option")
    if book.value("primus_turbo.enable_primus_turbo"):
        book.off_or_unclear("kernels of Primus-Turbo are not in this backend", *_starting(book, "primus_turbo."))
    book.settled("Primus-Turbo is off", *_starting(book, "primus_turbo."))
    if book.value("parallelism.expert_tensor_parallel_degree") == 1:
        book.settled("1", "parallelism.expert_tensor_parallel_degree")


def _starting(book: Ledger, prefix: str) -> list[str]:
    return [name for name in book.rest if name.startswith(prefix)]
