"""`task=data/tokenize`: text to token files of Megatron, one rank per core of the machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from primus.launch import container
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.data import check_files, check_tokenizer
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.task import Work
from primus.node.plan import File


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is read, how, and where it goes. A document begins and ends with tokens: the tokenizer's own, or none."""

    name: str
    files: str | tuple[str, ...]
    output: str
    tokenizer: str
    text_key: str
    document: Literal["file", "line"]
    append_end: bool | str
    prepend_begin: bool | str
    overwrite: bool
    python: str | None


def work(task: Settings, request: Request, source: Origins, place: Place) -> Work:
    """The ranks. Raises BadRequest for files that are missing, and for an output that is there already."""
    try:
        check_files(task.files, place.directory, "task.files")
        check_tokenizer(task.tokenizer, place.directory, "task.tokenizer")
    except ValueError as error:
        raise BadRequest(str(error)) from None
    output = place.directory / Path(task.output).expanduser()
    for suffix in (".idx", ".bin"):
        if not task.overwrite and output.with_name(output.name + suffix).exists():
            raise BadRequest(
                f"task.output: {task.output}{suffix} is there already: give another name, or task.overwrite=true"
            )
    content = {
        "files": [task.files] if isinstance(task.files, str) else list(task.files),
        "output": str(output),
        "tokenizer": task.tokenizer,
        "text_key": task.text_key,
        "document": task.document,
        "append_end": task.append_end,
        "prepend_begin": task.prepend_begin,
        "overwrite": task.overwrite,
    }
    return Work(
        command=(
            task.python or container.python(request) or place.python,
            "{primus.package}/rank",
            "tokenize",
            "{primus.run_dir}/rank.json",
        ),
        files=(File("rank.json", json.dumps(content, indent=2) + "\n"),),
        ranks_per_node=place.cores,
    )
