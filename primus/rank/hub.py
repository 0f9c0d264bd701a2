"""Data sets of the Hugging Face hub, or local folders of that form, by the `data` of `rank.json`."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datasets import load_dataset

from primus.rank.indexed import Part
from primus.rank.problems import UNFIT, Refused
from primus.rank.progress import beat


def load(data: dict[str, Any], part: Part) -> Any:
    """A `Dataset`, or an `IterableDataset` where `data.streaming`; of both parts where validation has no split.

    Raises Refused when it cannot be had.
    """
    own_split = data["validation_split"]
    if data["streaming"] and not own_split and (data["held_out"] or part == "validation"):
        raise Refused(
            "data.validation_split: null keeps a share of the documents by their numbers, and a streamed data set has "
            "none: name a split, or give data.streaming=false, or data.held_out=0 to train without evaluation"
        )
    path, token = os.path.expanduser(data["dataset"]), os.environ.get(data["token"])
    split = own_split if own_split and part == "validation" else data["split"]
    try:
        with _beating():
            return load_dataset(path, name=data["subset"], split=split, streaming=data["streaming"], token=token)
    except FileNotFoundError as error:  # or a gated one: without a token the hub does not tell them apart
        unset = "" if token else f" (no access token: {data['token']}, which data.token names, is not set)"
        raise Refused(f"data.dataset: {error}{unset}") from None
    except ValueError as error:  # no such subset or split: says which there are
        raise Refused(f"data.dataset: {path}: {error}") from None
    except ConnectionError as error:
        raise Refused(f"data.dataset: {path} cannot be reached: {error}", UNFIT) from None


@contextmanager
def _beating() -> Iterator[None]:
    """A download may take hours. Every advance of a progress bar, which no terminal need show, is a heartbeat."""
    bar: Any = importlib.import_module("tqdm.std").tqdm  # which all bars of the hub and of datasets derive from
    own = bar.update

    def update(self: Any, *done: Any) -> Any:
        beat("reading the data set")
        return own(self, *done)

    bar.update = update
    try:
        yield
    finally:
        bar.update = own


def text(row: dict[str, Any], key: str) -> str:
    """The text of a row. Raises Refused when the data set has no such column."""
    if key not in row:
        raise Refused(f"data.text_key: the data set has no column {key!r}; it has {', '.join(sorted(row))}")
    return str(row[key])
