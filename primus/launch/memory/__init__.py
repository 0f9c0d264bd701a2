"""How much of a GPU's memory a training takes, worked out before it starts. Formulas and sources: docs/memory.md."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.launch.memory import maxtext, megatron, torchtitan
from primus.launch.memory.activations import Tokens
from primus.launch.memory.split import Split, Stage, stages

GIB = 2**30
FRAMEWORKS = {"torchtitan": torchtitan, "megatron": megatron, "maxtext": maxtext}


@dataclass(frozen=True)
class Estimate:
    """Bytes on each GPU of the fullest pipeline stage.

    `activations` are what the forward pass leaves for the backward pass; `working` is the most that comes on top: one
    layer with its weights and gradients at hand, or the loss with the logits.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    working: float

    @property
    def used(self) -> float:
        """What the framework's allocator hands out at the peak."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.working

    @property
    def reserve(self) -> float:
        """2 GiB for the driver's context, libraries and NCCL; 10 % for gaps between blocks and what is not known."""
        return 2 * GIB + 0.1 * self.used

    @property
    def total(self) -> float:
        """All that must fit."""
        return self.used + self.reserve

    def __str__(self) -> str:
        parts = ("weights", "gradients", "optimizer", "activations", "working", "reserve")
        return ", ".join(f"{name} {getattr(self, name) / GIB:.1f}" for name in parts)


def estimate(model: Model, training: Training, backend: str, world_size: int) -> Estimate:
    """Of training `model` on `world_size` GPUs, with the degrees of parallelism of `training`, which fit them."""
    return max(_of_every_stage(model, training, backend, world_size), key=lambda found: found.total)


def _of_every_stage(model: Model, training: Training, backend: str, world_size: int) -> Iterator[Estimate]:
    framework, split = FRAMEWORKS[backend], Split.of(training, world_size)
    tokens = Tokens(model, training, split)
    for stage in stages(model, split, framework.ENDS_COUNT_AS_LAYERS):
        state = framework.state(model, training, split, stage)
        kept = sum(framework.kept(tokens, layer) for layer in stage.layers)
        yield Estimate(
            weights=state.weights,
            gradients=state.gradients,
            optimizer=state.optimizer,
            activations=tokens.count * kept * framework.in_flight(split, stage),
            working=max(
                state.layer + tokens.count * _at_work(tokens, stage, framework.everything),
                (state.head + framework.loss(tokens)) if stage.last else 0.0,
            ),
        )


def _at_work(tokens: Tokens, stage: Stage, everything: Callable[[Tokens, int], float]) -> float:
    """Bytes per token of the layer in its backward pass: what it computes again, and the gradients of its tensors."""
    again = tokens.training.activation_checkpointing != "none"
    return max((again * everything(tokens, i) + _gradients(tokens, i) for i in stage.layers), default=0.0)


def _gradients(tokens: Tokens, index: int) -> float:
    layer = tokens.layer(index)
    wide = layer.ffn + layer.copies * layer.routed  # gate, up and product
    return tokens.width * (2 * layer.hidden + 3 * wide / tokens.split.tensor)
