"""The training tasks in neutral terms. Lengths count tokens, batches count sequences."""

from dataclasses import dataclass
from typing import Literal

from primus.node.typed import bounded


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101)."""

    name: Literal["adamw"]
    lr: float = bounded(above=0)
    betas: tuple[float, ...]
    epsilon: float = bounded(above=0)
    weight_decay: float = bounded(least=0)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over `steps` (None: those of the task): a linear warm-up, then down to `min_lr_ratio` of it at
    the last step, or constant.

    `warmup_steps` None is a tenth of the steps, at most 2000.
    """

    name: Literal["cosine", "linear", "constant"]
    steps: int | None = bounded(least=1)
    warmup_steps: int | None = bounded(least=0)
    min_lr_ratio: float = bounded(least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Degrees of parallelism. The ranks left over after their product shard the state of the training (FSDP).

    `replicate` counts whole copies (data parallel). `sequence`: tensor-parallel ranks share the norms' activations by
    sequence too; None: where the backend does it best. `expert` is the number of ranks, among those that share data
    and context, over which the experts are spread.
    """

    tensor: int = bounded(least=1)
    sequence: bool | None
    pipeline: int = bounded(least=1)
    context: int = bounded(least=1)
    expert: int = bounded(least=1)
    replicate: int = bounded(least=1)

    def degrees(self) -> dict[str, int]:
        """What must divide the world size: `Job.parallel` of the plan."""
        return {
            "tensor": self.tensor,
            "pipeline": self.pipeline,
            "context": self.context,
            "replicate": self.replicate,
        }

    @property
    def per_sequence(self) -> int:
        """How many ranks work on one micro batch together."""
        return self.tensor * self.pipeline * self.context


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Every `interval` steps and at the last (None: never); the newest `keep` stay (0: all).

    `directory` None: `checkpoints` in the run directory. `load`: a run, or a folder of checkpoints or of one, whose
    weights a new run begins with. `checksums`: what is saved gets some, and what is gone on from is compared with them.
    """

    interval: int | None = bounded(least=1)
    keep: int = bounded(least=0)
    directory: str | None
    load: str | None
    checksums: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every `interval` steps and at the last (None: never): the mean loss over `steps` batches of held-out data."""

    interval: int | None = bounded(least=1)
    steps: int = bounded(least=1)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What training and evaluation share; `micro_batch` is that of one rank."""

    name: str
    steps: int = bounded(least=1)
    seed: int = bounded(least=0, most=2**32 - 1)
    sequence_length: int = bounded(least=2)
    micro_batch: int = bounded(least=1)
    global_batch: int | None = bounded(least=1)
    optimizer: Optimizer
    schedule: Schedule
    clip_grad_norm: float = bounded(above=0)
    precision: Literal["auto", "fp32", "bf16", "fp8"]
    parallel: Parallel
    activation_checkpointing: Literal["none", "selective", "full"]
    compile: bool
    checkpoint: Checkpoint
    eval: Evaluation

    @property
    def schedule_steps(self) -> int:
        """Length of the learning-rate schedule in steps, decided."""
        return self.schedule.steps or self.steps

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up, decided."""
        given = self.schedule.warmup_steps
        return min(self.schedule_steps // 10, 2000) if given is None else given
