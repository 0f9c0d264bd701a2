"""What was saved gets its checksums, beside the training: a thread of each rank reads what it wrote once more.

From the memory of the node, as a rule, at 2 to 3 GB/s of one processor that is waiting for the device otherwise.
"""

import os
import queue
import threading
from pathlib import Path
from types import TracebackType

from primus.node import manifest

_LOOKS = 0.2  # seconds between two looks whether a checkpoint that is written beside the training is whole


class Saved:
    """`with Saved(marker) as saved`, around the training of every rank; `saved.note(folder)` after every save.

    `marker` is the file that tells that a checkpoint is whole. What cannot be written is said once, and no more.
    """

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self._rank, self._world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._notes: queue.Queue[Path] = queue.Queue()
        self._hurry = threading.Event()
        self._complained = False
        self._thread = threading.Thread(target=self._work, name="checksums", daemon=True)

    def __enter__(self) -> "Saved":
        self._thread.start()
        return self

    def note(self, checkpoint: Path) -> None:
        """Returns at once."""
        self._notes.put(checkpoint)

    def wait(self) -> None:
        """Before the next save, which may remove what is being read: seldom for long. What is not whole is let be."""
        self._hurry.set()
        self._notes.join()
        self._hurry.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Waits for what is left to be read, but not where the training has failed."""
        if kind is None:
            self.wait()

    def _work(self) -> None:
        while True:
            checkpoint = self._notes.get()
            if self._comes(checkpoint / self._marker):
                self._write(checkpoint)
            self._notes.task_done()

    def _comes(self, marker: Path) -> bool:
        while not marker.is_file():
            if self._hurry.wait(_LOOKS):
                return marker.is_file()
        return True

    def _write(self, checkpoint: Path) -> None:
        try:
            manifest.write(checkpoint, self._rank, self._world)
        except OSError as error:  # a full disk; or it was removed already, as the newest but `keep`
            if checkpoint.is_dir() and not self._complained:
                self._complained = True
                print(f"WARNING {checkpoint} has no checksums: {error}", flush=True)
