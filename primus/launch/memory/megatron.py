"""Megatron-LM (megatron-core 0.19): bf16 weights, gradients summed in fp32, an fp32 copy and AdamW's moments."""

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.launch.memory.activations import Tokens
from primus.launch.memory.split import Parameters, Split, Stage, head_parameters, largest_layer, stage_parameters
from primus.launch.memory.state import State

ENDS_COUNT_AS_LAYERS = False
_GRADIENT = 4  # accumulate_allreduce_grads_in_fp32, which bf16 switches on


def in_flight(split: Split, stage: Stage) -> int:
    """Micro batches between forward and backward pass under 1F1B (Narayanan et al. 2021, arXiv 2104.04473)."""
    return min(split.pipeline - stage.index, split.micro_batches)


def state(model: Model, training: Training, split: Split, stage: Stage) -> State:
    """The distributed optimizer spreads its own state alone: over the ranks of data and context, for experts over
    those of them that hold the same experts (docs/user-guide/features/dist_optimizer.md of Megatron-LM)."""
    width = 4 if training.precision == "fp32" else 2
    own = 8 if training.precision == "fp32" else 12  # two moments, and the fp32 copy of bf16 weights
    held = _held(stage_parameters(model, stage), split)
    spread = held.dense / split.shards + held.experts * split.expert / split.shards
    return State(
        weights=width * (held.dense + held.experts),
        gradients=_GRADIENT * (held.dense + held.experts),
        optimizer=own * spread,
        layer=width * sum(vars(_held(largest_layer(model, stage), split)).values()),  # gradients before they are summed
        head=width * head_parameters(model) / split.tensor,
    )


def _held(parameters: Parameters, split: Split) -> Parameters:
    """On one rank; experts are split by tensor parallelism too (expert_tensor_parallel_size)."""
    return Parameters(parameters.dense / split.tensor, parameters.experts / (split.tensor * split.expert))


def everything(tokens: Tokens, index: int) -> float:
    """With nothing computed again: of an FFN gate, up and product, for its activation is one fused kernel."""
    layer, width = tokens.layer(index), tokens.width
    norms = 4 * width * layer.hidden / (tokens.split.tensor if _sequence_parallel(tokens) else 1)
    routed = layer.copies * width * (2 * layer.hidden + 3 * layer.routed) + 8 * layer.experts
    split_up = width * (layer.attention + 3 * layer.ffn) + routed + _scores(tokens)
    return norms + split_up / tokens.split.tensor


def kept(tokens: Tokens, index: int) -> float:
    """As `task.activation_checkpointing` has it. `selective` computes the core of attention again, which a fused kernel
    does of itself: it saves the scores where there is none."""
    mode = tokens.training.activation_checkpointing
    if mode == "full":
        split = tokens.split.tensor if _sequence_parallel(tokens) else 1
        return tokens.width * tokens.layer(index).hidden / split
    recomputed = _scores(tokens) / tokens.split.tensor if mode == "selective" else 0.0
    return everything(tokens, index) - recomputed


def loss(tokens: Tokens) -> float:
    """Logits, their softmax in fp32 and their gradient, of the whole micro batch; the hidden states around the norm."""
    hidden = 3 * tokens.width * tokens.model.hidden_size
    return tokens.count * (tokens.logits * (2 * tokens.width + 4) + hidden)


def _sequence_parallel(tokens: Tokens) -> bool:
    """Only where it is asked for: null needs Transformer Engine, of which planning knows nothing."""
    return tokens.training.parallel.sequence is True


def _scores(tokens: Tokens) -> float:
    """Where attention has no fused kernel without Transformer Engine: scores in fp32 and in the activations' type."""
    if not (tokens.model.window or tokens.model.attention_sinks):  # chunks that matter Megatron does not take at all
        return 0.0
    return tokens.model.attention_heads * tokens.training.sequence_length * (4 + tokens.width)
