"""What can reach a rank byte for byte, and what cannot: that is refused before anything starts, with its key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from primus.launch.problems import BadRequest

_LONGEST = 32 * 4096 - 1
"""Bytes of one word of a command line, or of one variable with its name: MAX_ARG_STRLEN of linux/binfmts.h with the
smallest page, less the zero byte at the end."""
_TOGETHER = 8 << 20 >> 2
"""Bytes of a command line and its environment, with a zero byte and a pointer for each: execve(2) takes a quarter of
the limit of the stack, which is 8 MiB as a rule."""
_OF_OTHERS = 256 << 10
"""Bytes of them that are left to the variables of the shell, of profiles, of the backend and of Primus."""
_NOT_IN_SQLITE = "?#%"


def check_config(value: Any, key: str = "") -> None:
    """Raise BadRequest for text that no command line, variable or path can hold, in a value or in a name."""
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{key}.{name}" if key else str(name)
            _check_text(str(name), ascii(where)[1:-1])
            if key == "env.set":
                _check_variable(str(name), inner)
            check_config(inner, where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_config(inner, f"{key}[{index}]")
    elif isinstance(value, str):
        _check_text(value, key)


def check_command(words: Sequence[str]) -> None:
    """Raise BadRequest for a word of the ranks' command that is too long for the kernel."""
    for number, word in enumerate(words):
        if len(word.encode()) > _LONGEST:
            raise BadRequest(
                f"task.command: its word {number} has {len(word.encode())} bytes, and the kernel takes at most "
                f"{_LONGEST} in one: put it into a file"
            )


def check_together(words: Sequence[str], variables: Mapping[str, str]) -> None:
    """Raise BadRequest for a command of the ranks and variables of `env.set` that the kernel does not take at once."""
    sizes = {f"word {number} of task.command": _size(word) for number, word in enumerate(words)}
    sizes |= {f"env.set.{name}": _size(f"{name}={value}") for name, value in variables.items()}
    most = _TOGETHER - _OF_OTHERS
    if sum(sizes.values()) > most:
        key = "task.command and env.set" if words and variables else "task.command"
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        raise BadRequest(
            f"{key}: they have {sum(sizes.values())} bytes in all, and beside the environment of the shell the kernel "
            f"takes at most {most} at once: put the largest into files: "
            + ", ".join(f"{name} ({sizes[name]} bytes)" for name in largest)
        )


def _size(text: str) -> int:
    return len(text.encode(errors="replace")) + 9


def check_path(path: Path, key: str) -> None:
    """Raise BadRequest for a path that no file of text can name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{key}: {str(path)!a} is no valid UTF-8: rename it, or work from another folder") from None


def check_store(root: Path, asked: bool, given: str | None, environ: Mapping[str, str]) -> None:
    """Raise BadRequest for an output root that the address of its sqlite store cannot hold, where that is `asked` for.

    MLflow and SQLAlchemy end the path at a `?` or `#`, and read `%41` as `A`.
    """
    odd = next((mark for mark in _NOT_IN_SQLITE if mark in str(root)), None)
    if odd and asked and not given and not environ.get("MLFLOW_TRACKING_URI"):
        raise BadRequest(
            f"output.root: {root} holds {odd!r}, which the address of MLflow's sqlite file cannot: take another "
            "folder, or tracking.uri=…, or tracking.enabled=false"
        )


def _check_variable(name: str, value: Any) -> None:
    if not name or "=" in name:
        raise BadRequest(f"env.set: {name!r} is no name of a variable")
    size = len(f"{name}={value}".encode(errors="replace"))
    if size > _LONGEST:
        raise BadRequest(
            f"env.set.{name}: it has {size} bytes, and the kernel takes at most {_LONGEST} in one variable: "
            "put the value into a file, and its path here"
        )


def _check_text(text: str, key: str) -> None:
    if "\0" in text:
        raise BadRequest(f"{key}: it holds a zero byte, which no command line, variable or path can")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{key}: its text is no valid UTF-8") from None
