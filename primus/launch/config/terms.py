"""What is trained, on what and how, in neutral terms: the groups `model` and `data`, and the training tasks.

Each backend translates these into its own. The YAML files hold the defaults; a key that is missing there is an error.
"""

from dataclasses import dataclass
from typing import Literal

from primus.node.typed import bounded

BYTES = "bytes"  # the tokenizer that Primus ships
BYTES_VOCABULARY = 258  # 256 bytes, begin and end of text


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How Llama 3.1 stretches rotary positions beyond the `original_context` that they were trained for (positions).

    Turns shorter than original_context / high_frequency_factor positions are left as they are, those longer than
    original_context / low_frequency_factor take `factor` times as long, and those between pass from one to the other.
    Source: `apply_scaling` in https://github.com/meta-llama/llama-models, `rope_type: llama3` of Hugging Face.
    """

    factor: float = bounded(least=1)
    low_frequency_factor: float = bounded(above=0)
    high_frequency_factor: float = bounded(above=0)
    original_context: int = bounded(least=1)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder-only transformer. Sizes count elements; `head_size` is that of one attention head.

    `context` is the longest sequence that the model takes, in positions (tokens).

    `llama` is RMSNorm, rotary positions, grouped-query attention and SwiGLU without biases (Touvron et al. 2023,
    https://arxiv.org/abs/2302.13971 and https://arxiv.org/abs/2307.09288).
    """

    name: str
    architecture: Literal["llama"]
    hidden_size: int = bounded(least=1)
    layers: int = bounded(least=1)
    attention_heads: int = bounded(least=1)
    kv_heads: int = bounded(least=1)
    head_size: int = bounded(least=2)
    ffn_size: int = bounded(least=1)
    vocabulary: int = bounded(least=1)
    context: int = bounded(least=2)
    norm_epsilon: float = bounded(above=0)
    rope_theta: float = bounded(above=0)
    rope_scaling: RopeScaling | None
    tied_embeddings: bool

    @property
    def parameters(self) -> int:
        """How many numbers are trained. A layer has four projections of attention, three FFN matrices and two norms."""
        attention = 2 * self.hidden_size * self.head_size * (self.attention_heads + self.kv_heads)
        layer = attention + 3 * self.hidden_size * self.ffn_size + 2 * self.hidden_size
        embeddings = self.vocabulary * self.hidden_size * (1 if self.tied_embeddings else 2)
        return embeddings + self.layers * layer + self.hidden_size


@dataclass(frozen=True, kw_only=True)
class TextData:
    """Text files by glob; null: the source of the standard library of the Python that runs the ranks."""

    name: Literal["text"]
    files: str | tuple[str, ...] | None
    tokenizer: str


@dataclass(frozen=True, kw_only=True)
class HubData:
    """A data set of the Hugging Face hub, or a local folder that `datasets.load_dataset` reads."""

    name: Literal["hf"]
    dataset: str
    subset: str | None
    split: str
    text_key: str
    streaming: bool
    tokenizer: str


@dataclass(frozen=True, kw_only=True)
class MockData:
    """Made-up text; no file is read."""

    name: Literal["mock"]
    tokenizer: str


Data = TextData | HubData | MockData
DATA: dict[str, type[Data]] = {"text": TextData, "hf": HubData, "mock": MockData}


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
    """The learning rate over the steps: a linear warm-up, then down to `min_lr_ratio` of it, or constant.

    `warmup_steps` None is a tenth of all steps, at most 2000.
    """

    name: Literal["cosine", "linear", "constant"]
    warmup_steps: int | None = bounded(least=0)
    min_lr_ratio: float = bounded(least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Degrees of parallelism. The ranks left over after their product shard the weights (FSDP)."""

    tensor: int = bounded(least=1)
    replicate: int = bounded(least=1)

    def degrees(self) -> dict[str, int]:
        """What must divide the world size: `Job.parallel` of the plan."""
        return {"tensor": self.tensor, "replicate": self.replicate}


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Training from scratch. Lengths and batches count tokens and sequences; `micro_batch` is that of one rank."""

    name: Literal["train/pretrain"]
    steps: int = bounded(least=1)
    seed: int = bounded(least=0, most=2**32 - 1)
    sequence_length: int = bounded(least=2)
    micro_batch: int = bounded(least=1)
    global_batch: int | None = bounded(least=1)
    optimizer: Optimizer
    schedule: Schedule
    clip_grad_norm: float = bounded(above=0)
    precision: Literal["auto", "fp32", "bf16"]
    parallel: Parallel

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up, decided."""
        given = self.schedule.warmup_steps
        return min(self.steps // 10, 2000) if given is None else given
