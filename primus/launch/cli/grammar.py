"""The parts of a command line of `primus-cli`:

[global flags] direct|container|slurm [srun|sbatch] [flags] [-- container|direct [flags]] -- task [flags, k=v]
"""

from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch.cli.flags import Flag, Given, flag, parse
from primus.launch.cli.launchers import CONTAINER, DEBUG, DIRECT, DRY_RUN, EXPERIMENT, SLURM, STRICT
from primus.launch.problems import BadRequest
from primus.node.typed import closest

MODES = {"direct": DIRECT, "container": CONTAINER, "slurm": SLURM}
_PARTS = {
    "slurm": (
        ("what runs on the nodes", "slurm … -- direct ", DIRECT),
        ("the container on the nodes", "slurm … -- container ", CONTAINER),
    ),
    "direct": (("a container", "container ", CONTAINER),),
}
"""By mode: the other parts whose flags people give there, and how those begin."""
SCHEDULERS = ("srun", "sbatch")
GLOBAL = (EXPERIMENT, DEBUG, DRY_RUN, STRICT)
SHAPE = "primus-cli [--config F] [--debug] [--dry-run] direct|container|slurm [srun|sbatch] [flags] -- task [flags]"


@dataclass(frozen=True)
class Line:
    """A command line, taken apart. `inside` is what runs on the nodes of `slurm`; `task` are the words after `--`."""

    mode: str
    inside: str
    detached: bool
    given: tuple[Given, ...]
    task: tuple[str, ...]


def read(argv: Sequence[str]) -> Line:
    """Take a command line apart. Raises BadRequest for a flag, a mode or a shape that there is not."""
    parts = _parts(argv)
    first = parts.pop(0)
    at = _mode_at(first)
    given = list(parse(first[:at], GLOBAL, "before the mode").given)
    mode, inside, detached = first[at], first[at], False
    found = parse(first[at + 1 :], (*MODES[mode], *_elsewhere(mode)), mode)
    given += found.given
    words = list(found.words)
    if mode == "slurm":
        inside = "direct"
        detached = words[:1] == ["sbatch"]
        words = words[1:] if words[:1] and words[0] in SCHEDULERS else words
        if parts and parts[0][:1] and parts[0][0] in ("container", "direct"):
            inside, *flags = parts.pop(0)
            layer = parse(flags, (*MODES[inside], *_elsewhere(inside)), f"{mode} -- {inside}")
            given += layer.given
            words += layer.words
    if words:
        choices = SCHEDULERS if mode == "slurm" else ()
        raise BadRequest(
            f"{mode}: {words[0]!r} stands where flags do.{closest(words[0], choices)} "
            f"The task comes after `--`: {SHAPE}"
        )
    task = [word for number, part in enumerate(parts) for word in (["--"] if number else []) + part]
    if not task:
        raise BadRequest(f"{mode}: there is no task after `--`: {SHAPE}")
    return Line(mode, inside, detached, tuple(given), tuple(task))


def _elsewhere(mode: str) -> list[Flag]:
    """Flags of other parts of the line, refused with where they belong."""
    own = {name for f in MODES[mode] for name in f.names}
    return [
        flag(name, instead=one.instead or f"it belongs to {part}: {before}{name} … -- task")
        for part, before, flags in _PARTS.get(mode, ())
        for one in flags
        for name in one.names
        if name.startswith("--") and name not in own
    ]


def _parts(argv: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in argv:
        if word == "--":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _mode_at(words: Sequence[str]) -> int:
    """Where the mode stands. Raises BadRequest where none does."""
    takes = {name for f in GLOBAL if f.takes != "nothing" for name in f.names}
    skip = False
    for at, word in enumerate(words):
        if skip or word.startswith("-"):
            skip = not skip and word in takes
            continue
        if word not in MODES:
            raise BadRequest(f"{word!r} is none of {', '.join(MODES)}.{closest(word, MODES)} {SHAPE}")
        return at
    raise BadRequest(f"say where it runs: {SHAPE}")


def names(flags: Sequence[Flag]) -> list[str]:
    """How flags are spelt, for help."""
    return [", ".join(f.names) for f in flags if not f.instead]
