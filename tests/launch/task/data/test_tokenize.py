"""Text to token files with one command."""

import json
import os
from pathlib import Path

import pytest

from primus.rank.indexed import TokenFile

from ....conftest import Primus

TOKENIZE = ("task=data/tokenize", "task.files=*.jsonl", "task.output=out/corpus")


@pytest.fixture
def corpus(work: Path) -> Path:
    """JSON lines in the working directory."""
    path = work / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"document {number}"}) + "\n" for number in range(100)))
    return path


def test_a_job_writes_a_pair_of_files_and_says_what_and_how_fast(primus: Primus, corpus: Path) -> None:
    said = primus(*TOKENIZE, "ranks_per_node=2", "tracking.enabled=false")
    assert said.code == 0, said.err
    out = corpus.parent / "out/corpus"
    assert f"wrote {out}.bin and .idx: 100 documents, 1,190 tokens (uint16) of " in said.out
    assert " MB/s\n" in said.out
    tokens = TokenFile(str(out))
    assert bytes(tokens[42][:-1].tolist()) == b"document 42"
    assert tokens[42][-1] == 257


def test_each_core_has_a_rank_unless_told_otherwise(primus: Primus, corpus: Path) -> None:
    plan = json.loads(primus(*TOKENIZE, "dry_run=json").out)
    assert plan["job"]["ranks_per_node"] == len(os.sched_getaffinity(0))
    assert json.loads(primus(*TOKENIZE, "ranks_per_node=7", "dry_run=json").out)["job"]["ranks_per_node"] == 7


def test_what_the_ranks_read_is_in_the_plan(primus: Primus, corpus: Path) -> None:
    plan = json.loads(
        primus(*TOKENIZE, "task.append_end='</s>'", "task.prepend_begin=true", "task.document=line", "dry_run=json").out
    )
    assert json.loads(plan["files"][0]["text"]) == {
        "files": ["*.jsonl"],
        "output": str(corpus.parent / "out/corpus"),
        "tokenizer": "bytes",
        "text_key": "text",
        "document": "line",
        "append_end": "</s>",
        "prepend_begin": True,
        "overwrite": False,
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.files=[*.jsonl,*.txt]"], "task.files: no file matches '*.txt' (looked in "),
        (["task.tokenizer=mine"], "task.tokenizer: 'mine' is neither 'bytes' nor a tokenizer.json"),
        (["task.output=taken"], "task.output: taken.bin is there already: give another name, or task.overwrite=true"),
        (["task.document=word"], "task.document: 'word' is not among file, line."),
    ],
)
def test_what_cannot_go_well_is_refused_before_anything_starts(
    primus: Primus, corpus: Path, overrides: list[str], message: str
) -> None:
    (corpus.parent / "taken.bin").touch()
    said = primus(*TOKENIZE, *overrides)
    assert said.code == 2
    assert message in said.err
    assert not (corpus.parent / "outputs").exists()
