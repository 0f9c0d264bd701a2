"""Names of MaxText's configuration.

Sources: maxtext/configs/base.yml of MaxText 0.2.5 for its names and defaults;
primus/configs/modules/maxtext/pre_trainer.yaml of AMD-AGI/Primus v26.5 for what AMD changes. What is in no table here
goes to MaxText by its own name (`backend.args`), and it refuses what it does not know.
"""

from typing import Any

from primus.launch.cli.experiment.ledger import Ledger, Rule

RULES = {
    "steps": Rule("task.steps"),
    "max_target_length": Rule("task.sequence_length"),
    "learning_rate": Rule("task.optimizer.lr"),
    "adam_eps": Rule("task.optimizer.epsilon"),
    "adam_weight_decay": Rule("task.optimizer.weight_decay"),
    "opt_type": Rule("task.optimizer.name", {"adamw": "adamw"}),
    "gradient_clipping_threshold": Rule("task.clip_grad_norm"),
    "lr_schedule_type": Rule("task.schedule.name", {"cosine": "cosine"}),
    "learning_rate_final_fraction": Rule("task.schedule.min_lr_ratio"),
    "cosine_learning_rate_final_fraction": Rule("task.schedule.min_lr_ratio"),  # before 0.2
    "ici_tensor_parallelism": Rule("task.parallel.tensor"),
    "ici_context_parallelism": Rule("task.parallel.context"),
    "ici_expert_parallelism": Rule("task.parallel.expert"),
    "ici_pipeline_parallelism": Rule("task.parallel.pipeline"),
    "ici_data_parallelism": Rule("task.parallel.replicate"),
    "data_shuffle_seed": Rule("task.seed"),
    "dtype": Rule("task.precision", {"bfloat16": "bf16", "float32": "fp32"}),
}

PRESETS: dict[str, dict[str, Any]] = {
    "pre_trainer.yaml": {  # what has a neutral name; where AMD says nothing, that of base.yml
        "steps": 1000,
        "per_device_batch_size": 12,
        "max_target_length": 2048,
        "learning_rate": 3.0e-5,
        "learning_rate_final_fraction": 0.1,
        "warmup_steps_fraction": 0.1,
        "lr_schedule_type": "cosine",
        "adam_b1": 0.9,
        "adam_b2": 0.95,
        "adam_eps": 1.0e-8,
        "adam_weight_decay": 0.1,
        "gradient_clipping_threshold": 1.0,
        "dtype": "bfloat16",
        "remat_policy": "full",
        "enable_checkpointing": False,
        "dataset_type": "hf",
        "hf_path": "allenai/c4",
        "hf_data_dir": "en",
    },
}
FP8: dict[str, Any] = {}  # of TorchTitan's models

_COMBINED = (
    *("per_device_batch_size", "warmup_steps_fraction", "learning_rate_schedule_steps", "adam_b1", "adam_b2"),
    *("dataset_type", "hf_path", "hf_data_dir", "hf_name", "hf_train_files", "hf_access_token", "quantization"),
    *("enable_checkpointing", "checkpoint_period", "async_checkpointing", "load_parameters_path", "eval_interval"),
    *("eval_steps", "remat_policy", "profiler", "tokenizer_path", "tokenizer_type"),
)
_RECORD = (  # what is logged where, and AMD's own (primus/configs/modules/module_base.yaml)
    *("run_name", "base_output_directory", "log_period", "enable_tensorboard", "upload_all_profiler_results"),
    *("sink_level", "file_sink_level", "stderr_sink_level", "trainable", "base_config", "hardware"),
)
_PROFILER = ("profiler", "profiler_steps", "skip_first_n_steps_for_profiler")
_SHARDING = (  # the ranks left over shard, over all nodes
    *("ici_fsdp_parallelism", "dcn_fsdp_parallelism", "dcn_data_parallelism", "dcn_tensor_parallelism"),
    *("dcn_pipeline_parallelism", "dcn_sequence_parallelism", "ici_sequence_parallelism"),
    *("ici_tensor_sequence_parallelism", "dcn_expert_parallelism", "dcn_context_parallelism"),
)
NAMES = (*RULES, *_COMBINED, *_RECORD, *_SHARDING)
"""Names that may follow the task on the command line as well."""


def enter(book: Ledger) -> None:
    """Deal with every name."""
    book.apply({name: rule for name, rule in RULES.items() if book.value(name) is not None})
    book.settled("null", *(name for name in RULES if book.value(name) is None))
    _course(book)
    _data(book)
    _saving(book)
    _spread(book)
    book.settled("metrics and logs are in the run directory and in MLflow", *_RECORD)
    book.off_or_unclear("not in MaxText 0.2.5", "pure_nnx_decoder")
    book.passed(*book.rest)


def _course(book: Ledger) -> None:
    batch = book.number("per_device_batch_size")
    if batch and batch == int(batch):
        book.becomes("task.micro_batch", int(batch), "per_device_batch_size")
    book.unclear("task.micro_batch is a whole number of sequences", "per_device_batch_size")
    betas = [book.value("adam_b1"), book.value("adam_b2")]
    if None not in betas:
        book.becomes("task.optimizer.betas", betas, "adam_b1", "adam_b2")
    book.unclear("give task.optimizer.betas=[b1,b2]", "adam_b1", "adam_b2")
    length = book.number("learning_rate_schedule_steps") or -1
    if length > 0:
        book.becomes("task.schedule.steps", length, "learning_rate_schedule_steps")
    book.settled("that of the training", "learning_rate_schedule_steps")
    steps = length if length > 0 else book.number("steps")
    share = book.number("warmup_steps_fraction")
    if steps and share is not None:
        book.becomes("task.schedule.warmup_steps", int(steps * share), "warmup_steps_fraction")
    quantized = book.value("quantization")
    if quantized in ("fp8", "nanoo_fp8"):
        book.becomes("task.precision", "fp8", *(("quantization",) if quantized == "fp8" else ()))
    if quantized:
        book.passed("quantization")
    book.settled("none", "quantization")


def _data(book: Ledger) -> None:
    kind = book.value("dataset_type")
    if kind == "synthetic":
        book.becomes("data", "mock", "dataset_type")
        book.settled("the data are made up", "hf_path", "hf_data_dir", "hf_name", "hf_train_files")
    elif kind == "hf":
        book.becomes("data", "hf", "dataset_type")
        book.becomes("data.dataset", book.value("hf_path"), "hf_path")
        book.becomes(
            "data.subset", book.value("hf_data_dir") or book.value("hf_name") or None, "hf_data_dir", "hf_name"
        )
    else:
        book.unclear("data are text, hf, megatron or mock here; say data=", "dataset_type")
    book.off_or_unclear("say data=text data.files=GLOB", "hf_path", "hf_data_dir", "hf_name", "hf_train_files")
    book.settled("HF_TOKEN of this shell is used (data.token names it)", "hf_access_token")
    if str(book.value("tokenizer_path")).endswith(".json"):
        book.becomes("data.tokenizer", book.value("tokenizer_path"), "tokenizer_path")
    book.off_or_unclear("data.tokenizer= is the path of a tokenizer.json, or bytes", "tokenizer_path")
    book.settled("told by the tokenizer", "tokenizer_type")


def _saving(book: Ledger) -> None:
    if book.value("enable_checkpointing"):
        # base.yml's default of 10000
        book.becomes("task.checkpoint.interval", book.value("checkpoint_period") or 10000, "checkpoint_period")
        book.settled("task.checkpoint.interval says so", "enable_checkpointing")
    book.settled("nothing is saved", "enable_checkpointing", "checkpoint_period", "async_checkpointing")
    if book.value("load_parameters_path"):
        book.becomes("task.checkpoint.load", book.value("load_parameters_path"), "load_parameters_path")
    book.settled("nothing is loaded", "load_parameters_path")
    if (book.number("eval_interval") or -1) > 0:
        book.becomes("task.eval.interval", book.value("eval_interval"), "eval_interval")
        if (book.number("eval_steps") or -1) > 0:
            book.becomes("task.eval.steps", book.value("eval_steps"), "eval_steps")
    book.settled("no evaluation", "eval_interval", "eval_steps")


def _spread(book: Ledger) -> None:
    policy = book.value("remat_policy")
    if policy == "full":
        book.becomes("task.activation_checkpointing", "full", "remat_policy")
    elif policy is not None:
        book.passed("remat_policy")
    book.settled("1", *(name for name in _SHARDING if book.value(name) == 1))
    book.settled("the ranks left over shard", "ici_fsdp_parallelism")
    if book.value("dcn_data_parallelism") not in (None, 1):
        why = "here all nodes shard; for a whole copy on each, give task.parallel.replicate=<nodes>"
        book.unclear(why, "dcn_data_parallelism")
    if book.value("profiler"):
        book.unclear("give profile.steps=[first,last]", "profiler")
    book.settled("no profile", *_PROFILER)
