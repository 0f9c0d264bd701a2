"""A streamed data set as a data set of Grain: read in its own order, from where a checkpoint says."""

from collections.abc import Iterator
from typing import Any

import grain.python as grain
from datasets import IterableDataset
from datasets.distributed import split_dataset_by_node


class Stream(grain.IterDataset[str]):
    """The texts (column `text`) that reader `rank` of `ranks` gets, again and again."""

    def __init__(self, documents: IterableDataset, rank: int, ranks: int) -> None:
        super().__init__()
        self._documents = split_dataset_by_node(documents, rank, ranks)

    def __iter__(self) -> "_Texts":
        return _Texts(self._documents)


class _Texts(grain.DatasetIterator[str]):
    def __init__(self, documents: IterableDataset) -> None:
        super().__init__()
        self._documents = documents
        self._epoch = 0
        self._rows: Iterator[dict[str, Any]] = self._begin(None)

    def __next__(self) -> str:
        for row in self._rows:
            return str(row["text"])
        self._epoch += 1
        self._rows = self._begin(None)
        return str(next(self._rows)["text"])

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "documents": self._documents.state_dict()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._epoch = state["epoch"]
        self._rows = self._begin(state["documents"])

    def _begin(self, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        self._documents.set_epoch(self._epoch)
        if state is not None:
            self._documents.load_state_dict(state)
        return iter(self._documents)
