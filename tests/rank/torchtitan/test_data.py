"""What TorchTitan's loaders read: documents of each source, training and validation apart, going on exactly."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from primus.node.typed import plain
from primus.rank.documents import held_out
from primus.rank.indexed import Writer, dtype_for
from primus.rank.problems import UNFIT, Refused
from tests import neutral

from ..conftest import Ended, Run

pytestmark = [
    pytest.mark.torch,
    # torchdata 0.11 calls what torch 2.13 deprecates: `compatibility.ignore_deprecation` in the worker.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
]

LENGTH, BATCH = 16, 2
Batch = tuple[list[list[int]], list[list[int]], list[list[int]]]  # inputs, positions, labels


class Bytes:
    """A tokenizer of TorchTitan's kind: bytes between begin and end of text."""

    def encode(self, text: str, add_bos: bool, add_eos: bool) -> list[int]:
        return [*([256] if add_bos else []), *text.encode(), *([257] if add_eos else [])]


def loader(
    data: dict[str, Any], part: Any = "train", *, rank: int = 0, ranks: int = 1, seed: int = 1, **config: Any
) -> Any:
    """TorchTitan's loader, as its Trainer and its Validator build it."""
    from dataclasses import replace

    from primus.rank.torchtitan.data import Reading, dataloader

    reading = Reading(seed=seed, sequence_length=LENGTH, readers=ranks)
    return replace(dataloader(data, reading, part), **config).build(
        dp_world_size=ranks, dp_rank=rank, tokenizer=Bytes(), seq_len=LENGTH, local_batch_size=BATCH
    )


def batches(loader: Any, count: int | None = None) -> list[Batch]:
    """The first of them, or all."""
    taken: Iterator[Any] = itertools.islice(loader, count)
    return [(inputs["input"].tolist(), inputs["positions"].tolist(), labels.tolist()) for inputs, labels in taken]


def given(preset: str, **changes: Any) -> dict[str, Any]:
    """`data` of rank.json."""
    return dict(plain(neutral.data(preset, **changes)))


def tokens(path: Path, documents: list[list[int]]) -> str:
    """A prefix of token files."""
    with Writer(str(path), dtype_for(70000)) as writer:
        for document in documents:
            writer.add(np.array(document))
    return str(path)


def numbered(count: int, length: int) -> list[list[int]]:
    """Documents whose tokens say which document they are of, and where: 1000 x document + place."""
    return [[1000 * number + place for place in range(length)] for number in range(1, count + 1)]


def read_by(found: list[Batch]) -> set[int]:
    """The numbers of the documents that `numbered` tokens are of."""
    return {token // 1000 for inputs, _, _ in found for row in inputs for token in row}


def test_every_token_of_an_epoch_is_read_once_and_its_label_is_the_next_of_its_document(tmp_path: Path) -> None:
    lengths = [5, 1, 40, 17, 2, 33]
    documents = [numbered(6, length)[number] for number, length in enumerate(lengths)]
    data = given("megatron", paths=tokens(tmp_path / "a", documents), split=[1, 0, 0])
    found = batches(loader(data, infinite=False))
    inputs = [token for rows, _, _ in found for row in rows for token in row]
    labels = [token for _, _, rows in found for row in rows for token in row]
    assert len(inputs) == len(set(inputs)) == sum(lengths) - len(lengths) - (sum(lengths) - len(lengths)) % LENGTH
    assert all(label == token + 1 for token, label in zip(inputs, labels, strict=True))


def test_positions_begin_anew_with_each_document_and_each_sequence(tmp_path: Path) -> None:
    data = given("megatron", paths=tokens(tmp_path / "a", numbered(1, 12)), split=[1, 0, 0])
    (_, positions, _), *_ = batches(loader(data), 1)
    # 11 tokens have a label each: 11 + 5, then 6 + 10
    assert positions == [[*range(11), *range(5)], [*range(6), *range(10)]]


def test_sequences_are_those_that_the_text_loader_packs_of_the_same_documents(tmp_path: Path) -> None:
    """But for the order: HuggingFaceTextDataset gets the ids of the documents as text, in the same order."""
    from datasets import Dataset
    from torchtitan.hf_datasets import DatasetConfig
    from torchtitan.hf_datasets.text_datasets import DATASETS, HuggingFaceTextDataLoader

    from primus.rank.order import Permutation

    texts = ["x" * 50, "y" * 3, "", "zebra " * 9, "w" * 16, "v" * 15]
    order = Permutation(len(texts), 1, 0)
    rows = [texts[order[place]] for place in range(len(texts))]
    DATASETS["test"] = DatasetConfig(
        path="-", loader=lambda path: Dataset.from_dict({"text": rows}), sample_processor=lambda row: row["text"]
    )
    theirs = HuggingFaceTextDataLoader.Config(dataset="test", infinite=False).build(
        dp_world_size=1, dp_rank=0, tokenizer=Bytes(), seq_len=LENGTH, local_batch_size=BATCH
    )
    documents = [Bytes().encode(text, True, True) for text in texts]
    data = given("megatron", paths=tokens(tmp_path / "a", documents), split=[1, 0, 0])
    assert batches(loader(data, infinite=False)) == batches(theirs)


def test_ranks_read_different_documents_and_all_of_them(tmp_path: Path) -> None:
    data = given("megatron", paths=tokens(tmp_path / "a", numbered(30, 17)), split=[1, 0, 0])
    first, second = (read_by(batches(loader(data, rank=rank, ranks=2, infinite=False))) for rank in (0, 1))
    assert not first & second
    assert first | second >= set(range(1, 31)) - {0}


def test_parts_are_split_in_each_file_as_megatron_does(tmp_path: Path) -> None:
    paths = [tokens(tmp_path / "a", numbered(10, 33)), tokens(tmp_path / "b", numbered(20, 33)[10:])]
    data = given("megatron", paths=paths, split=[80, 20, 0])
    assert read_by(batches(loader(data, infinite=False))) == {*range(1, 9), *range(11, 19)}
    assert read_by(batches(loader(data, "validation", infinite=False))) == {9, 10, 19, 20}


def test_each_epoch_and_each_seed_has_an_order_of_its_own(tmp_path: Path) -> None:
    data = given("megatron", paths=tokens(tmp_path / "a", numbered(32, 17)), split=[1, 0, 0])
    both = batches(loader(data), 32)
    assert read_by(both[:16]) == read_by(both[16:]) == set(range(1, 33))
    assert both[:16] != both[16:]
    assert batches(loader(data, seed=2), 16) != both[:16]


SOURCES = ("megatron", "text", "mock", "hf")


@pytest.fixture
def data(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """One of the sources, with enough to read."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [{"text": f"document {number}, {number * number} " * (number % 5 + 1)} for number in range(60)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes: dict[str, dict[str, Any]] = {
        "megatron": {"paths": tokens(tmp_path / "a", numbered(50, 29)), "split": [80, 20, 0]},
        "text": {"files": f"{folder}/*.jsonl", "held_out": 0.2},
        "mock": {},
        "hf": {"dataset": str(folder), "subset": None, "validation_split": None, "streaming": False, "held_out": 0.2},
    }
    return given(request.param, **changes[request.param])


@pytest.mark.parametrize("data", SOURCES, indirect=True)
@pytest.mark.parametrize("stop", [1, 7, 60])
def test_a_loader_goes_on_exactly_where_another_stopped(data: dict[str, Any], stop: int) -> None:
    whole = batches(loader(data, rank=1, ranks=2), stop + 70)
    stopped = loader(data, rank=1, ranks=2)
    assert batches(stopped, stop) == whole[:stop]
    resumed = loader(data, rank=1, ranks=2)
    resumed.load_state_dict(stopped.state_dict())
    assert batches(resumed, 70) == whole[stop:]


@pytest.mark.parametrize("data", SOURCES, indirect=True)
def test_validation_reads_the_same_each_time_and_nothing_that_training_reads(data: dict[str, Any]) -> None:
    validation = batches(loader(data, "validation"), 3)
    assert validation == batches(loader(data, "validation"), 3)
    training = batches(loader(data, infinite=False), 300)
    rows = {tuple(row) for inputs, _, _ in training for row in inputs}
    assert not rows & {tuple(row) for inputs, _, _ in validation for row in inputs}


@pytest.mark.slow
def test_the_trainer_reads_token_files(run: Run, tmp_path: Path) -> None:
    text = b"the quick brown fox jumps over the lazy dog\n" * 5
    pair = tokens(tmp_path / "a", [[256, *text, 257]] * 40)
    ended = run(data=neutral.data("megatron", paths=pair), ranks=2, steps=15)
    assert ended.exit_codes == [0, 0], ended.logs
    assert ended.losses()[0] > 5
    assert ended.losses()[-1] < ended.losses()[0] - 0.3
    assert [line["tokens"] for line in ended.metrics()] == [2 * 2 * 64 * step for step in range(1, 16)]


@pytest.mark.slow
def test_a_run_that_goes_on_reads_what_it_would_have_read(run: Run, tmp_path: Path) -> None:
    """Two epochs and more of token files, evaluated on the way: the losses are those of a run without a break."""
    words = np.random.default_rng(1).integers(97, 123, size=(15, 90))
    data = neutral.data("megatron", paths=tokens(tmp_path / "a", words.tolist()), split=[80, 20, 0])
    settings = {
        "data": data,
        "ranks": 2,
        "checkpoint": neutral.checkpoint(interval=7),
        "eval": neutral.evaluation(interval=7, steps=2),
    }
    whole = run(**settings, steps=14)
    assert whole.exit_codes == [0, 0], whole.logs
    half = run(**settings, steps=7, schedule=neutral.schedule(steps=14))
    rest = run(**settings, steps=14, directory=half.directory)
    assert rest.exit_codes == [0, 0], rest.logs
    assert told(rest) == told(whole)


def told(ended: Ended) -> list[tuple[Any, ...]]:
    """Step and losses of every line of metrics."""
    return [(line["step"], line.get("loss"), line.get("validation_loss")) for line in ended.metrics()]


def test_documents_are_held_out_by_their_numbers() -> None:
    from torchtitan.hf_datasets.text_datasets import DATASETS

    from primus.rank.documents import MOCK_DOCUMENTS
    from primus.rank.torchtitan.data import NAME, Reading, dataloader

    found = {}
    for part in ("train", "validation"):
        dataloader(given("mock", held_out=0.1), Reading(1, LENGTH, 1), part)  # type: ignore[arg-type]
        found[part] = set(DATASETS[f"{NAME}-{part}"].loader("")["number"])
    assert found["validation"] == {number for number in range(MOCK_DOCUMENTS) if held_out(number, 0.1)}
    assert found["train"] | found["validation"] == set(range(MOCK_DOCUMENTS))


def test_a_hub_data_set_has_a_split_for_validation(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"text": f"{split} " * 40}) + "\n")
    data = given("hf", dataset=str(tmp_path), subset=None)
    for part in ("train", "validation"):
        (inputs, _, _), *_ = batches(loader(data, part), 1)
        assert bytes(token for token in inputs[0] if token < 256).decode() in f"{part} " * 40


def test_a_hub_data_set_that_is_not_streamed_is_read_in_the_order_of_the_seed(tmp_path: Path) -> None:
    from torchtitan.hf_datasets.text_datasets import DATASETS

    from primus.rank.torchtitan.data import NAME

    rows = [f"document {number}" for number in range(50)]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))

    def order(seed: int, part: Any, **changes: Any) -> list[str]:
        loader(given("hf", dataset=str(tmp_path), subset=None, **changes), part, seed=seed)
        return [row["text"] for row in DATASETS[f"{NAME}-{part}"].loader("")]

    first = order(1, "train", streaming=False)
    assert sorted(first) == sorted(rows)
    assert first == order(1, "train", streaming=False) != order(2, "train", streaming=False) != rows
    assert order(1, "validation", streaming=False) == order(1, "train", streaming=True) == rows


def refusal(data: dict[str, Any], part: Any = "validation", ranks: int = 1) -> Refused:
    with pytest.raises(Refused) as refused:
        loader(data, part, ranks=ranks)
    return refused.value


def test_what_cannot_be_split_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "x"}) + "\n")
    hub = {"dataset": str(tmp_path), "subset": None}
    assert "give data.streaming=false" in str(refusal(given("hf", validation_split=None, **hub), "train"))
    assert "name a split" in str(refusal(given("hf", validation_split=None, held_out=0, **hub)))
    assert "data.dataset: " in str(unknown := refusal(given("hf", **hub)))
    assert "validation" in str(unknown)
    assert "data.held_out: 0 documents for validation" in str(refusal(given("mock", held_out=0)))
    few = given("text", files=f"{tmp_path}/*.jsonl")
    assert "1 documents for train are too few for 2 data-parallel ranks" in str(refusal(few, "train", ranks=2))
    pair = tokens(tmp_path / "a", [[1, 2], [3, 4]])
    assert "leaves no document for validation, of 2" in str(refusal(given("megatron", paths=pair)))
    missing = given("megatron", paths=str(tmp_path / "b"))
    assert "b.idx cannot be read: No such file" in str(refusal(missing, "train"))


def test_a_data_set_that_is_not_there_is_named_and_the_token_that_may_be_missing(tmp_path: Path) -> None:
    data = given("hf", dataset=str(tmp_path / "nowhere"), token="MY_TOKEN")
    refused = refusal(data, "train")
    assert "MY_TOKEN, which data.token names, is not set" in str(refused)
    assert refused.exit_code != UNFIT
