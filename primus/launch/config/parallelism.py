"""What the degrees of parallelism must be to the number of ranks, to the model and to the batch: arithmetic."""

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.plan import PlanError, check_world
from primus.node.typed import Problem

_KEY = "task.parallel"


def problems(model: Model, training: Training, world_size: int | None) -> list[Problem]:
    """Each key at fault, with the arithmetic. `world_size` None: only known on the nodes."""
    return [
        *_world(training, world_size),
        *_tensor(model, training),
        *_context(training),
        *_expert(model, training, world_size),
        *_batch(training, world_size),
    ]


def _world(training: Training, world_size: int | None) -> list[Problem]:
    try:
        check_world(world_size or 0, training.parallel.degrees())
    except PlanError as error:
        return [Problem(_KEY, str(error))]
    return []


def _tensor(model: Model, training: Training) -> list[Problem]:
    tensor, key = training.parallel.tensor, f"{_KEY}.tensor"
    dense = any(not model.has_experts(layer) for layer in range(model.layers))
    shared = {
        "model.attention_heads": model.attention_heads,
        "model.kv_heads": model.kv_heads,
        "task.sequence_length": training.sequence_length,
        **({"model.ffn_size": model.ffn_size} if dense else {}),
    }
    return [Problem(key, f"{tensor} does not divide {name} {size}") for name, size in shared.items() if size % tensor]


def _context(training: Training) -> list[Problem]:
    """Each rank takes an early and a late part of a sequence: causal attention has more to do late in it."""
    context, tensor, length = training.parallel.context, training.parallel.tensor, training.sequence_length
    if context == 1 or length % (2 * context * tensor) == 0:
        return []
    parts = f"2 x context {context}" + (f" x tensor {tensor}" if tensor > 1 else "")
    return [Problem(f"{_KEY}.context", f"task.sequence_length {length} is not a multiple of {parts}")]


def _expert(model: Model, training: Training, world_size: int | None) -> list[Problem]:
    parallel, key = training.parallel, f"{_KEY}.expert"
    expert = parallel.expert
    if expert == 1:
        return []
    if model.moe is None:
        return [Problem(key, f"{expert}, but the model has no experts: model.moe is null")]
    found = []
    if model.moe.experts % expert:
        found.append(Problem(key, f"{expert} does not divide model.moe.experts {model.moe.experts}"))
    outside = parallel.tensor * parallel.pipeline * parallel.context * parallel.replicate
    if world_size and world_size % outside == 0 and world_size // outside * parallel.context % expert:
        shard = world_size // outside
        found.append(
            Problem(
                key,
                f"{expert} does not divide the ranks that share data and context: "
                f"shard {shard} x context {parallel.context}, of {world_size} in all",
            )
        )
    return found


def _batch(training: Training, world_size: int | None) -> list[Problem]:
    batch, micro, per_sequence = training.global_batch, training.micro_batch, training.parallel.per_sequence
    if not batch:
        return []
    if not world_size:
        fault = f"{batch} is not a multiple of task.micro_batch {micro}" if batch % micro else ""
    else:
        ranks = world_size // per_sequence
        whole = world_size % per_sequence or batch % (micro * ranks) == 0  # where no rank is whole, _world has said so
        fault = "" if whole else f"{batch} is not a multiple of task.micro_batch {micro} x {ranks} data-parallel ranks"
    return [Problem("task.global_batch", fault)] if fault else []
