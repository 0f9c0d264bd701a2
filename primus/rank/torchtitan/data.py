"""The data of `rank.json` as a data set of TorchTitan's own text loader."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, IterableDataset, load_dataset
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import DATASETS, HuggingFaceTextDataLoader

from primus.rank.documents import Text, mock_text, text_files
from primus.rank.problems import Refused

NAME = "primus"  # lower case, as the loader looks it up
BYTES_PER_TOKEN = 4  # about what a vocabulary learnt from text takes together
MOCK_DOCUMENTS = 100_000  # then they come again, in another order


@dataclass(frozen=True)
class Reading:
    """How the job reads: `readers` is the number of data-parallel ranks, `sequence_length` counts tokens."""

    seed: int
    sequence_length: int
    readers: int


def dataloader(data: dict[str, Any], reading: Reading) -> HuggingFaceTextDataLoader.Config:
    """The loader's config, once the data set is registered with TorchTitan.

    Raises Refused when files are missing or there are fewer documents than readers.
    """
    documents, text = _SOURCES[data["name"]](data, reading)
    if isinstance(documents, Dataset) and len(documents) < reading.readers:
        # A reader without a document would look for the next one for ever.
        raise Refused(f"data: {len(documents)} documents are too few for {reading.readers} data-parallel ranks")
    DATASETS[NAME] = DatasetConfig(path=data["name"], loader=lambda path: documents, sample_processor=text)
    return HuggingFaceTextDataLoader.Config(dataset=NAME)


_Row = dict[str, Any]
_Source = tuple[Dataset | IterableDataset, Callable[[_Row], str]]


def _text(data: dict[str, Any], reading: Reading) -> _Source:
    per_token = 1 if data["tokenizer"] == "bytes" else BYTES_PER_TOKEN
    globs = [data["files"]] if isinstance(data["files"], str) else data["files"]
    text = Text(text_files(globs), size=reading.sequence_length * per_token)  # a piece is about one sequence
    return _numbered(len(text), reading.seed), lambda row: text.read(row["number"])


def _mock(data: dict[str, Any], reading: Reading) -> _Source:
    return _numbered(MOCK_DOCUMENTS, reading.seed), lambda row: mock_text(row["number"])


def _numbered(count: int, seed: int) -> Dataset:
    return Dataset.from_dict({"number": range(count)}).shuffle(seed=seed)


def _hub(data: dict[str, Any], reading: Reading) -> _Source:
    path, key = os.path.expanduser(data["dataset"]), data["text_key"]
    documents = load_dataset(path, name=data["subset"], split=data["split"], streaming=data["streaming"])

    def text(row: _Row) -> str:
        if key not in row:
            raise Refused(f"data.text_key: the data set has no column {key!r}; it has {', '.join(sorted(row))}")
        return str(row[key])

    return documents, text


_SOURCES: dict[str, Callable[[dict[str, Any], Reading], _Source]] = {"text": _text, "hf": _hub, "mock": _mock}
