"""The command line before Hydra sees it: small, pure corrections of what people type."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from primus.launch.problems import BadRequest
from primus.node.typed import closest

# Hydra 1.3's own options (hydra/_internal/utils.py, get_args_parser). Listed here so that a misspelt one is answered
# with the closest match, before Hydra is imported.
OPTIONS = (
    *("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"),
    *("--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
)
_TAKES_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    "--experimental-rerun",
)
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_CHOICES = {"--cfg": _CFG, "-c": _CFG, "--info": _INFO, "-i": _INFO}

# Values taken as they are, byte for byte: Hydra's grammar would read commas, quotes, braces and `$` in them.
VERBATIM_PREFIX = "env.set."
# Options of a framework: whether there is such a key is known to the ranks alone.
_FRAMEWORKS_OWN = "backend.args."
# Mappings whose keys the user makes up.
_OPEN = ("env.set", "runtime.options")
# Text, unless it starts like a list or a quoted string: a comma in it is no sweep, a number in it no number.
_PLAIN_TEXT = {"console.ranks", "run", "task.command"}
# What sbatch takes; commas in it are Slurm's own. A sweep over it there is none: one array, one set of options.
_SLURMS = tuple(
    f"runtime.{key}"
    for key in (
        *("time", "nodelist", "exclude", "constraint", "dependency", "gpus_per_node", "mem"),
        *("partition", "qos", "account", "reservation"),
    )
)
_SLURMS_OPTIONS = "runtime.options."
_NO_TEXT = ("null", "true", "false")


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
    kept, warnings = _last_wins(words)
    return Arguments(tuple(options), tuple(_verbatim(w, multirun) for w in kept), tuple(warnings))


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
        _check_text(word)
        if word.startswith("-"):
            options += _option(word, rest)
        else:
            words.append(word)
    return options, words


def _check_text(word: str) -> None:
    """The plan is UTF-8 text: bytes that are none (surrogates, in Python) would break it half way."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{key_of(word)!a}: its value is no valid UTF-8") from None


def _option(word: str, rest: list[str]) -> list[str]:
    """An option and its value, which is taken off `rest` where it stands there."""
    name, equals, value = word.partition("=")
    if name not in OPTIONS:
        raise BadRequest(f"There is no option {name}.{closest(name, OPTIONS)} `primus --help` shows what there is.")
    if name in ("--info", "-i") and not equals:
        value = rest.pop(0) if rest and rest[0] in _INFO else "all"  # else Hydra would take an override for its value
    elif name in _TAKES_VALUE and not equals:
        if not rest:
            raise BadRequest(f"The option {name} needs a value after it.")
        value = rest.pop(0)
    elif name not in (*_TAKES_VALUE, *_CHOICES):
        if equals:
            raise BadRequest(f"The option {name} takes no value: {word}")
        return [name]
    choices = _CHOICES.get(name, (value,))
    if value not in choices:
        raise BadRequest(f"{name} {value}: not among {', '.join(choices)}.{closest(value, choices)}")
    return [name, value]


def _verbatim(word: str, multirun: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        return word
    if is_text(key.lstrip("+"), value):
        word = f"{key}={quoted(value)}"
    if _is_verbatim(key) and not multirun:
        return f"++{key.lstrip('+')}={quoted(value)}"  # `++`: a new name and an existing one alike
    if key in _OPEN or key.startswith((VERBATIM_PREFIX, _FRAMEWORKS_OWN, *(f"{name}." for name in _OPEN))):
        return f"++{word}"
    return word


def is_text(key: str, value: str) -> bool:
    """Whether a value is text as it stands. What sbatch takes may be a reference or, as `exclusive=true`, none."""
    if key in _PLAIN_TEXT:
        return value[:1] not in ("'", '"', "[")
    slurms = key in _SLURMS or key.startswith(_SLURMS_OPTIONS)
    return slurms and value[:1] not in ("'", '"', "[", "{") and value.lower() not in _NO_TEXT and "${" not in value


def _is_verbatim(key: str) -> bool:
    return key.lstrip("+").startswith(VERBATIM_PREFIX)


def _last_wins(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of two overrides of one key the later counts, and the user is told."""
    last: dict[str, str] = {}
    warnings = []
    for word in words:
        key = word.split("=", 1)[0]
        if key in last and last[key] != word:
            from primus.launch.confidential import redacted_override  # which imports this module

            shown = f": {redacted_override(last[key])}, then {redacted_override(word)}"
            both = "" if _is_verbatim(key) else shown  # a variable's value may be a secret under any name
            warnings.append(f"{key_of(word)} is given twice{both}. The last one counts.")
        last.pop(key, None)
        last[key] = word
    return list(last.values()), warnings
