"""An interpreter that has imported once what every rank of a framework imports, and forks the ranks from there.

Three of four seconds of a small training are imports. A rank is a process of its own all the same, which runs
`primus/rank` from its first line with its own environment, folder and log; it only finds other people's modules loaded:
none of Primus, and none of those that Primus changes before or while they are imported. JAX has threads of its own and
warns of any fork: ranks of MaxText are started anew.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODULES = {
    "torchtitan": (
        *("torch._dynamo", "torch._inductor.compile_fx", "torch.distributed.checkpoint", "torch.distributed.fsdp"),
        *("torch.distributed.pipelining", "torch.distributed.tensor.parallel", "torchdata.stateful_dataloader"),
        *("datasets", "tokenizers", "tyro"),
    ),
    "megatron": (
        *("torch._inductor.compile_fx", "torch.distributed.checkpoint", "torch.distributed.fsdp", "einops"),
        *("torch.distributed.tensor", "torch.utils.cpp_extension", "psutil", "yaml"),
    ),
}


class Warm:
    """Such an interpreter; `close` ends it."""

    def __init__(self, python: str, modules: Sequence[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, "-P", __file__, *modules],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: list[str], directory: Path, ranks: list[dict[str, Any]], timeout: float) -> list[int]:
        """The exit codes of `python arguments`, once for each of `ranks`: their `environment`, and `log` for a path.

        What runs longer than `timeout` seconds is killed.
        """
        assert self._process.stdin
        assert self._process.stdout
        job = {"arguments": arguments, "directory": str(directory), "ranks": ranks, "timeout": timeout}
        print(json.dumps(job), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the interpreter has died"
        codes: list[int] = json.loads(answer)
        return codes

    def close(self) -> None:
        """Wait for its end."""
        self._process.communicate()


def serve() -> dict[str, Any] | None:
    """In that interpreter: jobs from standard input. Returns in each rank, with what it is to run."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()  # else the first collection of a rank copies every page
    while line := sys.stdin.readline():
        job = json.loads(line)
        pids = []
        for rank in job["ranks"]:
            pid = os.fork()
            if not pid:
                return {**job, **rank}
            pids.append(pid)
        print(json.dumps(_exit_codes(pids, time.monotonic() + job["timeout"])), flush=True)
    return None


def _exit_codes(pids: list[int], deadline: float) -> list[int]:
    codes = []
    for pid in pids:
        descriptor = os.pidfd_open(pid)
        if not select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
        os.close(descriptor)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return codes


def become(rank: dict[str, Any]) -> None:
    """What a start of Python sets up."""
    for path, flags, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (rank["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(rank["environment"])
    os.chdir(rank["directory"])
    sys.argv = rank["arguments"]


if __name__ == "__main__":
    rank = serve()
    if rank is not None:
        become(rank)
        runpy.run_path(sys.argv[0], run_name="__main__")
