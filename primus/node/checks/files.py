"""Reading the kernel's small files, any of which may be missing."""

from pathlib import Path
from typing import Dict, List, Optional

from primus.node.digits import whole


def text(path: Path) -> str:
    """The content without space around it; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return ""


def number(path: Path) -> Optional[int]:
    """A whole number, decimal or `0x...`; None where there is none."""
    try:
        return int(text(path).split()[0], 0)
    except (ValueError, IndexError):
        return None


def below(directory: Path, pattern: str = "*") -> List[Path]:
    """What is in a directory, sorted; nothing where it is not there."""
    try:
        return sorted(directory.glob(pattern))
    except OSError:
        return []


def meminfo(root: Path) -> Dict[str, int]:
    """/proc/meminfo: bytes, and plain numbers for the counts of huge pages (proc(5))."""
    found = {}
    for line in text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and whole(words[0]):
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found
