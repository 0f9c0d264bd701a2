"""The source tree that the user stood in, as it was at the start: commit, and what was changed on top of it."""

import os
from pathlib import Path

from primus.node import process, rundir
from primus.node.plan import Code
from primus.node.secrets import is_secret, redactor, worth_masking

REVISION = "code/revision.json"
CHANGES = "code/changes.diff"

_SECONDS = 10.0
"""Time limit for each question to git: a large tree on a slow disk must not hold up a job."""


def take(code: Code, directory: Path) -> None:
    """Write code/revision.json, and code/changes.diff where there are changes, into the run directory.

    Tracked files that changed are in the diff; untracked ones that git does not ignore are named.
    """
    if code.commit is None:
        return
    git = ["git", "-C", code.directory]
    diff = process.ask([*git, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color"], _SECONDS)
    others = process.ask([*git, "ls-files", "--others", "--exclude-standard"], _SECONDS)
    untracked = (others or "").splitlines()
    known = diff is not None and others is not None
    revision = {
        "directory": code.directory,
        "commit": code.commit,
        "dirty": bool(diff or untracked) if known else None,
        "untracked": untracked,
    }
    rundir.write_json(directory / REVISION, revision)
    if diff:
        secrets = worth_masking(value for name, value in os.environ.items() if is_secret(name))
        rundir.write_text(directory / CHANGES, redactor(secrets)(diff.encode()).decode())
