"""The output of one rank: into whole lines, redacted, stamped, into its log and on to the console."""

import os
import time
from typing import Callable, Optional, Sequence

from primus.node import log

# A line longer than this is written in pieces; a prompt, when it has waited for its end.
_LONGEST_LINE = 64 << 10
# Seconds after which ordinary output shows that a traceback was not the rank's end: it was caught.
_SURVIVED = 5.0

Text = Callable[[bytes], bytes]
Show = Callable[[bytes], None]


class Output:
    """What one rank prints. `sign` is the time of the first line that told of its end; `error` its last exception."""

    def __init__(self, source: str, path: str, redact: Text, overlap: int, show: Optional[Show]) -> None:
        """`overlap`: how long a secret can be, so that none is cut in two where a long line is."""
        self.sign: Optional[float] = None
        self.error: Optional[str] = None
        self.log_error: Optional[OSError] = None
        self._source = source
        self._redact = redact
        self._overlap = overlap
        self._show = show
        self._tap: Optional[Show] = None
        self._closed = False
        self._pending = b""
        self._mid_line = False
        self._idle = False
        self._log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def feed(self, data: bytes, now: float) -> None:
        """More bytes, as they were read at `now` (seconds of clock.steady)."""
        self._idle = False
        text = self._pending + data
        # A carriage return ends a line too (progress bars), unless its newline may be yet to come.
        end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        self._pending = text[end:]
        if end:
            self._emit(text[:end], now)
        if len(self._pending) > _LONGEST_LINE + self._overlap:
            cut = len(self._pending) - self._overlap
            piece, self._pending = self._pending[:cut], self._pending[cut:]
            self._emit(piece, now)

    def tick(self, now: float) -> None:
        """To be called now and then: what has waited from one call to the next for the end of its line is written."""
        if self._idle and self._pending:
            piece, self._pending = self._pending, b""
            self._emit(piece, now)
        self._idle = True

    def close(self, now: float) -> None:
        """Nothing more comes: write what is left, and end its line."""
        if self._pending or self._mid_line:
            self._emit(self._pending + b"\n", now)
        self._pending = b""
        self._closed = True
        os.close(self._log)

    def note(self, lines: Sequence[str], now: float, level: str) -> None:
        """Lines of the agent's own about this rank, into its log alone."""
        if self._closed:
            return
        head, self._mid_line = b"\n" if self._mid_line else b"", False
        text = self._redact("\n".join(lines).encode(errors="replace")).decode(errors="replace")
        self._write(head + b"".join(log.line(line, now, self._source, level) for line in text.split("\n")))

    def tap(self, listener: Optional[Show]) -> None:
        """Let a listener have what the rank prints from now on, redacted, beside its log; None: no more."""
        self._tap = listener

    @property
    def tapped(self) -> bool:
        """Whether it has a listener."""
        return self._tap is not None

    def _emit(self, text: bytes, now: float) -> None:
        redacted = text = self._redact(text)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
            text = (text if self._mid_line else text.lstrip(b"\r")).replace(b"\r", b"\n")
        notable = log.notable(text)
        if notable:
            self._look(text, now)
        elif self.sign and now - self.sign > _SURVIVED:
            self.sign = self.error = None
        stamped, self._mid_line = log.stamped(text, time.time(), self._source, self._mid_line, not notable)
        self._write(stamped)
        if self._tap:
            self._tap(redacted)
        if self._show:
            self._show(redacted)

    def _look(self, text: bytes, now: float) -> None:
        if self.sign is None and log.fatal(text):
            self.sign = now
        self.error = log.last_exception(text) or self.error

    def _write(self, text: bytes) -> None:
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self._log, view) :]
        except OSError as error:  # a full disk: the job and the console go on
            self.log_error = error
