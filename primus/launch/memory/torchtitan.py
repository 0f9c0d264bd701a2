"""TorchTitan 0.3: FSDP2 with weights, gradients and AdamW's moments in fp32, computing in bf16."""

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.launch.memory.activations import Layer, Tokens
from primus.launch.memory.split import Parameters, Split, Stage, head_parameters, largest_layer, stage_parameters
from primus.launch.memory.state import State

ENDS_COUNT_AS_LAYERS = True  # _generate_llm_fqn_per_model_part of distributed/pipeline_parallel.py
_MASTER, _REDUCED, _MOMENTS = 4, 4, 8  # TrainingConfig.dtype, mixed_precision_reduce; two moments


def in_flight(split: Split, stage: Stage) -> int:
    """Micro batches between forward and backward pass under 1F1B (Narayanan et al. 2021, arXiv 2104.04473)."""
    return min(split.pipeline - stage.index, split.micro_batches)


def state(model: Model, training: Training, split: Split, stage: Stage) -> State:
    """Spread over all ranks but those of `replicate`: experts too, over the ranks of data, context and tensor.

    With a pipeline, weights are not given back after the forward pass (`fsdp_reshard_after_forward`), and gradients are
    summed whole until the last micro batch.
    """
    width = 4 if training.precision == "fp32" else 2
    here = stage_parameters(model, stage)
    spread = (here.dense + here.experts) / (split.shards * split.tensor)
    whole = _gathered(here, split) if split.pipeline > 1 else 0.0
    # FSDP2 holds one layer, has the next one gathered, and the gradients whole, then copied in the type of the
    # reduction (torch/distributed/fsdp/_fully_shard). Of the head the gradients of its chunks are summed as well.
    layer = (3 * width + _REDUCED) * _gathered(largest_layer(model, stage), split)
    head = (2 * width + 2 * _REDUCED) * head_parameters(model) / split.tensor
    return State(
        weights=_MASTER * spread + width * whole,
        gradients=_REDUCED * (spread + (whole if split.micro_batches > 1 else 0.0)),
        optimizer=_MOMENTS * spread,
        layer=layer,
        head=head,
    )


def _gathered(parameters: Parameters, split: Split) -> float:
    """Parameters on a rank when FSDP has gathered them: experts are split by one of expert and tensor parallelism."""
    return parameters.dense / split.tensor + parameters.experts / (split.expert if split.expert > 1 else split.tensor)


def everything(tokens: Tokens, index: int) -> float:
    """With nothing computed again."""
    layer, width, of_ffn = tokens.layer(index), tokens.width, _of_ffn(tokens)
    routed = layer.copies * (width * (layer.hidden + of_ffn * layer.routed) + 4 * layer.hidden)  # weighted in fp32
    split_up = width * (layer.attention + of_ffn * layer.ffn) / tokens.split.tensor
    experts = (routed + 8 * layer.experts) / tokens.split.tensor  # a sequence-parallel rank routes its own tokens
    return _norms(tokens, layer) + split_up + experts


def _of_ffn(tokens: Tokens) -> int:
    """Tensors of an FFN: gate, up and their product. Eager mode keeps those of the activation function as well, of
    gpt-oss's both halves in one, clamped, the sigmoid and the gate; TorchInductor computes them again."""
    if tokens.training.compile:
        return 3
    return 7 if tokens.model.activation == "clamped_swiglu" else 4


def kept(tokens: Tokens, index: int) -> float:
    """As `task.activation_checkpointing` has it: `SelectiveAC` and `FullAC` of distributed/activation_checkpoint.py."""
    mode, layer = tokens.training.activation_checkpointing, tokens.layer(index)
    if mode == "none":
        return everything(tokens, index)
    entrance = tokens.width * layer.hidden / (tokens.split.tensor if _sequence_parallel(tokens) else 1)
    if mode == "full":
        return entrance
    exchanged = 2 * layer.copies * layer.hidden if tokens.split.expert > 1 else 0.0  # the results of all-to-all
    saved = layer.attention_output + _every_second(layer) + exchanged
    return entrance + tokens.width * saved / tokens.split.tensor


def loss(tokens: Tokens, chunks: int | None = None) -> float:
    """Of one chunk the logits, and in fp32 their log-probabilities with both gradients (components/loss.py); of all
    tokens the hidden states with their gradient, in fp32 and not."""
    one = tokens.count / (chunks or tokens.loss_chunks)
    return one * tokens.logits * (tokens.width + 12) + tokens.count * tokens.model.hidden_size * (3 * tokens.width + 4)


def _norms(tokens: Tokens, layer: Layer) -> float:
    """Inputs and outputs of the two norms. Sequence-parallel ranks keep the outputs gathered, for the next matmul."""
    split = tokens.split.tensor if _sequence_parallel(tokens) else 1
    return tokens.width * layer.hidden * (2 / split + 2)


def _sequence_parallel(tokens: Tokens) -> bool:
    return tokens.training.parallel.sequence is not False


def _every_second(layer: Layer) -> int:
    """Elements of the matmuls that SelectiveAC keeps: every second, and all that add a bias (it counts `mm` alone)."""
    counted = [size for size, biased in layer.matmuls if not biased]
    return sum(counted[::2]) + sum(size for size, biased in layer.matmuls if biased)
