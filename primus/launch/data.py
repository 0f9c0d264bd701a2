"""Early checks of the files that training data name, where the launch side sees the same file system as the nodes."""

import glob
import os
from pathlib import Path

from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Request
from primus.launch.config.terms.data import BYTES, DATA, Data, HubData, MegatronData, TextData
from primus.launch.problems import BadRequest
from primus.node.typed import closest


def asked(request: Request, source: Origins) -> Data:
    """The data of a request. Raises BadRequest."""
    name = str(request.data.get("name"))
    if name not in DATA:
        raise BadRequest(f"data.name: {name!r} is none of {', '.join(DATA)}.{closest(name, DATA)}")
    return typed(DATA[name], request.data, "data", source)


def check_data(data: Data, directory: Path) -> None:
    """Raise ValueError when a file that `data` names is not there; names are relative to `directory`."""
    check_paths(data, directory)
    if isinstance(data, HubData):
        check_hub(data)
    check_tokenizer(data.tokenizer, directory)


def check_paths(data: Data, directory: Path) -> None:
    """Raise ValueError when there is no file of the data themselves."""
    if isinstance(data, TextData):
        check_files(data.files, directory)
    if isinstance(data, MegatronData):
        check_token_files(data, directory)


def check_files(files: str | tuple[str, ...] | None, directory: Path, key: str = "data.files") -> None:
    """Raise ValueError, naming the `key`, when a glob, relative to `directory`, matches no file."""
    for pattern in (files,) if isinstance(files, str) else files or ():
        full = os.path.join(glob.escape(str(directory)), os.path.expanduser(pattern))
        if not any(os.path.isfile(path) for path in glob.iglob(full, recursive=True)):
            raise ValueError(f"{key}: no file matches {pattern!r} (looked in {directory})")


def check_token_files(data: MegatronData, directory: Path) -> None:
    """Raise ValueError when a prefix of `data.paths` lacks its .bin or its .idx, or `data.split` weighs no part."""
    for prefix in (data.paths,) if isinstance(data.paths, str) else data.paths:
        for suffix in (".bin", ".idx"):
            path = directory / Path(prefix + suffix).expanduser()
            if not path.is_file():
                raise ValueError(
                    f"data.paths: there is no {prefix}{suffix} (looked in {directory}).{_near(prefix, path)}"
                )
    if not 1 <= len(data.split) <= 3 or min(data.split) < 0 or sum(data.split) <= 0:
        raise ValueError(
            f"data.split: {list(data.split)} must be the weights of training, validation and test, as in [98, 2, 0]"
        )


def check_hub(data: HubData) -> None:
    """Raise ValueError when a share of a streamed data set is to be held out: its documents have no numbers."""
    if data.streaming and data.held_out and not data.validation_split:
        raise ValueError(
            "data.validation_split: null keeps a share of the documents by their numbers, and a streamed data set has "
            "none: name a split, or give data.streaming=false, or data.held_out=0 to train without evaluation"
        )


def _near(prefix: str, path: Path) -> str:
    """The pair in the same folder that may have been meant."""
    plain = prefix.removesuffix(".bin").removesuffix(".idx")
    if plain != prefix and path.with_name(Path(prefix).name).is_file():
        return f" Did you mean {plain!r}, without the ending?"
    pairs = (found.with_suffix("") for found in path.parent.glob("*.idx") if found.with_suffix(".bin").is_file())
    return closest(prefix, [str(Path(prefix).with_name(found.name)) for found in pairs])


def check_tokenizer(tokenizer: str, directory: Path, key: str = "data.tokenizer") -> None:
    """Raise ValueError, naming the `key`, unless it is `bytes`, a tokenizer.json or a folder that holds one."""
    if tokenizer == BYTES:
        return
    path = directory / Path(tokenizer).expanduser()
    if not ((path.is_file() and path.name == "tokenizer.json") or (path / "tokenizer.json").is_file()):
        raise ValueError(
            f"{key}: {tokenizer!r} is neither 'bytes' nor a tokenizer.json nor a folder with one "
            f"(looked in {directory})"
        )
