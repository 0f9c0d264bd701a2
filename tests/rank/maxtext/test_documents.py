"""Which documents MaxText is given, without MaxText."""

import json
from pathlib import Path
from typing import Any

import pytest

from primus.node.typed import plain
from primus.rank.maxtext import documents
from tests import neutral


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """A data set of two splits, none of which is called as a part of the training is."""
    for split in ("train", "test"):
        rows = ({"text": f"{split} {number}"} for number in range(4))
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(tmp_path)


def texts(data: dict[str, Any], *, validation: bool) -> list[str]:
    found = documents.read(data, 64, validation=validation)
    if isinstance(found, documents.Documents):
        return [found[place] for place in range(len(found))]
    return [row["text"] for row in found]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("training", "held_out"), [("train", "test"), ("test", "train")])
def test_each_part_is_read_from_the_split_that_the_config_names(
    corpus: str, streaming: bool, training: str, held_out: str
) -> None:
    terms = {"subset": None, "split": training, "validation_split": held_out, "streaming": streaming}
    data: dict[str, Any] = plain(neutral.data("hf", dataset=corpus, **terms))
    assert texts(data, validation=False) == [f"{training} {number}" for number in range(4)]
    assert texts(data, validation=True) == [f"{held_out} {number}" for number in range(4)]
