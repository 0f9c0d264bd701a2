"""Text to token ids, with what begins and ends a document."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from primus.node.typed import closest
from primus.rank import tokenizer
from primus.rank.indexed import Tokens, dtype_for
from primus.rank.problems import Refused


class Encoder:
    """Documents as ids, in the smallest type that the vocabulary fits.

    `begin` and `end` are put around a document: False: nothing; True: what tokenizer_config.json calls bos_token and
    eos_token; else the token itself.
    """

    def __init__(self, name: str, begin: bool | str, end: bool | str) -> None:
        """Raises Refused when there is no such tokenizer or token."""
        folder = tokenizer.folder(name, "task.tokenizer")
        vocabulary = tokenizer.vocabulary(folder)
        self.dtype = dtype_for(max(vocabulary.values()) + 1)
        self._begin = self._special(folder, vocabulary, "task.prepend_begin", "bos_token", begin)
        self._end = self._special(folder, vocabulary, "task.append_end", "eos_token", end)
        self._bytes = folder == tokenizer.SHIPPED / "bytes"
        self._tokenizer = _loaded(folder)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each document."""
        return [np.concatenate((self._begin, ids, self._end)) for ids in self._ids(texts)]

    def _ids(self, texts: Sequence[str]) -> list[Tokens]:
        # The ids of the tokenizer `bytes` are the bytes, but for the names of its own two tokens: nine times as fast.
        if self._bytes and not any("<|" in text for text in texts):
            return [np.frombuffer(text.encode(), dtype=np.uint8).astype(self.dtype) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=self.dtype) for encoding in encoded]

    def _special(self, folder: Path, vocabulary: dict[str, int], key: str, name: str, given: bool | str) -> Tokens:
        if given is False:
            return np.zeros(0, dtype=self.dtype)
        token = tokenizer.special(folder, name) if given is True else given
        if token is None:
            raise Refused(f"{key}: {folder} has no tokenizer_config.json with {name}: give the token, or {key}=false")
        if token not in vocabulary:
            near = closest(token, [known for known in vocabulary if known.startswith(token[:1])])
            raise Refused(f"{key}: {folder / 'tokenizer.json'} has no token {token!r}.{near}")
        return np.array([vocabulary[token]], dtype=self.dtype)


def _loaded(folder: Path) -> Any:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a rank has one core: the library's threads would be in the way
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # what the library raises has no type of its own
        raise Refused(f"{folder / 'tokenizer.json'} cannot be read: {error}") from None
    loaded.no_truncation()
    loaded.no_padding()
    return loaded
