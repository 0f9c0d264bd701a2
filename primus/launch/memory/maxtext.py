"""MaxText 0.2.5: weights, gradients and AdamW's moments in fp32 over all ranks, computing in bf16, compiled by XLA."""

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.launch.memory.activations import Tokens
from primus.launch.memory.split import Split, Stage, head_parameters, largest_layer, stage_parameters
from primus.launch.memory.state import State

ENDS_COUNT_AS_LAYERS = False
_FP32 = 4  # weight_dtype


def in_flight(split: Split, stage: Stage) -> int:
    """Its pipeline runs all micro batches forward before the first comes back (layers/pipeline.py)."""
    return split.micro_batches if split.pipeline > 1 else 1


def state(model: Model, training: Training, split: Split, stage: Stage) -> State:
    """The logical axes of the weights lie over fsdp, context, expert and tensor (configs/base.yml)."""
    here, layer = stage_parameters(model, stage), largest_layer(model, stage)
    spread = (here.dense + here.experts) / (split.shards * split.tensor)
    at_work = (layer.dense + layer.experts / split.expert) / split.tensor
    return State(
        weights=_FP32 * spread,
        gradients=_FP32 * spread,
        optimizer=2 * _FP32 * spread,
        layer=3 * _FP32 * at_work,  # this layer and the next gathered, the gradients before they are spread
        head=2 * _FP32 * head_parameters(model) / split.tensor,
    )


def everything(tokens: Tokens, index: int) -> float:
    """With nothing computed again."""
    layer, width = tokens.layer(index), tokens.width
    routed = layer.copies * width * (2 * layer.hidden + 3 * layer.routed) + 8 * layer.experts
    split_up = width * (layer.attention + 3 * layer.ffn) + routed + _scores(tokens)
    return 4 * width * layer.hidden + split_up / tokens.split.tensor


def kept(tokens: Tokens, index: int) -> float:
    """`remat_policy` full, or minimal_with_context: the results of all matmuls and of attention."""
    mode, layer, width = tokens.training.activation_checkpointing, tokens.layer(index), tokens.width
    if mode == "none":
        return everything(tokens, index)
    entrance = width * layer.hidden
    if mode == "full":
        return entrance
    routed = layer.copies * (2 * layer.routed + layer.hidden)
    saved = sum(size for size, _ in layer.matmuls) + layer.attention_output + routed
    return entrance + width * saved / tokens.split.tensor


def loss(tokens: Tokens) -> float:
    """Logits, in fp32 too, with the targets one-hot and the gradient, of the whole micro batch (num_vocab_tiling 1)."""
    hidden = 3 * tokens.width * tokens.model.hidden_size
    return tokens.count * (tokens.logits * (tokens.width + 12) + hidden)


def _scores(tokens: Tokens) -> float:
    """Masks other than causal have no fused kernel: scores in fp32 and in the activations' type."""
    if not (tokens.model.window or tokens.model.chunk or tokens.model.attention_sinks):
        return 0.0
    return tokens.model.attention_heads * tokens.training.sequence_length * (4 + tokens.width)
