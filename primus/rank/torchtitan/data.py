"""The data of `rank.json` in TorchTitan's own loaders."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, IterableDataset
from torchtitan.components.dataloader import BaseDataLoader
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import DATASETS, HuggingFaceTextDataLoader

from primus.rank import hub
from primus.rank.documents import MOCK_DOCUMENTS, held_out, mock_text, text_of
from primus.rank.indexed import Part
from primus.rank.problems import Refused
from primus.rank.torchtitan.tokens import Documents, TokenDataLoader

NAME = "primus"  # lower case, as the loader looks it up; with the part


@dataclass(frozen=True)
class Reading:
    """How the job reads: `readers` is the number of data-parallel ranks, `sequence_length` counts tokens."""

    seed: int
    sequence_length: int
    readers: int


def dataloader(data: dict[str, Any], reading: Reading, part: Part = "train") -> BaseDataLoader.Config:
    """The config of the loader of a part; a data set of text is registered with TorchTitan for it.

    Raises Refused when files are missing, or when there are fewer documents than readers.
    """
    if data["name"] == "megatron":
        return _tokens(data, reading, part)
    documents, text = _SOURCES[data["name"]](data, reading, part)
    if isinstance(documents, Dataset):
        _check_count(len(documents), reading, part, "data.held_out")
    name = f"{NAME}-{part}"
    DATASETS[name] = DatasetConfig(path=data["name"], loader=lambda path: documents, sample_processor=text)
    return HuggingFaceTextDataLoader.Config(dataset=name)


def _check_count(documents: int, reading: Reading, part: Part, key: str) -> None:
    # A reader without a document would look for the next one for ever.
    if documents < reading.readers:
        raise Refused(f"{key}: {documents} documents for {part} are too few for {reading.readers} data-parallel ranks")


def _tokens(data: dict[str, Any], reading: Reading, part: Part) -> TokenDataLoader.Config:
    given = [data["paths"]] if isinstance(data["paths"], str) else data["paths"]
    paths = [os.path.expanduser(path) for path in given]
    _check_count(len(Documents(paths, data["split"], part)), reading, part, "data.split")
    return TokenDataLoader.Config(paths=paths, split=data["split"], part=part, seed=reading.seed)


_Row = dict[str, Any]
_Source = tuple[Dataset | IterableDataset, Callable[[_Row], str]]


def _text(data: dict[str, Any], reading: Reading, part: Part) -> _Source:
    text = text_of(data, reading.sequence_length)
    return _numbered(len(text), data, reading, part), lambda row: text.read(row["number"])


def _mock(data: dict[str, Any], reading: Reading, part: Part) -> _Source:
    return _numbered(MOCK_DOCUMENTS, data, reading, part), lambda row: mock_text(row["number"])


def _numbered(count: int, data: dict[str, Any], reading: Reading, part: Part) -> Dataset:
    return Dataset.from_dict({"number": _part(count, data, part)}).shuffle(seed=reading.seed)


def _part(count: int, data: dict[str, Any], part: Part) -> list[int]:
    return [number for number in range(count) if held_out(number, data["held_out"]) == (part == "validation")]


def _hub(data: dict[str, Any], reading: Reading, part: Part) -> _Source:
    """A streamed data set is read in its own order, one that is not in the seed's."""
    documents = hub.load(data, part)
    if not data["validation_split"] and data["held_out"]:
        documents = documents.select(_part(len(documents), data, part))
    if isinstance(documents, Dataset) and part == "train":
        documents = documents.shuffle(seed=reading.seed)
    return documents, lambda row: hub.text(row, data["text_key"])


_SOURCES: dict[str, Callable[[dict[str, Any], Reading, Part], _Source]] = {"text": _text, "hf": _hub, "mock": _mock}
