"""Ranks that tokenize, as real processes."""

import json
import os
import random
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from primus.rank.indexed import TokenFile

from ...conftest import PATIENCE
from ..conftest import RANK, start

pytest.importorskip("tokenizers")

WORDS = ["alpha", "beta", "gamma", "delta", "é日本", "\n", "<|end_of_text|>"]


def corpus(folder: Path, lines: int = 4000) -> list[str]:
    """Several units' worth of JSON lines, and two files of text; the documents in order."""
    folder.mkdir()
    chance = random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=chance.randrange(40))) for _ in range(lines)]
    rows = [json.dumps({"text": text}) + "\n" for text in texts]
    (folder / "a.jsonl").write_text("".join(rows[: lines // 2]))
    (folder / "b.jsonl").write_text("".join(rows[lines // 2 :]))
    (folder / "c.txt").write_text("one\n\nfile")
    (folder / "d.txt").write_text("")
    return [*(text for text in texts if text), "one\n\nfile"]


class Job:
    """A job in a run directory of its own."""

    def __init__(self, base: Path, name: str, files: Path, **changes: Any) -> None:
        self.directory = base / name
        self.directory.mkdir()
        self.output = base / "out" / name
        job = {
            "files": [f"{files}/*"],
            "output": str(self.output),
            "tokenizer": "bytes",
            "text_key": "text",
            "document": "file",
            "append_end": True,
            "prepend_begin": False,
            "overwrite": False,
        }
        self.config = self.directory / "rank.json"
        self.config.write_text(json.dumps(job | changes))

    def start(self, ranks: int) -> list["subprocess.Popen[str]"]:
        return start(self.directory, ranks, ["-I", str(RANK), "tokenize", str(self.config)], {})

    def run(self, ranks: int = 1) -> tuple[list[int], str]:
        """Exit codes, and what was printed; a rank that fails ends the others, as the node agent does."""
        processes = self.start(ranks)
        waiting = {os.pidfd_open(process.pid): process for process in processes}
        while waiting:
            ended, _, _ = select.select(waiting, [], [], PATIENCE)
            assert ended, "the ranks hang"
            for fd in ended:
                os.close(fd)
                if waiting.pop(fd).wait() != 0:
                    for process in waiting.values():
                        process.terminate()
        printed = [process.communicate()[0] for process in processes]
        return [process.returncode for process in processes], "".join(printed)

    @property
    def bytes(self) -> tuple[bytes, bytes]:
        return Path(f"{self.output}.bin").read_bytes(), Path(f"{self.output}.idx").read_bytes()

    @property
    def left(self) -> list[str]:
        """What lies in the folder of the output."""
        return sorted(path.name for path in self.output.parent.iterdir())


def ids(text: str) -> list[int]:
    """What `bytes` makes of a document, its own token by name included."""
    parts = text.encode().split(b"<|end_of_text|>")
    return [token for part in parts for token in (*part, 257)]


def test_the_documents_are_in_their_order_with_exact_bounds(tmp_path: Path) -> None:
    texts = corpus(tmp_path / "corpus")
    job = Job(tmp_path, "job", tmp_path / "corpus")
    codes, printed = job.run()
    assert codes == [0], printed
    tokens = TokenFile(str(job.output))
    assert [tokens[number].tolist() for number in range(len(tokens))] == [ids(text) for text in texts]
    assert job.left == ["job.bin", "job.idx"]
    size = sum(path.stat().st_size for path in (tmp_path / "corpus").iterdir())
    count = sum(len(ids(text)) for text in texts)
    assert f"{len(texts):,} documents, {count:,} tokens (uint16) of {size / 1e6:,.1f} MB" in printed
    made = json.loads((job.directory / "tokens.json").read_text())
    last = json.loads((job.directory / "metrics/rank-0.jsonl").read_text().splitlines()[-1])
    for values in (made, last):
        assert values["bytes"] == values["bytes_total"] == size
        assert (values["documents"], values["tokens"]) == (len(texts), count)
        assert values["megabytes_per_second"] > 0


@pytest.mark.parametrize("ranks", [2, 3])
def test_several_ranks_write_the_bytes_of_one(tmp_path: Path, ranks: int) -> None:
    corpus(tmp_path / "corpus")
    alone, together = Job(tmp_path, "alone", tmp_path / "corpus"), Job(tmp_path, "together", tmp_path / "corpus")
    assert alone.run()[0] == [0]
    codes, printed = together.run(ranks)
    assert codes == [0] * ranks, printed
    assert together.bytes == alone.bytes
    assert not (together.directory / "metrics/rank-1.jsonl").exists()


READ = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
found = IndexedDataset(sys.argv[1])
print(json.dumps([found[number].tolist() for number in range(len(found))]))
"""


@pytest.mark.megatron
def test_megatron_reads_the_documents(tmp_path: Path, megatron_python: str) -> None:
    texts = corpus(tmp_path / "corpus", lines=50)
    job = Job(tmp_path, "job", tmp_path / "corpus")
    assert job.run(2)[0] == [0, 0]
    said = subprocess.run(
        [megatron_python, "-c", READ, str(job.output)], check=True, capture_output=True, text=True, timeout=240
    )
    assert json.loads(said.stdout) == [ids(text) for text in texts]


def test_what_is_there_is_written_over_only_when_asked(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", lines=20)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/job.idx").write_text("precious")
    codes, printed = Job(tmp_path, "job", tmp_path / "corpus").run()
    assert codes == [2]
    assert "job.idx is there already: give another name, or task.overwrite=true" in printed
    assert (tmp_path / "out/job.idx").read_text() == "precious"
    again = Job(tmp_path, "again", tmp_path / "corpus", output=str(tmp_path / "out/job"), overwrite=True)
    assert again.run()[0] == [0]
    assert len(TokenFile(str(tmp_path / "out/job"))) > 0


@pytest.mark.parametrize("bad", ["a", "b"])
def test_a_bad_line_ends_the_job_by_name_and_leaves_nothing(tmp_path: Path, bad: str) -> None:
    corpus(tmp_path / "corpus")
    path = tmp_path / f"corpus/{bad}.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*rows[:1234], "oops\n", *rows[1234:]]))
    job = Job(tmp_path, "job", tmp_path / "corpus")
    codes, printed = job.run(2)
    assert 2 in codes
    assert f"primus: {path}, line 1235: no JSON: Expecting value" in printed
    assert "Traceback" not in printed
    assert job.left == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_ended_leaves_no_pair_and_its_successor_goes_well(tmp_path: Path, number: signal.Signals) -> None:
    texts = corpus(tmp_path / "corpus")
    job = Job(tmp_path, "job", tmp_path / "corpus")
    environment = {"WORLD_SIZE": "2"}  # its units done, it waits for those of a rank that does not come
    (alone,) = start(job.directory, 1, ["-I", str(RANK), "tokenize", str(job.config)], environment)
    metrics = job.directory / "metrics/rank-0.jsonl"
    until = time.monotonic() + PATIENCE
    while not metrics.exists() and time.monotonic() < until:
        time.sleep(0.01)
    alone.send_signal(number)
    alone.communicate(timeout=PATIENCE)
    assert alone.returncode == (128 + number if number == signal.SIGTERM else -number)
    assert job.left == ([] if number == signal.SIGTERM else ["job.partial-job"])
    (tmp_path / "next").mkdir()
    after = Job(tmp_path / "next", "job", tmp_path / "corpus", output=str(job.output))
    after.directory.rename(tmp_path / "next/after")
    after.config = tmp_path / "next/after/rank.json"
    after.directory = tmp_path / "next/after"
    codes, printed = after.run()
    assert codes == [0], printed
    assert ("job.partial-job is of another job: if that is over, it was killed" in printed) == (
        number == signal.SIGKILL
    )
    assert len(TokenFile(str(job.output))) == len(texts)


def test_text_that_is_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.txt").write_text("")
    job = Job(tmp_path, "job", tmp_path / "corpus")
    codes, printed = job.run()
    assert codes == [2]
    assert "task.files: there is no text in 1 files" in printed
    assert job.left == []


def test_a_rank_that_comes_when_all_is_done_ends(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", lines=5)
    job = Job(tmp_path, "job", tmp_path / "corpus")
    assert job.run()[0] == [0]
    (late,) = start(job.directory, 1, ["-I", str(RANK), "tokenize", str(job.config)], {"RANK": "1", "WORLD_SIZE": "2"})
    assert late.communicate(timeout=PATIENCE)[0] == ""
    assert late.returncode == 0
