"""Where a tokenizer's files are, and what they say of themselves. Standard library alone."""

import json
from pathlib import Path
from typing import Any

from primus.rank.problems import Refused

SHIPPED = Path(__file__).resolve().parent / "tokenizers"  # by name; a folder each


def folder(tokenizer: str, key: str = "data.tokenizer") -> Path:
    """The folder with the tokenizer.json that `tokenizer` means. Raises Refused, naming the `key`, without one."""
    path = Path(tokenizer).expanduser()
    for found in (SHIPPED / tokenizer, path, path.parent if path.name == "tokenizer.json" else path):
        if (found / "tokenizer.json").is_file():
            return found
    raise Refused(f"{key}: {tokenizer!r} is neither 'bytes' nor a tokenizer.json nor a folder with one")


def vocabulary(folder: Path) -> dict[str, int]:
    """Token -> id of everything that the tokenizer can give, added tokens included."""
    content = _read(folder / "tokenizer.json")
    known = content["model"]["vocab"]
    if not isinstance(known, dict):  # Unigram: a list of pairs of token and score
        known = {pair[0]: number for number, pair in enumerate(known)}
    return {**known, **{token["content"]: token["id"] for token in content.get("added_tokens", ())}}


def special(folder: Path, name: str) -> str | None:
    """The token that tokenizer_config.json gives the `name` (bos_token, eos_token); None: it names none."""
    path = folder / "tokenizer_config.json"
    token = _read(path).get(name) if path.is_file() else None
    return token["content"] if isinstance(token, dict) else token


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}") from None
    assert isinstance(content, dict)
    return content
