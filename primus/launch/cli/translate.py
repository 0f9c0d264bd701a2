"""From a command line of `primus-cli` to one of `primus`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from primus.launch.cli import experiment, grammar, home, settings, tasks
from primus.launch.cli.experiment import Experiment
from primus.launch.cli.flags import Given, flag, parse
from primus.launch.cli.grammar import Line
from primus.launch.cli.launchers import DEBUG, DRY_RUN, EXPERIMENT, REPLAY, STRICT
from primus.launch.cli.literal import override, typed
from primus.launch.cli.tasks import Task
from primus.launch.config.arguments import key_of
from primus.launch.problems import BadRequest


@dataclass(frozen=True)
class Translation:
    """The words of `primus`; what the user is to be told; what became of each key of the experiment file.

    `explain`: the command and that account are to be shown, too.
    """

    words: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    explain: bool = False


def translate(argv: Sequence[str], environ: Mapping[str, str]) -> Translation:
    """The same command for `primus`. Reads the files that it names, and nothing else. Raises BadRequest."""
    line = grammar.read(argv)
    task, rest = tasks.chosen(line.task)
    file = _experiment(line, rest, environ)
    where = f"{' '.join(line.task[: len(line.task) - len(rest)])}"
    parsed = parse(rest, [*tasks.flags_of(task), *(flag(f"--{name}") for name in file.options)], where)
    typed_flags = [*line.given, *parsed.given]
    own, framework = _typed(parsed.words, parsed.given, file, where)
    told = file.translate(framework)
    replay = [g.value for g in typed_flags if g.flag == REPLAY]
    defaults = _defaults(line, environ, [*told.overrides, *own], replay)
    given = [*defaults.given, *typed_flags]
    said = {g.flag.name for g in given}
    if STRICT.name in said and told.unknown:
        raise BadRequest(f"{file.path}: not understood, and --strict is given:\n  " + "\n  ".join(told.unknown))
    typed_words = [*_where(line, given, replay), *_what(task, given, replay), *settings.overrides(given), *own]
    kept = {key_of(word) for word in typed_words}
    from_file = [word for word in told.overrides if key_of(word) not in kept]
    options = ["-m"] if "--multirun" in said else []
    notes = dict.fromkeys(g.flag.note for g in given if g.flag.note)
    return Translation(
        (*options, *told.options, *from_file, *typed_words),
        (*(note for note in notes if note), *defaults.unknown, *(f"{file.path}: {text}" for text in told.unknown)),
        (*defaults.left, *told.account),
        bool(said & {DEBUG.name, DRY_RUN.name}),
    )


def _experiment(line: Line, rest: Sequence[str], environ: Mapping[str, str]) -> Experiment:
    """The file of `--config`, wherever that stands: its kind decides which names the task's flags may have."""
    before = [g.value for g in line.given if g.flag == EXPERIMENT]
    after = [rest[i + 1] for i, word in enumerate(rest[:-1]) if word in EXPERIMENT.names]
    after += [word.split("=", 1)[1] for word in rest if word.split("=", 1)[0] in EXPERIMENT.names and "=" in word]
    files = list(dict.fromkeys([*before, *after]))
    if len(files) > 1:
        raise BadRequest(f"--config: one experiment at a time, not {' and '.join(files)}")
    return experiment.load(Path(files[0]).expanduser(), environ) if files else experiment.none()


def _defaults(line: Line, environ: Mapping[str, str], stated: Sequence[str], replay: Sequence[str]) -> home.Defaults:
    """The user's own, below the experiment file and overrides (`stated`); a replay is what the run was."""
    if replay or not environ.get("HOME"):
        return home.Defaults()
    found = home.read(Path(environ["HOME"]), line)
    keys = {key_of(word) for word in stated}
    return replace(found, given=tuple(one for one in found.given if one.flag.key not in keys))


def _typed(
    words: Sequence[str], given: Iterable[Given], file: Experiment, where: str
) -> tuple[list[str], dict[str, Any]]:
    """Overrides by our names, and values by those of the framework that the experiment file is written for."""
    own: list[str] = []
    framework: dict[str, Any] = {
        g.flag.name[2:]: typed(g.value) for g in given if not g.flag.key and g.flag.name[2:] in file.options
    }
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and not word.startswith("~"):
            raise BadRequest(f"{where}: {word!r} is no flag and no override (key=value)")
        if key in file.options:
            framework[key] = typed(value)
        else:
            own.append(word)
    return own, framework


def _where(line: Line, given: Sequence[Given], replay: Sequence[str]) -> list[str]:
    words = [f"runtime={line.mode}"]
    named = any(g.flag.key == "container" for g in given)
    if line.mode == "slurm" and line.inside == "container" and not named:
        words.append("container=auto")
    elif line.inside == "direct" and replay:  # what the run had
        words.append("container=none")
    return words + (["runtime.detach=true"] if line.detached else [])


def _what(task: Task, given: Sequence[Given], replay: Sequence[str]) -> list[str]:
    if replay:  # choosing the task anew would give it the values of its YAML file, not those of the run
        return [override("replay", replay[-1])]
    stated = {g.flag.key for g in given}
    return [f"task={task.task}", *(override(k, v) for k, v in task.sets.items() if k not in stated)]
