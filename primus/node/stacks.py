"""What the threads of a process are in: read from py-spy or from faulthandler, and what that says of a rank. Pure."""

import json
import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple


@dataclass(frozen=True)
class Frame:
    """One call: a function, and the line of the file that it is at."""

    function: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """`train.py:12`; with the folder where the name of the file says little."""
        parts = self.file.replace("\\", "/").split("/")
        return f"{'/'.join(parts[-2:] if parts[-1] == '__init__.py' else parts[-1:])}:{self.line}"


@dataclass(frozen=True)
class Stack:
    """The calls of one thread, the innermost first."""

    thread: str
    frames: Tuple[Frame, ...]
    main: bool = False


@dataclass(frozen=True)
class Doing:
    """What a rank is in: `what` is a collective or another wait for other ranks where `waits`, else a function.

    `where` is the place in the program that called it, `train_step, train.py:6`.
    """

    what: str
    where: str
    waits: bool


def of_py_spy(text: str) -> List[Stack]:
    """Of `py-spy dump --json` (0.3 and 0.4); raises ValueError for anything else."""
    try:
        threads = json.loads(text)
        if not isinstance(threads, list):
            raise TypeError("no list of threads")
        return [
            Stack(
                thread.get("thread_name") or "thread",
                tuple(Frame(f["name"], f["filename"], int(f["line"])) for f in thread["frames"]),
                thread.get("thread_name") == "MainThread" or thread.get("os_thread_id") == thread.get("pid"),
            )
            for thread in threads
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no output of py-spy: {error}") from None


# Modules/faulthandler.c and Python/traceback.c of CPython 3.9 to 3.14; the name in brackets is of 3.14.
_THREAD = re.compile(r"^(Current thread|Thread) 0x[0-9a-f]+(?: \[(.*)\])? \(most recent call first\):")
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')


def of_faulthandler(text: str) -> List[Stack]:
    """Of all threads in what faulthandler printed, other lines between them left out.

    The current thread is the one that took the signal: the main thread, which the kernel prefers.
    """
    found: List[Tuple[str, bool, List[Frame]]] = []
    for line in text.splitlines():
        thread, frame = _THREAD.match(line), _FRAME.match(line)
        if thread:
            found.append((thread[2] or thread[1].lower(), thread[1] != "Thread", []))
        elif frame and found:
            found[-1][2].append(Frame(frame[3], frame[1], int(frame[2])))
    return [Stack(name, tuple(frames), main) for name, main, frames in found]


def lines(stacks: Sequence[Stack]) -> List[str]:
    """For people: the main thread last, where whoever looks at the end of a log sees it."""
    text: List[str] = []
    for stack in sorted(stacks, key=lambda stack: stack.main):
        text.append(f"thread {stack.thread}, innermost call first:")
        text += [f"  {frame.function} ({frame.file}:{frame.line})" for frame in stack.frames] or ["  (no Python)"]
    return text


# Where frameworks wait for other ranks: a part of the path of the file, and what it is called where the function's own
# name says too little. By the sources of torch 2.13 and jax 0.7; only files that never call the user's code.
_WAITS: Tuple[Tuple[str, Optional[str]], ...] = (
    ("torch/distributed/distributed_c10d.py", None),
    ("torch/distributed/_functional_collectives.py", None),
    ("torch/distributed/rendezvous.py", "the rendezvous"),
    ("jax/experimental/multihost_utils.py", None),
    ("jax/_src/distributed.py", "the rendezvous"),
)
_RENDEZVOUS = ("init_process_group", "_new_process_group_helper", "_store_based_barrier")
# Their own helpers are no place that says what a rank is doing.
_FRAMEWORKS = re.compile(
    r"/(torch|jax|jaxlib|torchtitan/distributed|megatron/core/(tensor_parallel|pipeline_parallel|distributed))/"
)
_STANDARD = re.compile(r"^<frozen|/lib(?:64)?/python3\.\d+/(?!site-packages/|dist-packages/)")


def doing(stacks: Sequence[Stack]) -> Optional[Doing]:
    """What the main thread is in; None where it is in no Python at all."""
    main = next((stack.frames for stack in stacks if stack.main), stacks[0].frames if stacks else ())
    for depth, frame in enumerate(main):
        for file, name in _WAITS:
            if frame.file.endswith(file):
                called = "the rendezvous" if frame.function in _RENDEZVOUS else name or frame.function
                return Doing(called, _where(_caller(main[depth + 1 :])), True)
    own = next((frame for frame in main if not _STANDARD.search(frame.file)), main[0] if main else None)
    return Doing(own.function, own.place, False) if own else None


def _caller(outer: Sequence[Frame]) -> Optional[Frame]:
    """The first frame outside of the framework: the step, by the name that it has in the user's program."""
    return next((frame for frame in outer if not _FRAMEWORKS.search(frame.file)), None)


def _where(frame: Optional[Frame]) -> str:
    return f"{frame.function}, {frame.place}" if frame else ""
