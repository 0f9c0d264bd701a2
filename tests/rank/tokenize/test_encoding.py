"""Tokens of documents: those of the tokenizers library, with what begins and ends a document."""

import json
from pathlib import Path

import numpy as np
import pytest

from primus.rank.problems import Refused
from primus.rank.tokenize.encoding import Encoder

tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["def f(): return 'é 日本'", "a <|end_of_text|> in the text", " ", "x" * 1000]


def trained(folder: Path, config: dict[str, object] | None) -> Path:
    """A tokenizer of its own: byte-level BPE, cutting and padding what it is given unless that is turned off."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"], show_progress=False
    )
    made.train_from_iterator(["return return x x " * 50], trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.enable_truncation(10)
    made.enable_padding(length=20)
    made.save(str(folder / "tokenizer.json"))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_bytes_are_what_the_library_makes_of_them() -> None:
    library = tokenizers.Tokenizer.from_file(
        str(Path(__file__).parents[3] / "primus/rank/tokenizers/bytes/tokenizer.json")
    )
    encoder = Encoder("bytes", begin=False, end=False)
    assert encoder.dtype == np.uint16
    for text in TEXTS:
        assert encoder([text])[0].tolist() == library.encode(text).ids
    assert encoder(TEXTS)[1].tolist() == library.encode(TEXTS[1]).ids


def test_a_document_is_whole_and_has_what_was_asked_for_around_it(tmp_path: Path) -> None:
    folder = trained(tmp_path, {"bos_token": {"content": "<s>"}, "eos_token": "</s>"})
    (bare,) = Encoder(str(folder), begin=False, end=False)(["return x" * 50])
    (both,) = Encoder(str(folder / "tokenizer.json"), begin=True, end=True)(["return x" * 50])
    assert both.tolist() == [0, *bare.tolist(), 1]
    assert len(bare) > 20
    (other,) = Encoder(str(folder), begin="</s>", end=False)(["x"])
    assert other[0] == 1


def test_a_vocabulary_too_large_for_uint16_takes_int32(tmp_path: Path) -> None:
    content = json.loads((Path(__file__).parents[3] / "primus/rank/tokenizers/bytes/tokenizer.json").read_text())
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 65499, "content": "<far>"})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert Encoder(str(tmp_path), begin=False, end="<far>").dtype == np.int32


def test_tokens_that_are_not_there_are_refused_with_a_way_out(tmp_path: Path) -> None:
    folder = trained(tmp_path, None)
    with pytest.raises(Refused, match=r"task\.append_end: .* has no tokenizer_config\.json with eos_token: give the"):
        Encoder(str(folder), begin=False, end=True)
    with pytest.raises(Refused, match=r"task\.prepend_begin: .* has no token '<bs>'\. Did you mean '<s>'\?"):
        Encoder(str(folder), begin="<bs>", end=False)
    with pytest.raises(Refused, match=r"task\.tokenizer: 'nowhere' is neither 'bytes' nor"):
        Encoder("nowhere", begin=False, end=False)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Refused, match=r"tokenizer\.json is no JSON: "):
        Encoder(str(folder), begin=False, end=False)
