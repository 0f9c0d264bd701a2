"""Token files of Megatron, read and written without Megatron: equal to what Megatron's own classes write and read."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from primus.rank.indexed import TokenFile, Writer, dtype_for, part_of
from primus.rank.problems import Refused

BUILD = """
import json, sys
import numpy, torch
from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder
prefix, documents, vocabulary = json.loads(sys.argv[1])
builder = IndexedDatasetBuilder(prefix + ".bin", dtype=DType.optimal_dtype(vocabulary))
for document in documents:
    builder.add_document(torch.tensor(document), [len(document)])
builder.finalize(prefix + ".idx")
"""
READ = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
found = IndexedDataset(json.loads(sys.argv[1]))
print(json.dumps([str(found.index.dtype.__name__), [found[n].tolist() for n in range(len(found))]]))
"""
SPLIT = """
import json, sys
from megatron.core.datasets.blended_megatron_dataset_config import (
    convert_split_vector_to_split_matrix, parse_and_normalize_split)
found = []
for split, count in json.loads(sys.argv[1]):
    matrix = convert_split_vector_to_split_matrix(parse_and_normalize_split(",".join(map(str, split))))
    # as `_build_megatron_dataset_splits` of blended_megatron_dataset_builder.py
    found.append([[int(round(part[0] * float(count))), int(round(part[1] * float(count)))] if part else None
                  for part in matrix[:2]])
print(json.dumps(found))
"""

DOCUMENTS = [[1, 2, 3, 257], [257], [65499] * 40, list(range(1000))]


def write(prefix: Path, documents: list[list[int]], vocabulary: int) -> None:
    with Writer(str(prefix), dtype_for(vocabulary)) as writer:
        for document in documents:
            writer.add(np.array(document))


def ask_megatron(python: str, program: str, question: object) -> str:
    """What a program says that runs in the environment of Megatron."""
    return subprocess.run(
        [python, "-c", program, json.dumps(question)], check=True, capture_output=True, text=True, timeout=240
    ).stdout


@pytest.mark.megatron
@pytest.mark.parametrize(("vocabulary", "documents"), [(258, DOCUMENTS), (65500, [*DOCUMENTS, [65500, 2**31 - 1]])])
def test_the_bytes_are_those_that_megatron_writes(
    tmp_path: Path, megatron_python: str, vocabulary: int, documents: list[list[int]]
) -> None:
    write(tmp_path / "ours", documents, vocabulary)
    ask_megatron(megatron_python, BUILD, [str(tmp_path / "theirs"), documents, vocabulary])
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"ours{suffix}").read_bytes() == (tmp_path / f"theirs{suffix}").read_bytes()


@pytest.mark.megatron
def test_megatron_reads_what_is_written_here_and_the_other_way_round(tmp_path: Path, megatron_python: str) -> None:
    write(tmp_path / "ours", DOCUMENTS, 258)
    assert json.loads(ask_megatron(megatron_python, READ, str(tmp_path / "ours"))) == ["uint16", DOCUMENTS]
    ask_megatron(megatron_python, BUILD, [str(tmp_path / "theirs"), DOCUMENTS, None])
    theirs = TokenFile(str(tmp_path / "theirs"))
    assert theirs.dtype == np.int32
    assert [theirs[n].tolist() for n in range(len(theirs))] == DOCUMENTS


@pytest.mark.megatron
def test_the_parts_are_those_that_megatron_makes(megatron_python: str) -> None:
    asked = [
        (split, count)
        for split in ([98, 2, 0], [969, 30, 1], [1, 1, 1], [100], [0, 1, 0], [0.7, 0.2, 0.1])
        for count in (1, 7, 50, 75, 1001, 10**7 + 3)
    ]
    for (split, count), matrix in zip(asked, json.loads(ask_megatron(megatron_python, SPLIT, asked)), strict=True):
        for part, bounds in zip(("train", "validation"), matrix, strict=True):
            assert part_of(split, count, part) == range(*bounds or (0,)), (split, count)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS, 65500)
    tokens = TokenFile(str(tmp_path / "a"))
    assert [tokens[n].tolist() for n in range(len(tokens))] == DOCUMENTS
    assert tokens.lengths.tolist() == [len(document) for document in DOCUMENTS]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.idx"]


def test_pairs_are_joined_in_order(tmp_path: Path) -> None:
    write(tmp_path / "whole", DOCUMENTS + DOCUMENTS, 258)
    write(tmp_path / "half", DOCUMENTS, 258)
    write(tmp_path / "nothing", [], 258)
    with Writer(str(tmp_path / "joined"), dtype_for(258)) as writer:
        for document in DOCUMENTS:
            writer.add(np.array(document))
        writer.append(str(tmp_path / "nothing"))
        writer.append(str(tmp_path / "half"))
        assert writer.documents == 2 * len(DOCUMENTS)
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"joined{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


def test_there_is_no_index_before_all_is_written_and_none_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with Writer(str(tmp_path / "a"), dtype_for(258)) as writer:
            writer.add(np.array([1, 2]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_files_that_are_missing_foreign_or_cut_short_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS, 258)
    index, tokens = tmp_path / "a.idx", tmp_path / "a.bin"
    whole = index.read_bytes()
    for content, message in (
        (b"PK\x03\x04" + bytes(40), r"a\.idx is no index of Megatron's token files"),
        (whole[:-1], r"a\.idx is cut short: \d+ bytes, where 4 sequences need"),
        (whole[:17] + b"\x07" + whole[18:], r"a\.idx: version 1 with tokens of type 7"),
    ):
        index.write_bytes(content)
        with pytest.raises(Refused, match=message):
            TokenFile(str(tmp_path / "a"))
    index.write_bytes(whole)
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(Refused, match=r"a\.bin is cut short"):
        TokenFile(str(tmp_path / "a"))
    tokens.unlink()
    with pytest.raises(Refused, match=r"a\.bin cannot be read: No such file"):
        TokenFile(str(tmp_path / "a"))
