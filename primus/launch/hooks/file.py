"""What a hook says of itself, read without running it: when it runs, where, for how long.

In any file by a comment, `# primus-hook: when=after once timeout=60`; in a Python file with a class that derives from
primus.node.hooks.spec.Hooks by the methods of that class, and by its `once` and `timeout`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch.hooks import classes
from primus.launch.problems import BadRequest
from primus.node.secrets import is_secret
from primus.node.typed import closest

_DIRECTIVE = re.compile(r"^#[ \t]*primus-hook:(.*)$", re.MULTILINE)
_WORD = re.compile(r"when=(before|after|both)|once|timeout=(?=.*[1-9])\d+(\.\d+)?")
_WORDS = ("when=before", "when=after", "when=both", "once", "timeout=SECONDS")
# `export HF_TOKEN=hf_abc`, `echo env.HF_TOKEN=hf_abc`, in Python `HF_TOKEN = "hf_abc"`; not `HF_TOKEN=$TOKEN`.
_IN_SHELL = re.compile(r"""\b([A-Z][A-Z0-9_]*)=["']?[^\s"'$;`(){}]{4,}""")
_IN_PYTHON = re.compile(r"""\b([A-Z][A-Z0-9_]*)["']?\]?(?:=|\s*[=:]\s*["'])[^\s"'{}()]{4,}""")


@dataclass(frozen=True)
class Ways:
    """The phases in which a file runs, whether once for the whole job, its time limit in seconds, its class if any."""

    phases: tuple[str, ...]
    once: bool
    timeout: float | None
    call: str = ""


def ways(text: str, shown: str) -> Ways:
    """What the file says of itself; `shown` names it in messages. Raises BadRequest for words that it cannot mean."""
    _refuse_secrets(text, shown)
    words = [word for line in _DIRECTIVE.findall(text) for word in line.split()]
    own = classes.of_file(text, shown) if shown.endswith(".py") else None
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


def _refuse_secrets(text: str, shown: str) -> None:
    """A copy goes into the run directory and its record: a secret must not stand in it."""
    assigned = _IN_PYTHON if shown.endswith(".py") else _IN_SHELL
    for number, line in enumerate(text.splitlines(), 1):
        for match in assigned.finditer(line):
            if is_secret(match[1]):
                raise BadRequest(
                    f"{shown}:{number}: the value of {match[1]} stands here, and the file is kept with the run: "
                    f"export it in your shell and name it, env.forward=[{match[1]}]"
                )
