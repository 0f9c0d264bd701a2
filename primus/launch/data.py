"""Early checks of the files that training data name, where the launch side sees the same file system as the nodes."""

import glob
import os
from pathlib import Path

from primus.launch.config.terms.data import BYTES, Data, MegatronData, TextData


def check_data(data: Data, directory: Path) -> None:
    """Raise ValueError when a file that `data` names is not there; names are relative to `directory`."""
    if isinstance(data, TextData):
        check_files(data.files, directory)
    if isinstance(data, MegatronData):
        check_token_files(data.paths, directory)
    check_tokenizer(data.tokenizer, directory)


def check_files(files: str | tuple[str, ...] | None, directory: Path) -> None:
    """Raise ValueError when a glob of `data.files`, relative to `directory`, matches no file."""
    for pattern in (files,) if isinstance(files, str) else files or ():
        full = os.path.join(glob.escape(str(directory)), os.path.expanduser(pattern))
        if not any(os.path.isfile(path) for path in glob.iglob(full, recursive=True)):
            raise ValueError(f"data.files: no file matches {pattern!r} (looked in {directory})")


def check_token_files(paths: str | tuple[str, ...], directory: Path) -> None:
    """Raise ValueError when a prefix of `data.paths` lacks its .bin or its .idx."""
    for prefix in (paths,) if isinstance(paths, str) else paths:
        for suffix in (".bin", ".idx"):
            if not (directory / Path(prefix + suffix).expanduser()).is_file():
                raise ValueError(f"data.paths: there is no {prefix}{suffix} (looked in {directory})")


def check_tokenizer(tokenizer: str, directory: Path) -> None:
    """Raise ValueError unless `data.tokenizer` is `bytes`, a tokenizer.json or a folder that holds one."""
    if tokenizer == BYTES:
        return
    path = directory / Path(tokenizer).expanduser()
    if not ((path.is_file() and path.name == "tokenizer.json") or (path / "tokenizer.json").is_file()):
        raise ValueError(
            f"data.tokenizer: {tokenizer!r} is neither 'bytes' nor a tokenizer.json nor a folder with one "
            f"(looked in {directory})"
        )
