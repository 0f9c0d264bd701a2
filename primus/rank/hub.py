"""Data sets of the Hugging Face hub, or of a folder that `datasets` reads."""

import os
from collections.abc import Callable
from typing import Any

from datasets import Dataset, IterableDataset, load_dataset

from primus.rank.problems import UNFIT, Refused

Text = Callable[[dict[str, Any]], str]


def read(data: dict[str, Any], *, validation: bool) -> tuple[Dataset | IterableDataset, Text]:
    """The data set of the neutral terms `data`, and how to get the text of a row.

    It is the split for validation where that is asked for and named, else the one for training with all its documents.
    Raises Refused when it is not there, and when a stream would have to be parted.
    """
    split, key = data["validation_split"], data["text_key"]
    if data["streaming"] and not split and (data["held_out"] or validation):
        raise Refused(
            "data.validation_split: null keeps a share of the documents by their numbers, and a streamed data set has "
            "none: name a split, or give data.streaming=false, or data.held_out=0 to train without evaluation"
        )

    def text(row: dict[str, Any]) -> str:
        if key not in row:
            raise Refused(f"data.text_key: the data set has no column {key!r}; it has {', '.join(sorted(row))}")
        return str(row[key])

    return _loaded(data, split if split and validation else data["split"]), text


def _loaded(data: dict[str, Any], split: str) -> Dataset | IterableDataset:
    path, token = os.path.expanduser(data["dataset"]), os.environ.get(data["token"])
    try:
        return load_dataset(path, name=data["subset"], split=split, streaming=data["streaming"], token=token)
    except FileNotFoundError as error:  # or a gated one: without a token the hub does not tell them apart
        unset = "" if token else f" (no access token: {data['token']}, which data.token names, is not set)"
        raise Refused(f"data.dataset: {error}{unset}") from None
    except ValueError as error:  # no such subset or split: says which there are
        raise Refused(f"data.dataset: {path}: {error}") from None
    except ConnectionError as error:
        raise Refused(f"data.dataset: {path} cannot be reached: {error}", UNFIT) from None
