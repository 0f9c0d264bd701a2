"""What Megatron (megatron-core 0.19) cannot express: the key and the part that it lacks."""

from collections.abc import Iterator

from primus.launch.backend.megatron.model import YARN
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model, Moe, RopeScaling
from primus.launch.config.terms.training import Training
from primus.node.typed import Problem

_TUNED = 8192
"""Positions from which `temperature_tuning` changes anything."""

_LATENT_CONTEXT = 4096
"""Original context, fixed in `MLATransformerConfig`: it has no argument."""


def lacks(model: Model, data: Data, training: Training, world_size: int | None) -> list[Problem]:
    """Each key at fault. What depends on the device and on Transformer Engine only the ranks can tell."""
    return [*_positions(model, training), *_biases(model), *_experts(model), *_training(model, training)]


def _positions(model: Model, training: Training) -> Iterator[Problem]:
    if not float(model.rope_theta).is_integer():
        yield Problem("model.rope_theta", f"{model.rope_theta}: Megatron takes a whole number (rotary_base)")
    if model.chunk and training.sequence_length > model.chunk:
        yield Problem(
            "model.chunk",
            f"Megatron lacks attention in chunks: with task.sequence_length {training.sequence_length} a chunk of "
            f"{model.chunk} matters. Mend it with a sequence length of at most {model.chunk}",
        )
    if model.temperature_tuning and training.sequence_length >= _TUNED:
        yield Problem(
            "model.temperature_tuning",
            f"Megatron lacks it: with task.sequence_length {training.sequence_length} it matters. Mend it with a "
            f"sequence length below {_TUNED}",
        )
    if model.mla and (model.window or model.rope_skip or model.qk_norm != "none" or model.attention_sinks):
        yield Problem(
            "model.mla", "Megatron lacks window, rope_skip, qk_norm and attention_sinks in multi-head latent attention"
        )
    if model.rope_scaling and model.mla:
        yield from _latent_scaling(model.rope_scaling)


def _latent_scaling(scaling: RopeScaling) -> Iterator[Problem]:
    if scaling.kind != "yarn":
        yield Problem("model.rope_scaling.kind", f"Megatron lacks {scaling.kind} in multi-head latent attention")
        return
    betas = (scaling.beta_fast or YARN["beta_fast"], scaling.beta_slow or YARN["beta_slow"])
    fixed = (YARN["beta_fast"], YARN["beta_slow"])
    if betas != fixed or scaling.original_context != _LATENT_CONTEXT or not scaling.truncate:
        yield Problem(
            "model.rope_scaling",
            f"Megatron's YaRN in multi-head latent attention has beta_fast {fixed[0]}, beta_slow {fixed[1]}, "
            f"original_context {_LATENT_CONTEXT} and truncate, and takes no others",
        )


def _biases(model: Model) -> Iterator[Problem]:
    moe = model.moe
    sparse = all(model.has_experts(layer) for layer in range(model.layers))
    everywhere = bool(moe and moe.expert_bias and moe.router.bias and sparse and not moe.shared_ffn_size)
    somewhere = bool(moe and (moe.expert_bias or moe.router.bias))
    if (model.attention_bias == "all") != everywhere or (somewhere and not everywhere):
        yield Problem(
            "model.attention_bias",
            "Megatron has biases in all linear layers (attention, router and every expert, no layer without experts) "
            "or in none but the query, key and value projections",
        )


def _experts(model: Model) -> Iterator[Problem]:
    moe = model.moe
    if moe is None:
        return
    router = moe.router
    if router.score == "sigmoid" and not router.normalize and moe.active_experts > 1:
        yield Problem("model.moe.router.normalize", "Megatron's sigmoid scores of several experts always sum to 1")
    if router.score == "softmax" and router.normalize and moe.active_experts == 1:
        yield Problem("model.moe.router.normalize", "the score of a single expert would always be 1")
    if router.balance == "bias" and router.score != "sigmoid":
        yield Problem("model.moe.router.balance", "Megatron has a bias that balances with sigmoid scores alone")
    if router.before_experts and moe.active_experts > 1:
        yield Problem("model.moe.router.before_experts", "Megatron has it with a single active expert alone")
    if router.groups and moe.active_experts % (router.active_groups or 1):
        yield Problem(
            "model.moe.router.active_groups",
            f"Megatron ranks groups by their best active_experts / active_groups experts: {router.active_groups} does "
            f"not divide {moe.active_experts}",
        )


def _training(model: Model, training: Training) -> Iterator[Problem]:
    parallel = training.parallel
    highest = 2**32 - 1 - 100 * parallel.pipeline  # a stage's seed is 100 more than that of the one before
    if not 0 < training.seed <= highest:
        yield Problem("task.seed", f"{training.seed}: Megatron takes seeds from 1 to {highest}")
    if model.layers < parallel.pipeline:
        yield Problem("task.parallel.pipeline", f"{parallel.pipeline} stages are too many for {model.layers} layers")
    if parallel.context > 1 and training.sequence_length % (2 * parallel.context):
        yield Problem(
            "task.parallel.context",
            f"task.sequence_length {training.sequence_length} is not a multiple of 2 x context {parallel.context}",
        )
    if parallel.expert > 1:
        yield from _expert_parallel(model.moe, parallel.expert)


def _expert_parallel(moe: Moe | None, expert: int) -> Iterator[Problem]:
    if moe is None:
        yield Problem("task.parallel.expert", f"{expert}, but the model has no experts")
    elif moe.experts % expert:
        yield Problem("task.parallel.expert", f"{expert} does not divide model.moe.experts {moe.experts}")
