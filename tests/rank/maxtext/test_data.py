"""Documents in MaxText's input pipeline: what is read, in which order, and from where after a resume."""

import json
from pathlib import Path

import numpy as np
import pytest

from primus.launch.config.terms.data import Data
from primus.rank.indexed import Writer
from tests import neutral

from ..conftest import Ended, Run

pytestmark = [pytest.mark.maxtext, pytest.mark.slow]


def losses(ended: Ended) -> list[float]:
    """Of training and of validation, in order."""
    return [line.get("loss", line.get("validation_loss")) for line in ended.metrics()]


def resumes_exactly(run: Run, data: Data) -> None:
    """Six steps at once equal three and three more."""
    terms = {
        "data": data,
        "schedule": neutral.schedule(steps=6),
        "eval": neutral.evaluation(interval=3, steps=2),
    }
    whole = run(steps=6, **terms)
    assert whole.exit_codes == [0], whole.logs
    half = run(steps=3, checkpoint=neutral.checkpoint(interval=3), **terms)
    rest = run(steps=6, checkpoint=neutral.checkpoint(interval=3), directory=half.directory, **terms)
    assert rest.exit_codes == [0], rest.logs
    assert losses(rest) == losses(whole)
    assert len(losses(whole)) == 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that `datasets` reads: two splits of 40 rows with a column `body`."""
    folder = tmp_path_factory.mktemp("corpus")
    for split in ("train", "validation"):
        rows = ({"body": f"{split} document {number} " * 20} for number in range(40))
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_data_set_of_the_hub_is_read_on_from_where_a_checkpoint_was(run: Run, corpus: str, streaming: bool) -> None:
    resumes_exactly(run, neutral.data("hf", dataset=corpus, subset=None, text_key="body", streaming=streaming))


def test_a_column_that_is_not_there_ends_the_training_with_what_there_is(run: Run, corpus: str) -> None:
    ended = run(data=neutral.data("hf", dataset=corpus, subset=None))
    assert ended.exit_codes == [2]
    assert "primus: data.text_key: the data set has no column 'text'; it has body" in ended.logs[0]


def test_token_files_of_megatron_are_read_by_maxtext_itself(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    for path in paths:
        with Writer(str(path), np.dtype("<u2")) as writer:
            for number in range(60):
                text = f"the quick brown fox {number} jumps over the lazy dog " * 3
                writer.add(np.array([256, *text.encode(), 257]))
    resumes_exactly(run, neutral.data("megatron", paths=[str(path) for path in paths], split=[80, 20, 0]))


def test_a_tokenizer_that_the_model_has_no_room_for_is_refused(run: Run) -> None:
    ended = run(model=neutral.model(vocabulary=200), data=neutral.data("mock"))
    assert ended.exit_codes == [2]
    assert "model.vocabulary: 200 is too small" in ended.logs[0]


def test_fewer_documents_than_ranks_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one document")
    ended = run(data=neutral.data("text", files=str(tmp_path / "a.txt")), ranks=2)
    assert ended.refused, ended.logs
    assert "data.held_out: 1 documents for training are too few for 2 data-parallel ranks" in ended.logs[0]
