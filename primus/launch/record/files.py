"""What is in a run directory: reports of nodes, metric files, and the files that become artifacts."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from primus.node import rundir
from primus.node.digits import whole

LARGEST = 256 << 20
"""Bytes; a larger file stays in the run directory alone and is named in record.json."""

_RANK = re.compile(r"rank-(\d+)\.jsonl")
_NODE = re.compile(r"node-(\d+)\.jsonl")
_FILES = (rundir.RESULT, rundir.REPORT, rundir.RESULTS, rundir.RESULTS_TABLE, rundir.BASELINE)
_OF_HOOKS = (rundir.HOOKS, rundir.PATCHES, rundir.ARTIFACTS)
_FOLDERS = (rundir.CODE, "nodes", "logs", "stacks", "metrics", "profile", "preflight", "smoke", *_OF_HOOKS)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file or no object in it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for without an end
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def own(directory: Path, name: str | Path) -> Path | None:
    """The file of that name in a run, to be read; None where there is none, or a link on the way leads out of the run.

    What such a link leads to may be anything of this machine, and a name may be a stranger's. Of pipes and devices,
    which would be waited for, there is none either.
    """
    path = directory / name
    try:
        return path if path.is_file() and path.resolve().is_relative_to(directory.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name that is too long, or no name at all; links in a circle
        return None


def output_root(directory: Path) -> Path:
    """`output.root` of the run or sweep in `directory`: <root>/<experiment>/<run or sweep>[/<job>]."""
    return directory.parents[2 if read_json(directory / rundir.PLAN).get("sweep") else 1]


def node_reports(directory: Path) -> dict[int, dict[str, Any]]:
    """nodes/<n>.json by node rank."""
    paths = (directory / "nodes").glob("[0-9]*.json")
    return {int(path.stem): read_json(path) for path in sorted(paths) if whole(path.stem)}


def rank_files(directory: Path) -> dict[int, Path]:
    """Metric files by rank, in order; links are none."""
    return _numbered(directory, _RANK)


def host_files(directory: Path) -> dict[int, Path]:
    """Files of host metrics by node rank, in order; links are none."""
    return _numbered(directory, _NODE)


def main_rank(lines: Mapping[int, Sequence[Mapping[str, Any]]]) -> int:
    """The rank whose metrics are those of the run: the first one that reports a loss, else rank 0.

    With pipeline parallelism the loss is known on the last stage alone.
    """
    return min((rank for rank, values in lines.items() if any("loss" in value for value in values)), default=0)


def early_artifacts(directory: Path) -> list[str]:
    """What a replay needs, there as soon as the run starts."""
    return [name for name in (rundir.PLAN, rundir.CONFIG, rundir.OVERRIDES) if _is_own(directory / name)]


def _is_own(path: Path) -> bool:
    """Whether it is a file itself: what a link leads to may be anything of this machine."""
    return path.is_file() and not path.is_symlink()


def artifacts(directory: Path) -> list[str]:
    """All files of a finished run that belong in its record, as relative paths; links are not followed."""
    names = early_artifacts(directory)
    names += [name for name in _FILES if _is_own(directory / name)]
    for folder in _FOLDERS:
        inside = [] if (directory / folder).is_symlink() else sorted((directory / folder).rglob("*"))
        found = [p for p in inside if _is_own(p)]
        names += [str(p.relative_to(directory)) for p in found if not p.name.startswith(".")]
    return names


def _numbered(directory: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """They are looked for again and again: a folder is listed, and none of its files resolved."""
    folder, found = directory / "metrics", {}
    if folder.is_dir() and not folder.is_symlink():
        with os.scandir(folder) as entries:
            for entry in entries:
                if (match := pattern.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                    found[int(match[1])] = folder / entry.name
    return dict(sorted(found.items()))
