"""The tokenizer `bytes` that Primus ships."""

import json
from pathlib import Path

import pytest

import primus.rank
from primus.launch.config.terms.data import BYTES_VOCABULARY

FOLDER = Path(primus.rank.__file__).parent / "tokenizers" / "bytes"

tokenizers = pytest.importorskip("tokenizers")


def test_the_file_is_what_the_tokenizers_library_makes() -> None:
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    alphabet = set(byte_level.alphabet())
    # A byte that prints stands for itself; the others are, in order, the characters from U+0100 on (as in GPT-2).
    substitutes = iter(sorted(character for character in alphabet if ord(character) > 255))
    vocabulary = {chr(byte) if chr(byte) in alphabet else next(substitutes): byte for byte in range(256)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = byte_level(add_prefix_space=False, use_regex=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    assert json.loads(made.to_str()) == json.loads((FOLDER / "tokenizer.json").read_text())


def test_a_token_is_the_value_of_its_byte() -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    text = "def f():\n\treturn 'é日本\x00'"
    encoded = tokenizer.encode(text).ids
    assert bytes(encoded) == text.encode()
    assert tokenizer.decode(encoded) == text
    assert tokenizer.get_vocab_size() == BYTES_VOCABULARY


def test_begin_and_end_of_text_are_added_by_torchtitan() -> None:
    config = json.loads((FOLDER / "tokenizer_config.json").read_text())
    tokenizer = tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    assert tokenizer.token_to_id(config["bos_token"]) == 256
    assert tokenizer.token_to_id(config["eos_token"]) == 257
