"""Names of Megatron-LM's arguments, and of AMD's additions to them.

Sources: primus/configs/modules/megatron/*.yaml of AMD-AGI/Primus v26.5 for AMD's own names and defaults;
megatron/training/arguments.py of megatron-core 0.19.2 for Megatron's. What is in no table here goes to the framework by
its own name (`backend.args`), and its parser, on the rank, refuses what it does not know.
"""

from typing import Any

from primus.launch.cli.experiment.ledger import Ledger, Rule

RULES = {
    "train_iters": Rule("task.steps"),
    "micro_batch_size": Rule("task.micro_batch"),
    "global_batch_size": Rule("task.global_batch"),
    "seq_length": Rule("task.sequence_length"),
    "seed": Rule("task.seed"),
    "lr": Rule("task.optimizer.lr"),
    "weight_decay": Rule("task.optimizer.weight_decay"),
    "adam_eps": Rule("task.optimizer.epsilon"),
    "optimizer": Rule("task.optimizer.name", {"adam": "adamw"}),
    "clip_grad": Rule("task.clip_grad_norm"),
    "lr_decay_style": Rule("task.schedule.name", {"cosine": "cosine", "linear": "linear", "constant": "constant"}),
    "lr_decay_iters": Rule("task.schedule.steps"),
    "lr_warmup_iters": Rule("task.schedule.warmup_steps"),
    "tensor_model_parallel_size": Rule("task.parallel.tensor"),
    "pipeline_model_parallel_size": Rule("task.parallel.pipeline"),
    "context_parallel_size": Rule("task.parallel.context"),
    "expert_model_parallel_size": Rule("task.parallel.expert"),
    "sequence_parallel": Rule("task.parallel.sequence", {True: True, False: False}),  # 1 and 0 as well
    "num_layers": Rule("model.layers"),
    "hidden_size": Rule("model.hidden_size"),
    "ffn_hidden_size": Rule("model.ffn_size"),
    "num_attention_heads": Rule("model.attention_heads"),
    "num_query_groups": Rule("model.kv_heads"),
    "kv_channels": Rule("model.head_size"),
    "max_position_embeddings": Rule("model.context"),
    "norm_epsilon": Rule("model.norm_epsilon"),
    "layernorm_epsilon": Rule("model.norm_epsilon"),
    "rotary_base": Rule("model.rope_theta"),
    "activation_func": Rule("model.activation", {"swiglu": "swiglu"}),
    "untie_embeddings_and_output_weights": Rule("model.tied_embeddings", {True: False, False: True}),
}

PRESETS: dict[str, dict[str, Any]] = {
    # Of pre_trainer.yaml and the trainer_base.yaml that it extends: what has a neutral name, and the optimizer's
    # sharding, without which Megatron refuses options of AMD's examples (overlap_param_gather).
    "pre_trainer.yaml": {
        "train_iters": 1000,
        "micro_batch_size": 2,
        "global_batch_size": 16,
        "seq_length": 1024,
        "seed": 1234,
        "lr": 2.0e-5,
        "min_lr": 0.0,
        "lr_decay_style": "cosine",
        "lr_warmup_iters": 40,
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_eps": 1.0e-8,
        "clip_grad": 1.0,
        "bf16": True,
        "eval_iters": 0,
        "eval_interval": 1000,
        "save_interval": 1000,
        "finetune": True,
        "use_distributed_optimizer": True,
    },
}
FP8: dict[str, Any] = {}  # of TorchTitan's models

_RECORD = (  # what is logged where: metrics are in the run directory and in MLflow
    *("wandb_project", "wandb_exp_name", "wandb_save_dir", "wandb_entity", "disable_wandb", "disable_mlflow"),
    *("disable_tensorboard", "tensorboard_dir", "tensorboard_log_interval", "tensorboard_queue_size", "log_interval"),
    *("log_timers_to_tensorboard", "log_batch_size_to_tensorboard", "log_learning_rate_to_tensorboard"),
    *("log_validation_ppl_to_tensorboard", "log_memory_to_tensorboard", "log_world_size_to_tensorboard"),
    *("log_loss_scale_to_tensorboard", "log_throughput", "log_avg_skip_iterations", "log_avg_reset_interval"),
    *("mlflow_run_name", "mlflow_experiment_name", "mlflow_upload_logs", "mlflow_upload_performance_metrics"),
    *("sink_level", "file_sink_level", "stderr_sink_level", "trainable", "disable_compile_dependencies"),
)
_SAVING = ("save_interval", "no_save_optim", "no_save_rng", "disable_last_saving", "ckpt_format", "async_save")
_LOADING = ("finetune", "no_load_optim", "no_load_rng", "exit_on_missing_checkpoint")
_TURBO = (  # primus_turbo.yaml: kernels of Primus-Turbo
    *("use_turbo_autotune", "turbo_gemm_backend", "turbo_grouped_gemm_backend", "mxfp4_gradient_stochastic_rounding"),
    *("use_turbo_attention", "use_sink_attention", "sink_sliding_window", "sink_window_even_layers_only"),
    *("enable_turbo_attention_float8", "use_turbo_gemm", "use_turbo_grouped_gemm", "use_turbo_rms_norm"),
    *("turbo_grouped_gemm_without_padding", "use_turbo_fused_act_with_probs", "moe_use_fused_router_with_aux_score"),
    *("use_turbo_deepep", "turbo_deepep_num_cu", "turbo_deepep_use_comm_stream", "turbo_sync_free_moe_stage"),
    *("use_turbo_mega_moe", "turbo_mega_moe_precision", "use_turbo_norm_te_linear", "use_turbo_permute_padding"),
)
_AMD = (  # primus_megatron_module.yaml, primus_pipeline.yaml, zero_bubble.yaml, and examples/megatron/configs
    *("auto_continue_train", "no_fp8_weight_transpose_cache", "decoder_pipeline_manual_split_list", "pp_warmup"),
    *("patch_moe_overlap", "dump_pp_data", "recompute_layer_ids", "dataloader_mp_context", "weight_deosc"),
    *("moe_router_force_load_balancing_type", "weight_deosc_period", "weight_deosc_ratio", "weight_deosc_start_step"),
    *("weight_deosc_log_freq", "use_rocm_mem_info", "use_rocm_mem_info_iters", "generate_tracelens_report"),
    *("mlflow_upload_traces", "mlflow_upload_tracelens_report", "patch_primus_pipeline", "pp_algorithm"),
    *("communication_method", "debug_scheduler_table", "offload", "offload_ops", "patch_zero_bubble"),
    *("enable_zero_bubble", "zero_bubble_v_schedule", "num_seq_splits", "cpu_offload", "disable_profiler_activity_cpu"),
    *("torch_profiler_record_shapes", "torch_profiler_with_stack", "torch_profiler_use_gzip", "stage"),
    *("moe_use_legacy_grouped_gemm", "virtual_pipeline_model_parallel_size", "use_custom_fsdp", "mock_dataset"),
    *("original_max_position_embeddings", "moe_extended_tp", "moe_token_dropping", "moe_router_topk_limited_devices"),
    *("enable_odc", "data_parallel_replicate_degree", "disable_delayed_scaling_patches", "empty_cache_interval"),
    *("torch_compile.enable", "torch_compile.backend", "torch_compile.mode", "torch_compile.fullgraph"),
)
_COMBINED = (
    *("adam_beta1", "adam_beta2", "min_lr", "bf16", "fp16", "fp8", "mock_data", "train_data_path", "valid_data_path"),
    *("test_data_path", "data_path", "split", "save", "load", "eval_interval", "eval_iters", "recompute_granularity"),
    *("recompute_method", "recompute_num_layers", "profile", "profile_step_start", "profile_step_end"),
    *("use_pytorch_profiler", "profile_ranks", "enable_primus_turbo", "tokenizer_type", "tokenizer_model"),
)
NAMES = (*RULES, *_COMBINED, *_RECORD, *_SAVING, *_LOADING, *_TURBO, *_AMD)
"""Names that may follow the task on the command line as well."""


def enter(book: Ledger) -> None:
    """Deal with every name."""
    book.settled("null: as the model has it", *(n for n in RULES if n in _OF_MODELS and book.value(n) is None))
    book.apply({name: rule for name, rule in RULES.items() if book.value(name) is not None or name == "lr_decay_iters"})
    book.settled("null", *(name for name in RULES if book.value(name) is None))
    _optimizer(book)
    _precision(book)
    _data(book)
    _checkpoints(book)
    _running(book)
    book.settled("metrics and logs are in the run directory and in MLflow", *_RECORD)
    turbo = "kernels of Primus-Turbo are not in this backend"
    if book.value("enable_primus_turbo"):
        book.off_or_unclear(turbo, "enable_primus_turbo", *_TURBO)
    book.settled("Primus-Turbo is off", "enable_primus_turbo", *_TURBO)
    book.off_or_unclear("an addition of AMD's to Megatron, or a name that 0.19.2 no longer has", *_AMD)
    book.passed("use_distributed_optimizer", *book.rest)


_OF_MODELS = tuple(name for name, rule in RULES.items() if rule.key.startswith("model."))


def _optimizer(book: Ledger) -> None:
    betas = [book.value("adam_beta1"), book.value("adam_beta2")]
    if None not in betas:
        book.becomes("task.optimizer.betas", betas, "adam_beta1", "adam_beta2")
    book.unclear("give task.optimizer.betas=[b1,b2]", "adam_beta1", "adam_beta2")
    lr, lowest = book.number("lr"), book.number("min_lr")
    if lr and lowest is not None:
        book.becomes("task.schedule.min_lr_ratio", float(f"{lowest / lr:.12g}"), "min_lr")  # 0.1, not 0.0999…
    book.unclear("a share of lr, which is not given", "min_lr")


def _precision(book: Ledger) -> None:
    if book.value("fp16"):
        book.unclear("task.precision is fp32, bf16 or fp8", "fp16")
    eight = book.value("fp8")
    precision = "fp8" if eight else "bf16" if book.value("bf16") else "fp32"
    if book.states("fp8", "bf16", "fp16"):
        book.becomes("task.precision", precision, "bf16", "fp16", *(("fp8",) if eight in (None, "hybrid") else ()))
    if eight not in (None, "hybrid"):
        book.passed("fp8")  # its format


def _data(book: Ledger) -> None:
    words = book.listed("train_data_path") or book.listed("data_path")
    named = [str(word) for word in words if not isinstance(word, int | float) and not _is_weight(str(word))]
    if book.value("mock_data"):
        book.becomes("data", "mock", "mock_data")
        book.settled(
            "the data are made up", "train_data_path", "data_path", "valid_data_path", "test_data_path", "split"
        )
    elif named:
        book.becomes("data", "megatron", "mock_data")
        if len(named) > 1 and len(named) < len(words):
            book.unclear("weights of prefixes have no neutral name: all count alike", "train_data_path", "data_path")
        book.becomes("data.paths", named, "train_data_path", "data_path")
        weights = str(book.value("split")).split(",")
        if all(_is_weight(weight.strip()) for weight in weights):
            book.becomes("data.split", [float(weight) for weight in weights], "split")
        book.off_or_unclear("weights of training, validation and test: 99,1,0", "split")
    else:
        book.unclear("no data are named, and AMD's hook would fetch BookCorpus; say data=", "mock_data")
    book.off_or_unclear("validation is a share of the data here: data.split=", "valid_data_path", "test_data_path")
    book.settled("null", "train_data_path", "data_path", "split")
    if str(book.value("tokenizer_model")).endswith(".json"):
        book.becomes("data.tokenizer", book.value("tokenizer_model"), "tokenizer_model", "tokenizer_type")
    book.off_or_unclear("data.tokenizer= is the path of a tokenizer.json, or bytes", "tokenizer_model")
    book.settled("told by the tokenizer", "tokenizer_type")


def _is_weight(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()


def _checkpoints(book: Ledger) -> None:
    if book.value("save"):
        book.becomes("task.checkpoint.directory", book.value("save"), "save")
        book.becomes("task.checkpoint.interval", book.value("save_interval"), "save_interval")
        book.off_or_unclear("a checkpoint is saved whole, and at the last step too", *_SAVING[1:4])
    book.settled("nothing is saved" if not book.value("save") else "the backend's own", "save", *_SAVING)
    if book.value("load") and book.value("finetune"):
        book.becomes("task.checkpoint.load", book.value("load"), "load", *_LOADING)
    book.off_or_unclear("a run goes on with resume=<run>; finetune=true begins a new one with the weights", "load")
    book.settled("nothing is loaded", *_LOADING)


def _running(book: Ledger) -> None:
    if book.states("eval_iters", "eval_interval"):
        if book.value("eval_iters"):
            book.becomes("task.eval.steps", book.value("eval_iters"), "eval_iters")
            book.becomes("task.eval.interval", book.value("eval_interval"), "eval_interval")
        book.settled("no evaluation", "eval_iters", "eval_interval")
    kind = book.value("recompute_granularity")
    if kind in ("full", "selective"):
        book.becomes("task.activation_checkpointing", kind, "recompute_granularity")
        if kind == "full" and (book.value("recompute_method"), book.value("recompute_num_layers")) != ("uniform", 1):
            book.passed("recompute_method", "recompute_num_layers")
    book.settled("nothing is recomputed", "recompute_granularity", "recompute_method", "recompute_num_layers")
    # It starts before the step after `start`, counted from 1, and stops after step `end` (training/training.py).
    start, end = book.number("profile_step_start"), book.number("profile_step_end")
    if book.value("profile") and start is not None and end is not None:
        book.becomes("profile.steps", [start + 1, end], "profile", "profile_step_start", "profile_step_end")
    book.off_or_unclear("profile.steps=[first,last]", "profile")
    book.settled("of profiling", "profile_step_start", "profile_step_end", "use_pytorch_profiler", "profile_ranks")
