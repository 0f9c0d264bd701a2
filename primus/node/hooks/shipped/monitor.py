"""hooks.use=[monitor]: what the host goes through during the job, in logs/node-<n>/monitor.jsonl.

Every ten seconds the free space of the run directory, /tmp and /dev/shm, and what the kernel says meanwhile about GPUs,
memory and file systems, where this user may read it. After the ranks a summary. The agent's own samples (CPU, memory,
GPUs) are in metrics/node-<n>.jsonl without it.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from primus.node import process
from primus.node.hooks.spec import Context, Hooks

_INTERVAL = 10.0  # seconds
# NVRM: Xid: https://docs.nvidia.com/deploy/xid-errors/; amdgpu: drivers/gpu/drm/amd in Linux.
_NOTABLE = re.compile(
    r"NVRM: Xid|amdgpu.*(?:error|fault|reset|timeout)|Out of memory|oom-kill|I/O error|nfs: server", re.I
)


class Monitor(Hooks):
    """A process beside the ranks, which the node agent ends with them."""

    timeout = 30

    def before_task(self, context: Context) -> None:
        """Leave the process behind."""
        path = _file(context)
        folders = [str(context.run_directory), "/tmp", "/dev/shm"]
        kernel = _kernel()
        process.fork(lambda: _watch(path, folders, kernel))
        print(
            f"samples go to {path}" + ("" if kernel is not None else "; the kernel's log may not be read by this user")
        )

    def after_task(self, context: Context) -> None:
        """Say what was found."""
        try:
            lines = _file(context).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            context.skip("nothing was sampled")
        samples = [json.loads(line) for line in lines]
        for text in summary(samples):
            print(text)


def summary(samples: List[Dict[str, Any]]) -> List[str]:
    """The least free space of each folder, and every line of the kernel."""
    least: Dict[str, int] = {}
    for sample in samples:
        for folder, free in sample["free"].items():
            least[folder] = min(free, least.get(folder, free))
    said = [f"{folder}: at least {free / 1e9:.1f} GB were free" for folder, free in least.items()]
    kernel = [line for sample in samples for line in sample["kernel"]]
    return [*said, *(f"WARNING: the kernel said: {line}" for line in kernel)]


def _file(context: Context) -> Path:
    return context.run_directory / f"logs/node-{context.node_rank}/monitor.jsonl"


def _watch(path: Path, folders: List[str], kernel: Optional[int]) -> int:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # the hook's own output ends when its last holder lets go
        os.dup2(null, fd)
    with path.open("a", encoding="utf-8") as file:
        while True:
            free = {folder: shutil.disk_usage(folder).free for folder in folders if os.path.isdir(folder)}
            file.write(json.dumps({"time": time.time(), "free": free, "kernel": _said(kernel)}) + "\n")
            file.flush()
            time.sleep(_INTERVAL)


def _kernel() -> Optional[int]:
    """The kernel's log from here on; None where this user may not read it."""
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.lseek(fd, 0, os.SEEK_END)
    except OSError:
        os.close(fd)
        return None
    return fd


def _said(kernel: Optional[int]) -> List[str]:
    """Notable lines since the last call; each read of /dev/kmsg gives one: `priority,number,time,-;text`."""
    found: List[str] = []
    while kernel is not None:
        try:
            line = os.read(kernel, 8192).decode(errors="replace")
        except BrokenPipeError:  # lines that were overwritten meanwhile
            continue
        except OSError:
            break
        if not line:
            break
        text = line.split(";", 1)[-1].splitlines()[0]
        if _NOTABLE.search(text):
            found.append(text)
    return found
