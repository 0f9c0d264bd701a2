"""Lines of a log: `2026-11-21T09:08:01.123 INFO  host r0 | text`, in local time, the level guessed from the text."""

import re
import time
from typing import Optional, Tuple

# torch puts `[rank3]: ` before every line of an uncaught exception.
_RANK = rb"(?:\[rank\d+\]:\s?)?"
_EXCEPTION = _RANK + rb"(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception)(?::|$)"
_ERROR = re.compile(
    rb"\b(?:ERROR|CRITICAL|FATAL)\b|\bFatal\b|Traceback \(most recent call last\)|Segmentation fault|"
    + rb"^" + _RANK + rb"\[[EF]\d{3,4} |"  # glog, as in torch's C++: [E1121 09:08:01.123 ProcessGroupNCCL.cpp:616]
    + rb"^" + _EXCEPTION
)  # fmt: skip
_WARNING = re.compile(rb"\bWARN(?:ING)?\b|\b\w*Warning:|^" + _RANK + rb"\[W\d{3,4} ")
_DEBUG = re.compile(rb"\bDEBUG\b")
# Every line that one of these patterns matches holds one of these; most output holds none and is stamped in one go.
_WORDS = (b"Error", b"ERROR", b"Exception", b"Fatal", b"FATAL", b"CRITICAL", b"Traceback", b"Segmentation",
          b"CUDA error", b"terminate called", b"WARN", b"Warning", b"DEBUG", b"[E", b"[F", b"[W")  # fmt: skip
_WORD = re.compile(b"|".join(re.escape(word) for word in _WORDS))

_FATAL = re.compile(
    rb"Traceback \(most recent call last\)|Fatal Python error|Segmentation fault|terminate called|FATAL|CUDA error"
)
_EXCEPTION_LINE = re.compile(rb"^" + _EXCEPTION + rb".*", re.MULTILINE)
_LONGEST_ERROR = 500


def level(line: bytes) -> str:
    """ERROR, WARN, DEBUG or INFO, by the words of one line."""
    if not _WORD.search(line):
        return "INFO"
    if _ERROR.search(line):
        return "ERROR"
    if _WARNING.search(line):
        return "WARN"
    return "DEBUG" if _DEBUG.search(line) else "INFO"


def fatal(text: bytes) -> bool:
    """Whether the text holds a first sign of a process that is about to end: a traceback, a fatal error."""
    return _FATAL.search(text) is not None


def last_exception(text: bytes) -> Optional[str]:
    """The last line like `ValueError: what was wrong` in the text, without torch's rank prefix."""
    found = _EXCEPTION_LINE.findall(text)
    if not found:
        return None
    line: bytes = re.sub(rb"^" + _RANK, b"", found[-1][:_LONGEST_ERROR])
    return line.decode(errors="replace").strip()


def notable(text: bytes) -> bool:
    """Whether any line of the text may be other than INFO."""
    return any(word in text for word in _WORDS)


def timestamp(now: float) -> str:
    """`2026-11-21T09:08:01.123`, local time, from seconds since the epoch."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"


def stamped(text: bytes, now: float, source: str, mid_line: bool, plain: bool) -> Tuple[bytes, bool]:
    """Output with a prefix on each line, and whether it ends within a line; `mid_line`: it also begins within one.

    `plain`: every line is INFO, which the caller knows from `notable`.
    """
    head = timestamp(now)
    open_ended = not text.endswith(b"\n")
    body = text if open_ended else text[:-1]
    if not plain:
        lines = body.split(b"\n")
        prefixes = [f"{head} {level(line):<5} {source} | ".encode() for line in lines]
        if mid_line:
            prefixes[0] = b""
        body = b"\n".join([prefix + line for prefix, line in zip(prefixes, lines)])
    else:
        prefix = f"{head} INFO  {source} | ".encode()
        body = (b"" if mid_line else prefix) + body.replace(b"\n", b"\n" + prefix)
    return (body if open_ended else body + b"\n"), open_ended


def line(text: str, now: float, source: str, name: str = "INFO") -> bytes:
    """One whole line of Primus's own."""
    return f"{timestamp(now)} {name:<5} {source} | {text}\n".encode(errors="replace")
