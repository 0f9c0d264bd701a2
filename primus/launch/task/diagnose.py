"""`task=diagnose run=<run>` or `log=<file>`: what failed first, what it most likely is, and what to do."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from primus.launch import closing, state
from primus.launch.config.request import Request
from primus.launch.diagnosis import matching, plain, run, words
from primus.launch.problems import OK, BadRequest
from primus.launch.state import State
from primus.launch.task.status import named


@dataclass(frozen=True)
class Settings:
    """`format`: for people, or JSON."""

    name: str
    format: Literal["text", "json"]


def describe(task: Settings, request: Request) -> str:
    """What `act` would do."""
    return f"say what went wrong in {request.log if request.log else named(request, offline=True)}"


def act(task: Settings, request: Request) -> int:
    """Print it; 0 whatever it is. Raises BadRequest for a run or a log that is not there."""
    if request.log and request.run:
        raise BadRequest("task=diagnose takes run=<run> or log=<file>, not both")
    if request.log:
        found, text = of_log(request.log)
    else:
        directory = named(request)
        every = state.read(directory)
        told = [of_run(one) for one in (every.jobs or (every,))]
        found = {"jobs": [data for data, _ in told]} if every.jobs else told[0][0]
        text = "\n\n".join(words for _, words in told)
    if task.format == "json":
        json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print(text)
    return OK


def of_run(found: State) -> tuple[dict[str, Any], str]:
    """The diagnosis of one run, by what is there now: as data, and in words."""
    directory = found.directory
    try:
        _, result, _ = state.written(directory)
    except ValueError as error:
        data = {"run": found.id, "directory": str(directory), "state": "UNKNOWN", "failure": None, "reason": str(error)}
        return data, f"primus: {closing.short(directory)} is unknown: {error}"
    if not result:  # it runs, waits, or its owner is gone
        result = {"status": found.name, "message": found.reason or None, "root_cause": None}
    diagnosis = run.of_run(directory, result)
    data = {"run": found.id, "directory": str(directory), "state": found.name, **diagnosis}
    if found.name == "FINISHED" and not diagnosis.get("failure"):
        return data, f"primus: {closing.short(directory)} is finished, and nothing in it looks like a failure"
    if found.living and not diagnosis.get("failure"):
        return data, f"primus: {closing.short(directory)} is {found.name.lower()}, and nothing looks like a failure yet"
    return data, f"{closing.short(directory)}:\n" + closing.failure(directory, {**result, "diagnosis": diagnosis})


def of_log(name: str) -> tuple[dict[str, Any], str]:
    """The diagnosis of a plain log: as data, and in words. Raises BadRequest where it cannot be read."""
    found = plain.read("standard input" if name == "-" else name, _read(name))
    diagnosis = run.described(None, matching.best(found.texts))
    data = {"log": name, "rank": found.rank, "host": found.host, **diagnosis}
    host = f" on {found.host}" if found.host else ""
    head = [f"primus: rank {found.rank}{host} failed first ({found.how})."] if found.rank is not None else []
    head += [f"  {line}" for line in closing.shown(found.texts[0])]
    first, *rest = (
        words.lines(diagnosis, found.rank) if any(text.lines for text in found.texts) else ["the log is empty"]
    )
    return data, "\n".join([*head, f"primus: {first}", *(f"  {line}" for line in rest)])


def _read(name: str) -> bytes:
    if name == "-":
        kept = b""
        while piece := sys.stdin.buffer.read(plain.MOST):
            kept = (kept + piece)[-plain.MOST :]
        return kept
    try:
        with Path(name).expanduser().open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - plain.MOST))
            return file.read()
    except OSError as error:
        raise BadRequest(f"log: {name} cannot be read: {error.strerror}") from None
