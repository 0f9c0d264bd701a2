"""Token files of Megatron: <prefix>.bin holds tokens one after the other, <prefix>.idx where each sequence lies.

Little-endian, by `_IndexWriter`, `_IndexReader` and `DType` of megatron/core/datasets/indexed_dataset.py (megatron-core
0.19.2), version 1. The .idx: 9 bytes of magic, version (uint64), code of the tokens' type (uint8), number of sequences
and of document bounds (uint64 each), then per sequence its length in tokens (int32) and its first byte in the .bin
(int64), then the document bounds (int64), counted in sequences, from 0. What is written here has one sequence a
document, as Megatron's own preprocessing without sentence splitting. Needs numpy alone.
"""

import os
import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import numpy as np
from numpy.typing import NDArray

from primus.rank.problems import Refused

Tokens = NDArray[Any]
Part = Literal["train", "validation"]

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEAD = struct.Struct("<9sQBQQ")
_TYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}  # 6 and 7 are floats, which no token is
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}


def dtype_for(vocabulary: int) -> "np.dtype[Any]":
    """uint16 for a vocabulary below 65,500, else int32: Megatron's `DType.optimal_dtype`."""
    return np.dtype("<u2") if vocabulary < 65500 else np.dtype("<i4")


def part_of(split: Sequence[float], count: int, part: Part) -> range:
    """The numbers of the sequences, of `count` in a file, that belong to a part; `split` weighs the parts.

    By `parse_and_normalize_split`, `convert_split_vector_to_split_matrix` (blended_megatron_dataset_config.py) and
    `_build_megatron_dataset_splits` (blended_megatron_dataset_builder.py) of megatron-core 0.19.2.
    """
    total = sum(split)
    ends = [0.0, *accumulate(weight / total for weight in split)]
    number = {"train": 0, "validation": 1}[part]
    if number + 1 >= len(ends):
        return range(0)
    return range(round(ends[number] * count), round(ends[number + 1] * count))


class TokenFile:
    """The sequences of a .bin/.idx pair, mapped into memory: nothing is read but what is asked for."""

    def __init__(self, prefix: str) -> None:
        """Raises Refused, with the file, when one is missing, is no token file, or is cut short."""
        index = _mapped(f"{prefix}.idx")
        if len(index) < _HEAD.size or bytes(index[:9]) != _MAGIC:
            raise Refused(f"{prefix}.idx is no index of Megatron's token files: it does not begin with {_MAGIC[:7]!r}")
        _, version, code, count, bounds = _HEAD.unpack(index[: _HEAD.size].tobytes())
        if version != _VERSION or code not in _TYPES:
            raise Refused(f"{prefix}.idx: version {version} with tokens of type {code} is none that can be read")
        ends = list(accumulate((_HEAD.size, 4 * count, 8 * count, 8 * bounds)))
        if len(index) < ends[-1]:
            raise Refused(f"{prefix}.idx is cut short: {len(index)} bytes, where {count} sequences need {ends[-1]}")
        self.dtype = np.dtype(_TYPES[code])
        self.lengths: Tokens = index[ends[0] : ends[1]].view("<i4")
        self._starts: Tokens = index[ends[1] : ends[2]].view("<i8")
        self.bin = f"{prefix}.bin"
        self._tokens = _mapped(self.bin)
        needed = int(self._starts[-1]) + int(self.lengths[-1]) * self.dtype.itemsize if count else 0
        if len(self._tokens) < needed:
            raise Refused(f"{self.bin} is cut short: {len(self._tokens)} bytes, where its .idx needs {needed}")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Tokens:
        start = int(self._starts[number])
        return self._tokens[start : start + int(self.lengths[number]) * self.dtype.itemsize].view(self.dtype)


class Writer:
    """Writes <prefix>.bin as documents come, and <prefix>.idx, whole, when the `with` block ends without an error.

    So a pair with an .idx is complete.
    """

    def __init__(self, prefix: str, dtype: "np.dtype[Any]") -> None:
        self.prefix = prefix
        self.dtype = dtype
        self._lengths = array("i")
        self.tokens = 0  # written so far
        self._file: BinaryIO = open(f"{prefix}.bin", "wb")  # noqa: SIM115 - closed at the end of `with`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                self._write_index()

    def add(self, tokens: Tokens) -> None:
        """Append a document. Raises Refused for one of 2**31 tokens or more: the format counts them in int32."""
        if len(tokens) >= 2**31:
            raise Refused(
                f"a document of {len(tokens)} tokens is too long for Megatron's token files: at most 2**31 - 1"
            )
        self._file.write(tokens.astype(self.dtype, copy=False).data)
        self._lengths.append(len(tokens))
        self.tokens += len(tokens)

    def append(self, prefix: str) -> None:
        """Append all documents of another pair of the same type, in their order."""
        other = TokenFile(prefix)
        assert other.dtype == self.dtype
        self._lengths.frombytes(other.lengths.tobytes())
        self.tokens += int(other.lengths.sum(dtype=np.int64))
        self._file.flush()
        with open(other.bin, "rb") as source:
            while os.sendfile(self._file.fileno(), source.fileno(), None, 1 << 30):
                pass

    @property
    def documents(self) -> int:
        """How many were added."""
        return len(self._lengths)

    def _write_index(self) -> None:
        lengths = np.frombuffer(self._lengths, dtype=np.int32).astype("<i4", copy=False)
        sizes = lengths.astype("<i8") * self.dtype.itemsize
        head = _HEAD.pack(_MAGIC, _VERSION, _CODES[self.dtype], len(lengths), len(lengths) + 1)
        partial = Path(f"{self.prefix}.idx.partial")
        with partial.open("wb") as file:
            file.write(head)
            file.write(lengths.data)
            file.write((np.cumsum(sizes) - sizes).data)
            file.write(np.arange(len(lengths) + 1, dtype="<i8").data)
        partial.replace(f"{self.prefix}.idx")


def _mapped(path: str) -> Tokens:
    try:
        if os.path.getsize(path):
            return np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    return np.zeros(0, dtype=np.uint8)  # an empty file cannot be mapped
