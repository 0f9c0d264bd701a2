"""Token files from text: the first rank writes those that this training reads, once; the others wait for them."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from primus.rank import tokenizer
from primus.rank.documents import MOCK_DOCUMENTS, held_out, mock_text, text_of
from primus.rank.indexed import Part, Tokens, Writer, dtype_for
from primus.rank.order import Permutation
from primus.rank.problems import Refused
from primus.rank.progress import beat

AT_ONCE = 512  # documents that are tokenized together, by all cores
POLL = 0.2  # seconds between looks for the files that another rank writes


@dataclass(frozen=True)
class Wanted:
    """How many tokens of a part a training reads; what the files depend on beside the data themselves."""

    tokens: dict[Part, int]
    seed: int
    sequence_length: int
    vocabulary: int


def prepare(data: dict[str, Any], wanted: Wanted, directory: Path) -> dict[Part, str]:
    """The prefix of the .bin/.idx pair of each part that is wanted, once it is complete.

    Documents come in the order of the seed until there are enough tokens, or no more documents. Raises Refused when
    data are missing, a part has no documents, or the tokenizer does not fit the model.
    """
    about = json.dumps([data, wanted.tokens, wanted.seed, wanted.sequence_length], sort_keys=True)
    folder = directory / hashlib.blake2b(about.encode(), digest_size=6).hexdigest()
    prefixes: dict[Part, str] = {part: str(folder / part) for part, tokens in wanted.tokens.items() if tokens}
    if os.environ["RANK"] != "0":
        while not all(Path(f"{prefix}.idx").exists() for prefix in prefixes.values()):
            time.sleep(POLL)  # the agent ends this rank when the first one fails
        return prefixes
    folder.mkdir(parents=True, exist_ok=True)
    encode = encoder(data["tokenizer"], wanted.vocabulary)
    for part, prefix in prefixes.items():
        if not Path(f"{prefix}.idx").exists():
            _write(prefix, encode(_SOURCES[data["name"]](data, wanted, part)), wanted, part)
    return prefixes


def _write(prefix: str, documents: Iterable[Tokens], wanted: Wanted, part: Part) -> None:
    written = 0
    with Writer(prefix, dtype_for(wanted.vocabulary)) as writer:
        for tokens in documents:
            beat("tokenizing the data set")
            writer.add(tokens)
            written += len(tokens)
            if written >= wanted.tokens[part]:
                break
        if not written:
            raise Refused(f"data: no document is for {part}: there are too few, or data.held_out leaves none")


def encoder(name: str, vocabulary: int) -> Callable[[Iterable[str]], Iterator[Tokens]]:
    """Texts to tokens, each document between the tokens for begin and end of text where the tokenizer has them.

    Raises Refused when the tokenizer has more tokens than the model.
    """
    folder = tokenizer.folder(name)
    ids = tokenizer.vocabulary(folder)
    highest = max(ids.values())
    if highest >= vocabulary:
        raise Refused(f"model.vocabulary: {vocabulary} is too small for {folder}, which needs at least {highest + 1}")
    ends = (tokenizer.special(folder, "bos_token"), tokenizer.special(folder, "eos_token"))
    begin, end = ([ids[token]] if token in ids else [] for token in ends)

    def as_bytes(texts: Iterable[str]) -> Iterator[Tokens]:
        for text in texts:
            yield np.concatenate([begin, np.frombuffer(text.encode(), dtype=np.uint8), end]).astype(np.int32)

    def learnt(texts: Iterable[str]) -> Iterator[Tokens]:
        from tokenizers import Tokenizer

        encoding = Tokenizer.from_file(str(folder / "tokenizer.json"))
        remaining = iter(texts)
        while batch := list(islice(remaining, AT_ONCE)):
            for found in encoding.encode_batch(batch, add_special_tokens=False):
                yield np.array([*begin, *found.ids, *end], dtype=np.int32)

    return as_bytes if folder == tokenizer.SHIPPED / "bytes" else learnt


def _numbered(count: int, data: dict[str, Any], wanted: Wanted, part: Part) -> Iterator[int]:
    validation = part == "validation"
    return (number for number in _shuffled(count, wanted) if held_out(number, data["held_out"]) == validation)


def _shuffled(count: int, wanted: Wanted) -> Iterator[int]:
    return map(Permutation(count, wanted.seed).__getitem__, range(count))


def _text(data: dict[str, Any], wanted: Wanted, part: Part) -> Iterator[str]:
    text = text_of(data, wanted.sequence_length)
    return (text.read(number) for number in _numbered(len(text), data, wanted, part))


def _mock(data: dict[str, Any], wanted: Wanted, part: Part) -> Iterator[str]:
    return (mock_text(number) for number in _numbered(MOCK_DOCUMENTS, data, wanted, part))


def _hub(data: dict[str, Any], wanted: Wanted, part: Part) -> Iterator[str]:
    """A streamed data set is read in its own order."""
    from primus.rank import hub  # here: `datasets` takes seconds to import

    rows, key = hub.load(data, part), data["text_key"]
    if data["streaming"]:
        return (hub.text(row, key) for row in rows)
    own_split = data["validation_split"]
    numbers = _shuffled(len(rows), wanted) if own_split else _numbered(len(rows), data, wanted, part)
    return (hub.text(rows[number], key) for number in numbers)


_SOURCES: dict[str, Callable[[dict[str, Any], Wanted, Part], Iterator[str]]] = {
    "text": _text,
    "hf": _hub,
    "mock": _mock,
}
