"""Token files of Megatron in TorchTitan's own loader: documents are ids already, where its text data set has text."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch.distributed.checkpoint.stateful import Stateful
from torch.utils.data import IterableDataset
from torchtitan.components.dataloader import ParallelAwareDataloader

from primus.rank.indexed import Part, TokenFile, Tokens, part_of
from primus.rank.order import Permutation
from primus.rank.problems import Refused

Sample = tuple[dict[str, torch.Tensor], torch.Tensor]


class Documents:
    """The documents of one part of several token files: each file is split by itself, as Megatron does."""

    def __init__(self, paths: list[str], split: list[float], part: Part) -> None:
        """Raises Refused for files that cannot be read, and for a part without a document that has two tokens."""
        self._files = [TokenFile(path) for path in paths]
        self._ranges = [part_of(split, len(file), part) for file in self._files]
        self._ends = list(accumulate(map(len, self._ranges)))
        parts = zip(self._files, self._ranges, strict=True)
        if not any((file.lengths[numbers.start : numbers.stop] > 1).any() for file, numbers in parts):
            raise Refused(f"data.split: {split} leaves no document for {part}, of {sum(map(len, self._files))} in all")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, number: int) -> Tokens:
        file = int(np.searchsorted(self._ends, number, side="right"))
        before = self._ends[file - 1] if file else 0
        return self._files[file][self._ranges[file][number - before]]


class TokenDataset(IterableDataset[Sample], Stateful):
    """Sequences packed of documents in an order that the seed gives, another one in each epoch.

    As TorchTitan's `HuggingFaceTextDataset` (hf_datasets/text_datasets.py, 0.3.0) packs them: labels are shifted within
    a document, and positions begin anew with each document and each sequence. Rank r of n takes every n-th document.
    The state says where the next sequence begins: epoch, place in the order, token of the document.
    """

    def __init__(self, documents: Documents, seed: int, rank: int, ranks: int, length: int, infinite: bool) -> None:
        self._documents = documents
        self._seed = seed
        self._rank, self._ranks = rank, ranks
        self._length = length
        self._infinite = infinite
        self._epoch = self._place = self._token = 0

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "place": self._place, "token": self._token}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._epoch, self._place, self._token = (state_dict[name] for name in ("epoch", "place", "token"))

    def __iter__(self) -> Iterator[Sample]:
        pieces: list[Tokens] = []
        room = self._length
        for document in self._rest():
            while self._token < len(document) - 1:
                piece = document[self._token : self._token + room + 1]  # its last token is a label alone
                pieces.append(piece)
                room -= len(piece) - 1
                self._token += len(piece) - 1
                if room == 0:
                    yield _sample(pieces)
                    pieces, room = [], self._length

    def _rest(self) -> Iterator[Tokens]:
        """The documents from the state on; moves the state to the next one when a document is used up."""
        while True:
            order = Permutation(len(self._documents), self._seed, self._epoch)
            found = self._place > 0
            for place in range(self._rank + self._place * self._ranks, len(order), self._ranks):
                document = self._documents[order[place]]
                found = found or len(document) > 1
                yield document
                self._place, self._token = self._place + 1, 0
            if not self._infinite:
                return
            if not found:
                raise Refused(f"data: data-parallel rank {self._rank} of {self._ranks} has no document with two tokens")
            self._epoch, self._place = self._epoch + 1, 0


class TokenDataLoader(ParallelAwareDataloader):
    """TorchTitan's data-parallel loader over token files."""

    @dataclass(kw_only=True, slots=True)
    class Config(ParallelAwareDataloader.Config):
        """`paths`, `split` and `part` as `Documents` has them; not `infinite`: one epoch alone."""

        paths: list[str]
        split: list[float]
        part: Part
        seed: int
        infinite: bool = True

    def __init__(
        self,
        config: Config,
        *,
        dp_world_size: int,
        dp_rank: int,
        seq_len: int,
        local_batch_size: int,
        snapshot_every_n_steps: int | None = 1,
        **_: Any,
    ) -> None:
        documents = Documents(config.paths, config.split, config.part)
        super().__init__(
            TokenDataset(documents, config.seed, dp_rank, dp_world_size, seq_len, config.infinite),
            dp_rank=dp_rank,
            dp_world_size=dp_world_size,
            batch_size=local_batch_size,
            num_workers=config.num_workers,
            persistent_workers=config.persistent_workers,
            pin_memory=config.pin_memory,
            prefetch_factor=config.prefetch_factor,
            snapshot_every_n_steps=snapshot_every_n_steps,
        )


def _sample(pieces: list[Tokens]) -> Sample:
    inputs = np.concatenate([piece[:-1] for piece in pieces])
    labels = np.concatenate([piece[1:] for piece in pieces])
    positions = np.concatenate([np.arange(len(piece) - 1) for piece in pieces])
    ids, targets, places = (torch.from_numpy(values.astype(np.int64)) for values in (inputs, labels, positions))
    return {"input": ids, "positions": places}, targets
