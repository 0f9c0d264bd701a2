"""Hooks and patches of a recorded run are programs, and may be a stranger's: run only where they are those of this
machine, or where the user, who has seen what differs, says so.
"""

import difflib
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from primus.launch import handle, plugins
from primus.launch.hooks import file, named
from primus.launch.problems import BadRequest
from primus.launch.replaying.original import Original
from primus.node.plan import Hook, Patch, Plan

_SHOWN = 40
"""Lines of a difference that are shown where a file has the whole text, which is told; else all are."""
_WIDE = 160
"""Characters of a line that stand beside each other; the rest is on lines of its own: nothing of a line is hidden."""


@dataclass(frozen=True)
class Foreign:
    """A recorded hook or patch that this machine has not so: its text, and the file here that it differs from.

    `recorded`: the run's copy, where it has that text; what runs is the text, whatever such a file says.
    """

    what: str
    origin: str
    text: str
    here: Path | None
    recorded: Path | None

    def __str__(self) -> str:
        now = f"differs from {self.here}" if self.here else "is not here"
        return visible(f"{self.what}, recorded from {self.origin or 'no file'}, {now}")


def ask(original: Original | None, plans: Sequence[Plan], trusted: bool, directory: Path) -> None:
    """Show what the plans are to run of the record that this machine, where the user stands in `directory`, has not so.

    Then ask at a terminal. Raises BadRequest where the user does not agree, or cannot be asked; `trusted`: agreed.
    """
    found = differing(original, plans, directory)
    if not found or original is None:
        return
    for one in found:
        print("\n".join([f"primus: {one}:", *(f"  {line}" for line in _changes(one))]), file=sys.stderr)
    if trusted or (_at_terminal() and _agreed(len(found))):
        return
    raise BadRequest(
        f"{original.purpose} of {original.run.where}: it would run {_count(len(found))} that this machine has not so, "
        "shown above. Nothing was started. To run them as recorded: replay_trust=true; to run those of this machine: "
        "hooks.enabled=true; to run none: hooks.enabled=false patches=[]"
    )


def differing(original: Original | None, plans: Sequence[Plan], directory: Path) -> list[Foreign]:
    """Every hook and patch of a recorded run that some plan has, and that is not one of this machine.

    A run of the user's own that goes on (`resume=`) goes on with what it began with.
    """
    if original is None:
        return []
    recorded = original.run.plan
    texts = {f.path: f.text for f in recorded.files}
    ours = handle.made_here(original.run.directory) if original.run.directory else False
    if ours and original.purpose == "resume":
        return []
    local, found = _Local(directory, ours), {}
    for hook in dict.fromkeys(hook for plan in plans for hook in plan.hooks if hook in recorded.hooks):
        if not local.has(hook):
            text, nearest = texts.get(hook.file, ""), local.nearest(hook)
            found[hook.file] = Foreign(_named(hook), hook.origin, text, nearest, _copy(original, hook.file, text))
    for patch in dict.fromkeys(patch for plan in plans for patch in plan.patches if patch in recorded.patches):
        if patch.file and not local.applies(patch):
            text, here = texts.get(patch.file, ""), local.patch_file(patch.name)
            copy = _copy(original, patch.file, text)
            found[patch.file] = Foreign(f"patch {patch.name}", patch.name, text, here, copy)
    return list(found.values())


def _copy(original: Original, file: str, text: str) -> Path | None:
    """The file of the run that holds a text; None where there is none, or it says something else than what runs."""
    try:
        path = original.run.directory / file if original.run.directory else None
        return path if path and path.is_file() and path.read_bytes() == text.encode() else None
    except (OSError, ValueError):
        return None


class _Local:
    """The hooks and patches of this machine: Primus's own, of plugins, and of the directory that the user stands in.

    `ours`: the run was begun by this user, so that the files that it names are to be believed to be the user's too.
    """

    def __init__(self, directory: Path, ours: bool) -> None:
        self._directory, self._ours = directory, ours
        self._known: Mapping[str, Sequence[Path]] | None = None

    def has(self, hook: Hook) -> bool:
        """Whether a file here is this hook: by its text, and by when it says itself that it runs."""
        for path in (*self._by_text().get(hook.sha256, ()), *self._origin(hook)):
            try:
                text = path.read_text(encoding="utf-8")
                how = file.ways(text, str(path))
            except (OSError, ValueError, BadRequest):
                continue
            if _digest(text) == hook.sha256 and hook.phase in how.phases and hook.call == how.call:
                return True
        return False

    def applies(self, patch: Patch) -> bool:
        """Whether a patch of this name and text is declared here."""
        path = self.patch_file(patch.name)
        return path is not None and _digest(path.read_text(encoding="utf-8")) == patch.sha256

    def patch_file(self, name: str) -> Path | None:
        """The file of a named patch; None where none of that name is declared here."""
        folder, entry = named.declared().get(name, (None, None))
        return folder / entry.file if folder and entry else None

    def nearest(self, hook: Hook) -> Path | None:
        """The file here that a recorded hook is probably another version of."""
        name = Path(hook.origin).name
        alike = [path for paths in self._by_text().values() for path in paths if path.name == name]
        return next((path for path in (*self._origin(hook), *alike)), None)

    def _origin(self, hook: Hook) -> Iterator[Path]:
        if hook.patch and not os.path.isabs(hook.name) and ".." not in Path(hook.name).parts:
            yield from (path for path in [self._directory / hook.name] if path.is_file())
        if self._ours:
            yield from (path for path in [Path(hook.origin)] if path.is_file())

    def _by_text(self) -> Mapping[str, Sequence[Path]]:
        if self._known is None:
            known: dict[str, list[Path]] = {}
            for path in self._files():
                known.setdefault(_digest(path.read_text(encoding="utf-8", errors="replace")), []).append(path)
            self._known = known
        return self._known

    def _files(self) -> Iterator[Path]:
        from primus.launch.place import code

        shipped = Path(__file__).resolve().parents[2] / "node/hooks/shipped"
        roots = dict.fromkeys((Path(code(self._directory).directory), self._directory))
        for folder in (shipped, *plugins.directories("hooks"), *(root / "hooks" for root in roots)):
            yield from (path for path in sorted(folder.rglob("*")) if path.suffix in (".sh", ".py") and path.is_file())


def visible(text: str) -> str:
    """Text of a stranger's as it may be shown: nothing in it moves the cursor, clears or colours the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def _changes(one: Foreign) -> list[str]:
    """The difference as `diff -u` has it; the text itself where there is nothing to compare it with."""
    here = one.here.read_text(encoding="utf-8", errors="replace") if one.here else ""
    lines = difflib.unified_diff(_lines(here), _lines(one.text), str(one.here or "here"), "recorded", "", "")
    rows = [row for line in lines for row in _wrapped(visible(line.rstrip("\n")))]
    if len(rows) <= _SHOWN or one.recorded is None:
        return rows
    return [*rows[:_SHOWN], f"... {len(rows) - _SHOWN} lines more: {visible(str(one.recorded))} is the whole text"]


def _lines(text: str) -> list[str]:
    """Lines as a shell and Python tell them apart: of other line breaks, which are shown, none ends a comment."""
    return text.removesuffix("\n").split("\n") if text else []


def _wrapped(line: str) -> list[str]:
    """A long line as several, each but the first begun by its mark."""
    return [line[:_WIDE], *(f"  > {line[n : n + _WIDE]}" for n in range(_WIDE, len(line), _WIDE))]


def _named(hook: Hook) -> str:
    return f"{'patch file' if hook.patch else 'hook'} {hook.name} ({hook.phase} the ranks)"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _count(number: int) -> str:
    return f"{number} hook{'s' if number > 1 else ''} or patch{'es' if number > 1 else ''}"


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _agreed(number: int) -> bool:
    print(f"Run {'it' if number == 1 else f'these {number}'} as recorded? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
