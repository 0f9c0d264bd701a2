"""hooks.use=[data]: the training data are on this node before its ranks start.

Files are looked for and opened; a data set of the Hugging Face hub that is not streamed is downloaded, by the ranks'
interpreter, into its cache, so that the ranks of a node do not all begin with it at once.
"""

import glob
import json
import os
from typing import Any, Dict, Iterator, List

from primus.node import process
from primus.node.hooks.spec import Context, Hooks

_HOUR = 3600.0
_DOWNLOAD = (
    "import json, os, sys, datasets; "
    "a = json.loads(sys.argv[1]); token = os.environ.get(a.pop('token') or ''); "
    "print(datasets.load_dataset(**a, token=token))"
)


class Data(Hooks):
    """For the tasks that train."""

    timeout = 86400  # a large download

    def before_task(self, context: Context) -> None:
        """Raises FileNotFoundError or OSError for a file that this node does not see, RuntimeError for a download."""
        data = context.config.get("data") or {}
        if not context.plan.task.startswith("train/") or data.get("name") == "mock":
            context.skip("the task reads no data")
        if data.get("name") == "hf":
            _download(context, data)
            return
        paths = list(files(data))
        if not paths:
            context.skip("the data are the standard library of Python, which is there")
        size = 0
        for path in paths:
            with open(path, "rb") as file:
                file.read(1)
            size += os.path.getsize(path)
        print(f"{len(paths)} files, {size / 1e9:.3f} GB")


def files(data: Dict[str, Any]) -> Iterator[str]:
    """The files that the config names. Raises FileNotFoundError for a pattern or a prefix that has none."""
    for pattern in _listed(data.get("files")):
        found = [path for path in glob.glob(os.path.expanduser(pattern), recursive=True) if os.path.isfile(path)]
        if not found:
            raise FileNotFoundError(f"data.files: no file matches {pattern!r} on this node (in {os.getcwd()})")
        yield from found
    for prefix in _listed(data.get("paths")):
        for suffix in (".bin", ".idx"):
            path = os.path.expanduser(prefix) + suffix
            if not os.path.isfile(path):
                raise FileNotFoundError(f"data.paths: {path} is not on this node (in {os.getcwd()})")
            yield path


def _listed(value: Any) -> List[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _download(context: Context, data: Dict[str, Any]) -> None:
    if data.get("streaming"):
        context.skip("the data are streamed")
    for split in filter(None, (data.get("split"), data.get("validation_split"))):
        asked = {"path": data["dataset"], "name": data.get("subset"), "split": split, "token": data.get("token")}
        argv = [context.rank_python or "python3", "-c", _DOWNLOAD, json.dumps(asked)]
        code, out, errors = process.converse(argv, 24 * _HOUR, env=context.environ)
        print(out, end="")
        if code:
            raise RuntimeError(f"{data['dataset']} ({split}) cannot be had: {errors.strip()[-2000:]}")
