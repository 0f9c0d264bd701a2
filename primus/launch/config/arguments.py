"""The command line before Hydra sees it: small, pure corrections of what people type."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch.problems import BadRequest
from primus.node.typed import closest

# Hydra 1.3's own options (hydra/_internal/utils.py, get_args_parser). Listed here so that a misspelt one is answered with
# the closest match, before Hydra is imported.
OPTIONS = (
    *("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"),
    *("--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
)
_TAKES_VALUE = {
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
    "--experimental-rerun",
}

# Values taken as they are, byte for byte: Hydra's grammar would read commas, quotes, braces and `$` in them.
_VERBATIM_PREFIX = "env.set."
# A comma in these is a list of ranks, never a sweep.
_NEVER_SWEPT = {"console.ranks"}


@dataclass(frozen=True)
class Arguments:
    """A command line: Hydra's own options, the overrides, and what the user should be told about them."""

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def argv(self) -> list[str]:
        """What Hydra's parser is given."""
        return [*self.options, *self.overrides]

    @property
    def config_dirs(self) -> list[str]:
        """Directories of the user's own configs (`--config-dir`)."""
        pairs = zip(self.options, self.options[1:], strict=False)
        return [value for option, value in pairs if option in ("--config-dir", "-cd")]

    def value(self, key: str) -> str | None:
        """The text of a plain `key=value` override, if there is one."""
        return next((o.split("=", 1)[1] for o in reversed(self.overrides) if o.split("=", 1)[0] == key), None)

    def without(self, *keys: str) -> "Arguments":
        """The same command line less the overrides of these keys."""
        return Arguments(self.options, tuple(o for o in self.overrides if key_of(o) not in keys), self.warnings)


def tidy(argv: Sequence[str]) -> Arguments:
    """Read a command line. Raises BadRequest for an option that there is not, or a word that is no override."""
    options, words = _split(argv)
    multirun = bool({"-m", "--multirun"} & set(options))
    words = [_verbatim(w, multirun) for w in words]
    kept, warnings = _last_wins(words)
    return Arguments(tuple(options), tuple(kept), tuple(warnings))


def key_of(override: str) -> str:
    """The key of an override without Hydra's `+`, `++` and `~`: `task.steps` of `++task.steps=3`."""
    return override.split("=", 1)[0].lstrip("+~")


def quoted(value: str) -> str:
    """`value` as a quoted string of Hydra's override grammar that means exactly these characters."""
    value = re.sub(r"(\\*)\$\{", lambda m: m.group(1) * 2 + r"\${", value)  # no interpolation
    value = re.sub(r"(\\+)(?='|$)", lambda m: m.group(1) * 2, value)
    return "'" + value.replace("'", r"\'") + "'"


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    options: list[str] = []
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise BadRequest(f"There is no option {name}.{closest(name, OPTIONS)} `primus --help` shows what there is.")
        options += [name, value] if equals else [name]
        if not equals and (name in _TAKES_VALUE or (name in ("--info", "-i") and rest and rest[0] in _INFO)):
            if not rest:
                raise BadRequest(f"The option {name} needs a value after it.")
            options.append(rest.pop(0))
    return options, words


_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def _verbatim(word: str, multirun: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        return word
    if key in _NEVER_SWEPT and value[:1] not in ("'", '"', "["):
        return f"{key}={quoted(value)}"
    if key.lstrip("+").startswith(_VERBATIM_PREFIX) and not multirun:
        return f"++{key.lstrip('+')}={quoted(value)}"  # `++`: a new name and an existing one alike
    if key.startswith(_VERBATIM_PREFIX):
        return f"++{word}"
    return word


def _last_wins(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of two overrides of one key the later counts, and the user is told."""
    last: dict[str, str] = {}
    warnings = []
    for word in words:
        key = word.split("=", 1)[0]
        if key in last and last[key] != word:
            warnings.append(f"{key_of(word)} is given twice: {last.pop(key)}, then {word}. The last one counts.")
        last.pop(key, None)
        last[key] = word
    return list(last.values()), warnings
