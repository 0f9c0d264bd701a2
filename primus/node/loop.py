"""One thread that waits for files, signals and times, and calls what was asked for."""

import heapq
import itertools
import os
import selectors
import signal
import time
from typing import Any, Callable, Iterable, List, Tuple

Callback = Callable[[], None]


class Loop:
    """File descriptors, timers and signals of one process. Callbacks run one at a time, in `turn`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: List[Tuple[float, int, Callback]] = []
        self._order = itertools.count()
        self._wake_up: Tuple[int, ...] = ()

    def on_readable(self, fd: int, callback: Callback) -> None:
        """Call when `fd` has something to read, or has ended."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def on_writable(self, fd: int, callback: Callback) -> None:
        """Call when `fd` takes more."""
        self._selector.register(fd, selectors.EVENT_WRITE, callback)

    def forget(self, fd: int) -> None:
        """No more calls for `fd`; to be called before it is closed."""
        self._selector.unregister(fd)

    def after(self, seconds: float, callback: Callback) -> None:
        """Call once, that many seconds from now."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def every(self, seconds: float, callback: Callback) -> Callback:
        """Call again and again with that many seconds in between, until what this returns is called."""
        ended = False

        def again() -> None:
            if not ended:
                callback()
                self.after(seconds, again)

        def end() -> None:
            nonlocal ended
            ended = True

        self.after(seconds, again)
        return end

    def on_signals(self, signums: Iterable[int], callback: Callable[[int], None]) -> None:
        """Call with the number of each of these signals that arrives; to be called once, in the main thread."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

        def deliver() -> None:
            for signum in os.read(reading, 4096):
                callback(signum)

        self._wake_up = reading, writing
        self.on_readable(reading, deliver)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for signum in signums:
            signal.signal(signum, _wake)

    def close(self) -> None:
        """No more turns, nor files that are held open: in one process one loop may follow another."""
        if self._wake_up:
            signal.set_wakeup_fd(-1)
            for fd in self._wake_up:
                os.close(fd)
            self._wake_up = ()
        self._selector.close()
        self._timers.clear()

    def turn(self) -> None:
        """Wait for the next thing to happen, and call what it concerns."""
        timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _ in self._selector.select(timeout):
            if self._selector.get_map().get(key.fd) is key:  # else a callback before this one forgot it
                key.data()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()


def _wake(signum: int, frame: Any) -> None:
    """A handler of Python's must exist for the wake-up byte to be written."""
