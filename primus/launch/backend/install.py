"""Make an environment of `environments.Environment`: one setup at a time, complete or not at all."""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from primus.launch.backend.environments import Environment, Made, Step
from primus.launch.problems import Unfit
from primus.node import host, process, rundir
from primus.node.typed import plain

_FREEZE_SECONDS = 120.0
"""Time limit for `pip freeze`, on a file system that may be slow."""
_SHOWN = 12
"""Lines of a failed command that are repeated in the error."""


class Display(Protocol):
    """What a setup tells while it runs."""

    def step(self, does: str) -> None:
        """A command begins."""

    def activity(self, text: str) -> None:
        """What pip does now."""

    def line(self, text: str) -> None:
        """Something that the user should know."""


def make(environment: Environment, base: str, display: Display) -> Made:
    """Make the environment with the interpreter `base`, unless another setup has made it in the meantime.

    Raises Unfit when a command fails or the folder cannot be written; what is there then does not count as complete,
    nor does what a killed setup leaves: the marker is written last.
    """
    try:
        with _alone(environment, display):
            return environment.made() or _make(environment, base, display)
    except OSError as error:
        raise Unfit(
            f"task=setup backend={environment.backend}: {error.filename or environment.directory}: {error.strerror}. "
            "Environments are kept where backend.setup.directory or the variable PRIMUS_BACKENDS says"
        ) from None


def _make(environment: Environment, base: str, display: Display) -> Made:
    began = time.monotonic()
    _remove(environment)
    try:
        with environment.log.open("wb") as log:
            for step in environment.steps(base):
                _run(step, environment, log, display)
        made = Made(
            backend=environment.backend,
            python=_version(environment.directory),
            base=base,
            requirements=environment.setup.requirements,
            no_dependencies=environment.setup.no_dependencies,
            packages=_freeze(environment, display),
            seconds=round(time.monotonic() - began, 1),
            time=time.time(),
        )
        rundir.write_json(environment.marker, plain(made))
    except BaseException:  # Ctrl-C as well: half an environment is gigabytes of no use
        _remove(environment)
        raise
    return made


def activity(line: str) -> str | None:
    """What a line of pip's output says that it does: `downloading torch-2.13.0-...whl (526.8 MB)`; None: nothing."""
    told = re.match(
        r"\s*(Collecting|Downloading|Using cached|Building wheel for|Installing collected packages:) (.+)", line
    )
    if not told:
        return None
    verb, what = told[1], told[2].strip()
    if verb.startswith("Installing"):
        return f"installing {len(what.split(','))} packages"
    if verb == "Collecting":
        what = what.split(" (from ")[0]
    elif verb == "Building wheel for":
        verb, what = "building", what.split(" ")[0]
    else:  # a file, or its whole address
        what = what.rsplit("/", 1)[-1]
    return f"{verb.lower()} {what}"


def last_words(log: str) -> list[str]:
    """The lines of a failed command's output that say why: pip's errors, else the last ones."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"\s*(ERROR|error|Error)\b", line)]
    return (errors or lines)[-_SHOWN:]


def _run(step: Step, environment: Environment, log: BinaryIO, display: Display) -> None:
    display.step(step.does)
    log.write(f"$ {shlex.join(step.argv)}\n".encode())
    log.flush()
    from_here = log.tell()
    running = process.start(step.argv, env=_environ(), stdout=process.PIPE, stderr=process.STDOUT, die_with_parent=True)
    assert running.stdout
    with running:
        try:
            for line in running.stdout:
                log.write(line)
                log.flush()
                doing = activity(line.decode(errors="replace"))
                if doing:
                    display.activity(doing)
            code = running.wait()
        except BaseException:  # Ctrl-C, a full disk
            process.end_group(running.pid, signal.SIGKILL)
            raise
    if code:
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = environment.log.read_bytes()[from_here:].decode(errors="replace")
        raise Unfit(
            "\n".join(
                [
                    f"task=setup backend={environment.backend}: {step.does}: the command {ended}:",
                    *(f"  {line}" for line in last_words(words)),
                    f"All that it said is in {environment.log}",
                ]
            )
        )


def _freeze(environment: Environment, display: Display) -> tuple[str, ...]:
    display.step("listing what was installed")
    answer = process.ask(environment.freeze(), _FREEZE_SECONDS, env=_environ())
    if answer is None:
        raise Unfit(f"task=setup backend={environment.backend}: failed: {shlex.join(environment.freeze())}")
    return tuple(answer.split("\n")[:-1])


def _environ() -> dict[str, str]:
    """This environment, without what leads a Python to packages of another (pip hands it on where it builds one)."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER")}


def _version(directory: Path) -> str:
    """Of the Python that a virtual environment was made with (PEP 405)."""
    for line in (directory / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return value.strip()
    return ""


def _remove(environment: Environment) -> None:
    environment.marker.unlink(missing_ok=True)  # first: half a folder must not count
    shutil.rmtree(environment.directory, ignore_errors=True)


@contextlib.contextmanager
def _alone(environment: Environment, display: Display) -> Iterator[None]:
    """Hold the lock of this environment; the kernel gives it back however this process ends."""
    environment.lock.parent.mkdir(parents=True, exist_ok=True)
    with environment.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            display.line(f"another setup makes this environment ({file.read().strip()}): waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {host.name()}\n")
        file.flush()
        yield
