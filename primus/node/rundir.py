"""The files of a run directory, by name. Every reader and writer of a run takes its paths from here."""

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

_RESERVE = 64 << 10
"""Bytes; a node's facts and outcome are 3 to 30 KB."""

PLAN = "plan.json"
CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
RESULT = "result.json"
RECORD = "record.json"
HANDLE = "handle.json"
REPORT = "report.html"
RESULTS = "results.jsonl"
RESULTS_TABLE = "results.csv"
"""What a benchmark or a check has found, a row each: as it wrote them, and as a table."""
BY_RANK = "_rank"
"""After a kind of row: what each rank measured, beside the row of all."""
BASELINE = "baseline.json"
"""The results of an earlier run that these are compared with."""
CODE = "code"
SOURCE = "code/source"
PRIMUS = "code/primus"
PLUGINS = "code/plugins"
"""Links to the code of a frozen job: the source tree, the package, packages of plugins that somebody works on."""
HOOKS = "hooks"
PATCHES = "patches"
"""Copies of the hooks and patches of the plan: what runs is these."""
PATCH_LIST = "patches.json"
"""What the ranks are to apply of those, beside rank.json."""
ARTIFACTS = "artifacts"
"""Files that hooks ask to be kept."""
LAUNCH_LOG = "logs/launch.log"
JOB_LOG = "logs/job.log"
STOP = "stop"
"""Its presence asks ranks that know of it (PRIMUS_STOP_FILE) to save a checkpoint and end."""
ORPHANED = "orphaned"
"""Its presence tells the first process of a Slurm job that other nodes have lost its own."""
KILL = "kill"
"""Its presence ends the ranks of a job that is ending already at once, without the rest of their grace period."""

LOOK = "look"
"""Another text in it asks all agents for the stacks of their ranks."""


def node_facts(node_rank: int) -> str:
    """What a node found and resolved, and how its ranks ended."""
    return f"nodes/{node_rank}.json"


def rank_log(node_rank: int, rank: int) -> str:
    """All output of one rank."""
    return f"logs/node-{node_rank}/rank-{rank}.log"


def agent_log(node_rank: int) -> str:
    """What the node agent has to say for itself."""
    return f"logs/node-{node_rank}/agent.log"


def checks_log(node_rank: int, checks: str) -> str:
    """All output of the checks of a node."""
    return f"logs/node-{node_rank}/{checks}.log"


def checks_report(node_rank: int, checks: str) -> str:
    """What the checks of a node found: `{"passed", "message", ...}`; missing where they did not end by themselves."""
    return f"{checks}/{node_rank}.json"


def hooks_log(node_rank: int) -> str:
    """All output of the hooks of one node."""
    return f"logs/node-{node_rank}/hooks.log"


def rank_metrics(rank: int) -> str:
    """Metrics as a rank wrote them, one JSON object a line."""
    return f"metrics/rank-{rank}.jsonl"


def heartbeat(rank: int) -> str:
    """A file that a rank touches as it makes progress (PRIMUS_HEARTBEAT); its text says what it is at."""
    return f"heartbeats/rank-{rank}"


def stacks(node_rank: int) -> str:
    """The stacks of the ranks of a node when the job made no progress."""
    return f"stacks/node-{node_rank}.txt"


def host_metrics(node_rank: int) -> str:
    """Metrics of the host, sampled by its agent."""
    return f"metrics/node-{node_rank}.jsonl"


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none of it: a reader never sees half, whatever kills the writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def reserve(path: Path) -> None:
    """Take room for a file that is written when all is over, by when the disk may be full; none where it is already."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _reserved(path).write_bytes(b" " * _RESERVE)


def write_last(path: Path, value: Any) -> None:
    """Write plain data as JSON like `write_json`, on a full disk in the room that was reserved. Raises OSError."""
    try:
        write_json(path, value)
    except OSError as error:
        text = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or len(text) > _RESERVE or not _reserved(path).exists():
            raise OSError(error.errno, error.strerror, str(path)) from None
        with _reserved(path).open("r+b") as file:  # in place: it needs no block more
            file.write(text)
            file.truncate()
        os.replace(_reserved(path), path)
    with contextlib.suppress(OSError):
        _reserved(path).unlink()


def _reserved(path: Path) -> Path:
    return path.with_name(f".{path.name}.reserved")
