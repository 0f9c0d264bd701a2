"""The group `data`: where the tokens come from."""

from dataclasses import dataclass
from typing import Literal

from primus.node.typed import bounded

BYTES = "bytes"  # the tokenizer that Primus ships
BYTES_VOCABULARY = 258  # 256 bytes, begin and end of text


@dataclass(frozen=True, kw_only=True)
class TextData:
    """Text files by glob; null: the source of the standard library of the Python that runs the ranks.

    `held_out` is the share of the documents that training never sees, for validation.
    """

    name: Literal["text"]
    files: str | tuple[str, ...] | None
    tokenizer: str
    held_out: float = bounded(least=0, most=0.5)


@dataclass(frozen=True, kw_only=True)
class HubData:
    """A data set of the Hugging Face hub, or a local folder that `datasets.load_dataset` reads.

    `validation_split` names the split for validation; null: the share `held_out` of the documents. `token` is the name
    of the environment variable that holds the access token.
    """

    name: Literal["hf"]
    dataset: str
    subset: str | None
    split: str
    validation_split: str | None
    held_out: float = bounded(least=0, most=0.5)
    text_key: str
    streaming: bool
    token: str
    tokenizer: str


@dataclass(frozen=True, kw_only=True)
class MegatronData:
    """Token files of Megatron: prefixes of .bin/.idx pairs. `split`: weights of training, validation and test."""

    name: Literal["megatron"]
    paths: str | tuple[str, ...]
    split: tuple[float, ...]
    tokenizer: str


@dataclass(frozen=True, kw_only=True)
class MockData:
    """Made-up text; no file is read."""

    name: Literal["mock"]
    tokenizer: str
    held_out: float = bounded(least=0, most=0.5)


Data = TextData | HubData | MegatronData | MockData
DATA: dict[str, type[Data]] = {"text": TextData, "hf": HubData, "megatron": MegatronData, "mock": MockData}
