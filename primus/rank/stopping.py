"""Ranks that are asked to stop: all save after one and the same step, and end. Standard library alone.

`PRIMUS_STOP_FILE` names a file; that it is there asks for it. A thread of rank 0 looks for it, twice a second, and
tells the threads of the others through a store of the framework's own. The loops themselves ask nobody: a step pays for
one lock that is free.

Ranks need not be in the same step at any time (JAX's loop runs ahead of the device), and one that waits holds up those
that it owes a collective. So each thread says, without its loop, which step its loop has begun; the last of these
steps is the one that all save after. Until it is known, a loop waits only at the end of the step that its thread named:
every rank comes that far without those that wait.
"""

import math
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TypeVar

LOOKS = 0.5
"""Seconds between two looks for the file, and between two questions to the store whether another rank has seen it."""

_DECIDES = 0.02  # seconds between two questions once it has been seen
_ASKED, _STEP = "asked", "step"

_Answer = TypeVar("_Answer")


class Store(Protocol):
    """What all ranks of a job see. Used by a thread of its own: it must not wait for other users of the same store."""

    def __setitem__(self, name: str, value: str, /) -> None:
        """A name is given a value once."""

    def get(self, name: str, /) -> str | None:
        """The value, or None where there is none yet; never waits for it."""


class Stopping:
    """`with Stopping(store) as stopping`, around the loop of every rank; `stopping.after(step)` after every step.

    Without PRIMUS_STOP_FILE nothing is ever asked. A dictionary serves as the store of a rank that is alone.
    """

    def __init__(self, store: Store) -> None:
        self._path = os.environ.get("PRIMUS_STOP_FILE")
        self._rank, self._world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._store = store
        self._lock = threading.Lock()
        self._begun = 0  # the step that the loop is in; 0 before the end of its first
        self._named: int | None = None  # that step, as the others were told it
        self._step = math.inf  # to save after
        self._decided = threading.Event()
        self._over = threading.Event()  # the loop has come to its end: nobody need look any more
        self._failed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stopping", daemon=True)
        self.stopped = False

    def __enter__(self) -> "Stopping":
        if self._path:
            self._thread.start()
        return self

    def after(self, step: int) -> bool:
        """Whether to save and end now, after this step, counted from 1: the same answer on every rank."""
        with self._lock:
            waits = self._named is not None and step >= self._named
            self._begun = step + 1
        if waits:
            self._decided.wait()
            self.stopped = step >= self._step
        return self.stopped

    def saved(self, step: int) -> None:
        """Say so, once."""
        if self._rank == 0:
            print(f"INFO asked to stop: checkpoint of step {step} is saved", flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """The loop is done. Where it has failed, others may never answer: their agents end them."""
        self._over.set()
        if not self._path:
            return
        if kind is None:
            self._thread.join()
        else:
            self._failed.set()
            self._thread.join(timeout=2 * LOOKS)

    def _watch(self) -> None:
        try:
            asked = self._is_asked()
            self._name_step()  # also at the end of a loop: another may have been asked and wait for it
            if asked:
                self._step = self._agreed()
        except Exception as error:  # the store is that of rank 0, and went with it
            if not self._over.is_set():
                print(f"WARNING cannot be asked to stop any more: {error}", flush=True)
        self._decided.set()

    def _is_asked(self) -> bool:
        path = self._path
        assert path
        if self._rank:
            return _comes(lambda: self._store.get(_ASKED), LOOKS, self._over) is not None
        if not _comes(lambda: os.path.exists(path) or None, LOOKS, self._over):
            return False
        self._store[_ASKED] = "yes"
        return True

    def _name_step(self) -> None:
        with self._lock:
            self._named = self._begun
        self._store[str(self._rank)] = str(self._named)

    def _agreed(self) -> float:
        """Rank 0 takes the last of the steps that were named and tells it; infinity where the loop has failed."""
        if self._rank == 0:
            self._store[_STEP] = str(max(self._answer(str(rank)) for rank in range(self._world)))
        return self._answer(_STEP)

    def _answer(self, name: str) -> float:
        answer = _comes(lambda: self._store.get(name), _DECIDES, self._failed)
        return math.inf if answer is None else float(answer)


def _comes(question: Callable[[], _Answer | None], pause: float, end: threading.Event) -> _Answer | None:
    """Ask until there is an answer, or until the end."""
    while (answer := question()) is None:
        if end.wait(pause):
            return None
    return answer
