"""Where the checkpoints of a run are, and from which one all its ranks go on. Standard library alone.

Rank 0 looks and tells the others, before their framework starts: so all go on from the same one, whatever each of them
would have seen, and every rank reads a share of it to compare checksums.
"""

import contextlib
import os
from collections.abc import Callable
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any

from primus.node import checkpoints, manifest
from primus.node.checkpoints import Checkpoint, Judged
from primus.rank import gathering
from primus.rank.problems import UNFIT, Refused

_PATIENCE = 600.0
"""Seconds in which all ranks must have begun: their imports may come from a slow file system. PyTorch's own limit."""

_REMOVED = ".removed-"
"""Before the name of a checkpoint that is being deleted."""

_KEY = "task.checkpoint.load"


def directory(rank: dict[str, Any]) -> Path:
    """The folder of this run's checkpoints: as `checkpoint` of rank.json says, else in the run directory."""
    given = rank["checkpoint"]["directory"]
    return Path(given).expanduser().resolve() if given else Path(os.environ["PRIMUS_RUN_DIR"]) / checkpoints.FOLDER


def own(rank: dict[str, Any], backend: str) -> Checkpoint | None:
    """The newest whole checkpoint of this run, to go on from; None where it has none, or is an evaluation alone.

    Newer ones that are not whole are moved aside: their steps will be written again. Raises Refused on every rank when
    there were checkpoints, and all of them are damaged.
    """
    if rank["evaluation"]["only"]:
        return None
    folder = directory(rank)

    def look(known: dict[Path, str]) -> Judged:
        found = checkpoints.judged(folder, backend, known)
        if found.whole is None and found.damaged:
            raise Refused(
                f"{checkpoints.refusal('the checkpoints of this run', folder, found.passed)}. To begin from scratch "
                "all the same, move that folder away, or give another task.checkpoint.directory",
                UNFIT,
            )
        return found

    def settle(found: Judged) -> None:
        for passed in found.passed:
            _warn(f"{passed.checkpoint.path}: {passed.why}", _move_aside(passed.checkpoint.path))
        if found.whole:
            print(f"INFO goes on from the checkpoint of step {found.whole.step}: {found.whole.path}", flush=True)

    return _agreed(look, settle, with_checksums(rank))


def given(rank: dict[str, Any], backend: str) -> Checkpoint | None:
    """The checkpoint that `checkpoint.load` means, whose folder has any name; None where that is empty.

    Its path is one of a checkpoint, or of a folder or a run with some, of which the newest whole one is meant. Raises
    Refused on every rank where there is none.
    """
    load = rank["checkpoint"]["load"]
    if not load:
        return None
    path = Path(load).expanduser().resolve()
    below = path / checkpoints.FOLDER

    def look(known: dict[Path, str]) -> Judged:
        if checkpoints.is_one(path, backend):
            why = known.get(path) or checkpoints.problem(path, backend)
            if why:
                raise Refused(f"{_KEY}: {path} is not complete: {why}")
            return Judged(Checkpoint(checkpoints.step_of(path, backend) or 0, path, finished=True), ())
        found = checkpoints.judged(below if below.is_dir() else path, backend, known)
        if found.whole is None:
            raise Refused(checkpoints.refusal(_KEY, path, found.passed))
        return found

    def settle(found: Judged) -> None:
        for passed in found.passed:
            _warn(f"{passed.checkpoint.path}: {passed.why}")

    return _agreed(look, settle, with_checksums(rank))


def retire(folder: Path, backend: str, keep: int) -> list[Path]:
    """What may be deleted now: all whole checkpoints but the newest `keep` (0: none), under names that are none's.

    So half of one is never taken for the whole, nor for one that was damaged; and what a killed rank has left of such
    a deletion is found again. Those that are not whole neither count nor go.
    """
    if not keep:
        return []
    finished = [one for one in checkpoints.there(folder, backend) if one.finished]
    whole = finished[:1] + [one for one in finished[1:] if checkpoints.problem(one.path, backend) is None]
    for one in whole[keep:]:
        with contextlib.suppress(OSError):  # a folder that is not to be changed: no reason to end a training
            one.path.rename(folder / f"{_REMOVED}{one.path.name}")
    return sorted(folder.glob(f"{_REMOVED}*"))


def with_checksums(rank: dict[str, Any]) -> bool:
    """Whether what is saved gets checksums, and what is loaded is compared with them."""
    return bool(rank["checkpoint"].get("checksums", True))  # not in rank.json before issue 7


def refuse_full_disk(error: BaseException, checkpoint: Path) -> None:
    """Raise Refused where a checkpoint could not be written because the disk, or somebody's share of it, is full."""
    cause: BaseException | None = error
    while cause is not None:
        why = next((os.strerror(number) for number in (ENOSPC, EDQUOT) if os.strerror(number) in str(cause)), None)
        if why:
            raise Refused(f"{checkpoint} cannot be written: {why}; those before it are as they were", UNFIT) from error
        cause = cause.__cause__ or cause.__context__


def _agreed(
    look: Callable[[dict[Path, str]], Judged], settle: Callable[[Judged], None], compares: bool
) -> Checkpoint | None:
    """What `look` finds at rank 0, at every rank, once each has found its share of it unchanged.

    `look` is told what is known to be wrong with some. `settle` is called at rank 0 with what it found in the end.
    """
    known: dict[Path, str] = {}
    asked: list[Checkpoint] = []

    def decide(answers: list[Any]) -> dict[str, Any]:
        if asked and (wrong := next((answer for answer in answers if answer), None)):
            known[asked[-1].path] = wrong
        try:
            found = look(known)
            if compares and found.whole and found.whole not in asked:
                asked.append(found.whole)
                return {"compare": str(found.whole.path)}
            settle(found)
        except Refused as refused:
            return {"refused": str(refused), "exit_code": refused.exit_code}
        return {"step": found.whole.step, "path": str(found.whole.path)} if found.whole else {}

    answer = gathering.agree(None, decide, _PATIENCE)
    while "compare" in answer:
        answer = gathering.agree(_changed(Path(answer["compare"])), decide, _PATIENCE)
    if "refused" in answer:
        raise Refused(answer["refused"], answer["exit_code"])
    return Checkpoint(answer["step"], Path(answer["path"]), finished=True) if answer else None


def _changed(checkpoint: Path) -> str | None:
    try:
        return manifest.changed(checkpoint, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    except ValueError as error:
        return str(error)


def _move_aside(checkpoint: Path) -> Path:
    """Its new place. Raises Refused where it cannot be moved, and would be written over in time."""
    aside = checkpoint.parent / checkpoints.PASSED_OVER
    target, number = aside / checkpoint.name, 1
    while target.exists():
        number += 1
        target = aside / f"{checkpoint.name}-{number}"
    try:
        aside.mkdir(exist_ok=True)
        checkpoint.rename(target)
    except OSError as error:
        raise Refused(f"{checkpoint} is not complete and cannot be moved to {aside}: {error}", UNFIT) from None
    return target


def _warn(what: str, target: Path | None = None) -> None:
    moved = f"; it is now {target}" if target else ""
    print(f"WARNING a checkpoint is passed over: {what}{moved}", flush=True)
