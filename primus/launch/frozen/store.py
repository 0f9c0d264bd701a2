"""The folder that keeps each content once."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

STORE = ".code"
"""In the output root."""


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """A folder to be filled, which then takes the name `path`, unless another process was sooner."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.mkdir()
        yield part
        part.rename(path)
    except OSError:
        if not path.is_dir():  # the other one has it whole
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
