"""Values as the text of Hydra's overrides."""

import re
from collections.abc import Mapping
from typing import Any

from primus.launch.config.arguments import VERBATIM_PREFIX, is_text, quoted

# Words that Hydra 1.3's grammar reads as themselves (OverrideLexer.g4), less those that it reads as another type.
_WORD = re.compile(r"[\w/.@][\w/.\-+@%:]*", re.ASCII)
_OTHER_TYPE = re.compile(r"(?i)true|false|null|nan|inf|[\d_]*\.?[\d_]*(e[+-]?\d+)?")


class Raw(str):
    """Text that is in Hydra's grammar already."""


def override(key: str, value: Any) -> str:
    """`key=value` such that Hydra gives `key` exactly this value: plain data, no reference is followed."""
    if (
        isinstance(value, str)
        and not isinstance(value, Raw)
        and (key.startswith(VERBATIM_PREFIX) or is_text(key, value))
    ):
        return f"{key}={value}"  # `primus.launch.config.arguments` quotes these
    return f"{key}={literal(value)}"


def typed(text: str) -> Any:
    """What a person means who types this as the value of a flag: a number, a truth, a list, or text."""
    if text[:1] in ("[", "{", "'", '"'):
        return Raw(text)
    if "," in text:
        return [typed(part.strip()) for part in text.split(",") if part.strip()]
    if text.lower() in ("true", "false", "null"):
        return Raw(text.lower())
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def literal(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, Raw):
        return str(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{literal(str(k))}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(literal, value)) + "]"
    text = str(value)
    return text if _WORD.fullmatch(text) and not _OTHER_TYPE.fullmatch(text) else quoted(text)
