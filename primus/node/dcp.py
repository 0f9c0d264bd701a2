"""What a checkpoint of PyTorch's format says about its own files. PyTorch is not needed, and nothing is run for it."""

import io
import pickle
from pathlib import Path
from typing import Any, Dict, Tuple

METADATA = ".metadata"


def least_sizes(checkpoint: Path) -> Dict[str, int]:
    """By a file's name the bytes that it has at least. Raises ValueError when `.metadata` cannot be read.

    The file is a pickle of `torch.distributed.checkpoint.metadata.Metadata`, whose `storage_data` has a
    `_StorageInfo(relative_path, offset, length)` for every piece of a tensor (filesystem.py, torch 2.4 to 2.13).
    """
    try:
        metadata = _Reader(io.BytesIO((checkpoint / METADATA).read_bytes())).load()
        sizes: Dict[str, int] = {}
        for stored in metadata.state["storage_data"].values():
            name, end = stored.state["relative_path"], stored.state["offset"] + stored.state["length"]
            sizes[name] = max(end, sizes.get(name, 0))
        return sizes
    except Exception as error:  # whatever a pickle that is broken can make of itself
        raise ValueError(f"{METADATA} cannot be read: {type(error).__name__}") from None


class _Anything:
    """Stands for every class and function that the pickle names: it keeps its state, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Anything":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        given: Tuple[Any, ...] = state if isinstance(state, tuple) else (state,)
        self.state = {name: value for some in given if isinstance(some, dict) for name, value in some.items()}

    def __setitem__(self, name: Any, value: Any) -> None:
        """As of a dictionary."""

    def append(self, value: Any) -> None:
        """As of a list, or a queue."""

    def extend(self, values: Any) -> None:
        """The same."""


class _Reader(pickle.Unpickler):
    """Imports and calls nothing of what the pickle names: a stranger's is data."""

    def find_class(self, module: str, name: str) -> Any:
        return _Anything

    def persistent_load(self, pid: Any) -> Any:
        return _Anything()
