"""The documents of `rank.json`, by number where they can be had so."""

import bisect
import math
from collections.abc import Callable
from typing import Any

from datasets import IterableDataset

from primus.rank import hub
from primus.rank.documents import MOCK_DOCUMENTS, mock_text, text_of


class Documents:
    """Those of `count` documents that are held out for validation, or all others (`primus.rank.documents.held_out`).

    A data source of Grain: a length and texts by place.
    """

    def __init__(self, count: int, text: Callable[[int], str], share: float, *, validation: bool) -> None:
        self._text = text
        self._share = share
        self._validation = validation
        self._count = count

    def __len__(self) -> int:
        return self._before(self._count)

    def __getitem__(self, place: int) -> str:
        # No list of numbers: it would take gigabytes for a billion documents.
        ends = range(1, self._count + 1)
        return self._text(bisect.bisect_left(ends, place + 1, key=self._before))

    def _before(self, number: int) -> int:
        """How many of the first `number` documents are of this part."""
        held_out = math.floor(number * self._share + 0.5)
        return held_out if self._validation else number - held_out


def read(data: dict[str, Any], sequence_length: int, *, validation: bool) -> Documents | IterableDataset:
    """The documents for training or for validation; texts of a stream are in its column `text`.

    Raises Refused when files or a data set are missing.
    """
    if data["name"] == "hf":
        return _of_hub(data, validation=validation)
    if data["name"] == "mock":
        return Documents(MOCK_DOCUMENTS, mock_text, data["held_out"], validation=validation)
    text = text_of(data, sequence_length)
    return Documents(len(text), text.read, data["held_out"], validation=validation)


def _of_hub(data: dict[str, Any], *, validation: bool) -> Documents | IterableDataset:
    own_split, key = data["validation_split"], data["text_key"]
    found = hub.load(data, "validation" if validation else "train")
    if isinstance(found, IterableDataset):
        return found.map(lambda row: {"text": hub.text(row, key)})
    share = float(validation) if own_split else data["held_out"]  # a split of its own is all for validation
    return Documents(len(found), lambda number: hub.text(found[number], key), share, validation=validation)
