"""What a hook says of itself, read without running it: when it runs, where, for how long.

In any file by a comment, `# primus-hook: when=after once timeout=60`; in a Python file with a class that derives from
primus.node.hooks.spec.Hooks by the methods of that class, and by its `once` and `timeout`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch.hooks import classes, secrets
from primus.launch.problems import BadRequest
from primus.node.typed import closest

_DIRECTIVE = re.compile(r"^#[ \t]*primus-hook:(.*)$", re.MULTILINE)
_WORD = re.compile(r"when=(before|after|both)|once|timeout=(?=.*[1-9])\d+(\.\d+)?")
_WORDS = ("when=before", "when=after", "when=both", "once", "timeout=SECONDS")


@dataclass(frozen=True)
class Ways:
    """The phases in which a file runs, whether once for the whole job, its time limit in seconds, its class if any."""

    phases: tuple[str, ...]
    once: bool
    timeout: float | None
    call: str = ""


def ways(text: str, shown: str) -> Ways:
    """What the file says of itself; `shown` names it in messages. Raises BadRequest for words that it cannot mean."""
    words = [word for line in _DIRECTIVE.findall(text) for word in line.split()]
    own = classes.of_file(text, shown) if shown.endswith(".py") else None
    secrets.refuse(text, shown)
    if own and words:
        raise BadRequest(
            f"{shown}: primus-hook: the class {own.name} says when and where it runs: take the comment away"
        )
    return Ways(own.phases, own.once, own.timeout, own.name) if own else _of_words(words, shown)


def _of_words(words: Sequence[str], shown: str) -> Ways:
    said: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if not _WORD.fullmatch(word):
            near = closest(word, _WORDS)
            raise BadRequest(f"{shown}: primus-hook: {word!r} is none of {', '.join(_WORDS)}.{near}")
        if said.setdefault(key, value) != value:
            raise BadRequest(f"{shown}: primus-hook: {key}={said[key]} and {word}: which of them?")
    when = said.get("when", "before")
    phases = ("before", "after") if when == "both" else (when,)
    return Ways(phases, "once" in said, float(said["timeout"]) if "timeout" in said else None)
