"""What a hook asks for, by lines of its output, and what becomes of it. Pure.

env.NAME=value          a variable of the ranks
extra.a.b=value         an argument of the framework, or of the program of task=command
artifact.name=path      a file to be kept with the run
"""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node.plan import TYPED, WORKERS, Layer, Plan, Variable
from primus.node.secrets import MASK, is_secret

_LINE = re.compile(r"(env|extra|artifact)\.([A-Za-z_][\w.-]*)=(.*)")
_NAME = re.compile(r"[A-Za-z_]\w*")

EXTRA = "PRIMUS_EXTRA"
"""The variable with the arguments that hooks ask for, as JSON with each its hook, for a framework."""

# The agent's own: what defines a rank, and where its run is.
_DEFINED = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("PRIMUS_RUN_DIR", "PRIMUS_RUN_ID", "PRIMUS_METRICS", "PRIMUS_STOP_FILE", "PRIMUS_HEARTBEAT", EXTRA),
)

# Layers of a plan that come above hooks, and those that are the user's own word; so is a variable that he typed.
_ABOVE = ("shell", "user")
_USERS = ("network", *_ABOVE)


@dataclass(frozen=True)
class Told:
    """What one hook asked for; `position` is its place in the plan, which says who wins."""

    position: int
    hook: str
    environment: Dict[str, str] = field(default_factory=dict)
    arguments: Dict[str, str] = field(default_factory=dict)
    artifacts: Dict[str, str] = field(default_factory=dict)

    def line(self, text: str) -> "Told":
        """This and what one line of output asks for, if anything. Raises ValueError for what no hook may ask for."""
        match = _LINE.fullmatch(text)
        if not match:
            return self
        kind, name, value = match.groups()
        if kind == "env":
            if not _NAME.fullmatch(name) or name in _DEFINED:
                raise ValueError(f"env.{name} is not for a hook to set")
            return replace(self, environment={**self.environment, name: value})
        if kind == "extra":
            if is_secret(name.rpartition(".")[2]):
                raise ValueError(
                    f"extra.{name}: a secret is no argument, which every process list shows; use env.NAME="
                )
            return replace(self, arguments={**self.arguments, name: value})
        return replace(self, artifacts={**self.artifacts, name: value})


@dataclass(frozen=True)
class Refusal:
    """Something that a hook asked for and does not get, and why."""

    hook: str
    what: str
    why: str


def masked(text: str) -> str:
    """A line of output as it may be logged: a variable that is secret by its name without its value."""
    match = _LINE.fullmatch(text)
    return f"env.{match[2]}={MASK}" if match and match[1] == "env" and is_secret(match[2]) else text


def secrets(told: Sequence[Told]) -> List[str]:
    """Values that hooks gave to variables that are secret by their names."""
    return [value for one in told for name, value in one.environment.items() if is_secret(name)]


def applied(plan: Plan, told: Sequence[Told]) -> Tuple[Plan, Tuple[Refusal, ...]]:
    """The plan with what its hooks asked for, and what they do not get since the user has said otherwise.

    Variables come below the user's shell and `env.set`, above everything else but what he typed; later hooks win over
    earlier ones.
    """
    told = sorted(told, key=lambda one: one.position)
    refused = [refusal for one in told for refusal in _beaten(plan, one)]
    kept = {v.name for layer in plan.environment if layer.name not in _ABOVE for v in _of_the_user(layer)}
    taken, beaten = _arguments(plan, told)
    refused += beaten
    layers = [_layer(one, kept) for one in told if set(one.environment) - kept]
    job = plan.job
    if taken and of_framework(plan):
        asked = {name: {"value": _value(text), "hook": hook} for name, (text, hook) in taken.items()}
        layers.append(Layer("hooks", (Variable(EXTRA, json.dumps(asked), "hooks"),)))
    elif taken:
        words = tuple(f"--{name}={text}" for name, (text, _) in taken.items())
        job = replace(job, command=(*job.command, *words))
    at = next((i for i, layer in enumerate(plan.environment) if layer.name in _ABOVE), len(plan.environment))
    environment = (*plan.environment[:at], *layers, *plan.environment[at:])
    return replace(plan, job=job, environment=environment), tuple(refused)


def of_framework(plan: Plan) -> bool:
    """Whether the ranks are those of a framework, which Primus starts, and no program of the user's."""
    return WORKERS in plan.job.command


def _layer(told: Told, kept: Collection[str]) -> Layer:
    """What a hook sets, less what the user has set below it."""
    variables = (Variable(n, v, f"hook {told.hook}") for n, v in told.environment.items() if n not in kept)
    return Layer("hooks", tuple(variables))


def _of_the_user(layer: Layer) -> Sequence[Variable]:
    """The variables of a layer that are the user's own word: in his shell, or on his command line."""
    return [v for v in layer.variables if layer.name in _USERS or v.origin.startswith(TYPED)]


def _beaten(plan: Plan, told: Told) -> List[Refusal]:
    """The variables that the user has set otherwise."""
    own = {variable.name: variable for layer in plan.environment for variable in _of_the_user(layer)}
    found = []
    for name, value in told.environment.items():
        if name in own and own[name].value != value:
            shown = MASK if own[name].value is None or is_secret(name) else own[name].value
            found.append(Refusal(told.hook, f"env.{name}", f"{own[name].origin} says {shown}"))
    return found


def _arguments(plan: Plan, told: Sequence[Told]) -> Tuple[Dict[str, Tuple[str, str]], List[Refusal]]:
    """Each argument with the hook that wins, and those that the user has set already."""
    own = _arguments_of_the_user(plan)
    taken: Dict[str, Tuple[str, str]] = {}
    refused = []
    for one in told:
        for name, text in one.arguments.items():
            names = [name, *(inner for inner, _ in flat({name: _value(text)}))]  # training={"steps": 3}
            said = next((own[_key(n)] for n in names if _key(n) in own), None)
            if said:
                refused.append(Refusal(one.hook, f"extra.{name}", f"the user's own is {said}"))
            else:
                taken[name] = (text, one.hook)
    return taken, refused


def _arguments_of_the_user(plan: Plan) -> Dict[str, str]:
    """What the user has set already, by comparable names: in neutral terms or by `backend.args`, or options of his own
    program."""
    if of_framework(plan):
        backend = plan.config.get("backend") or {}
        decided = {_key(name): word for name, word in plan.decided.items()}
        return {**decided, **{_key(n): f"backend.args.{n}={value}" for n, value in flat(backend.get("args") or {})}}
    words = [word for word in plan.job.command if word.startswith("-")]
    return {_key(word.partition("=")[0]): word for word in words}


def flat(arguments: Mapping[str, Any], prefix: str = "") -> List[Tuple[str, Any]]:
    """Values by dotted names."""
    found: List[Tuple[str, Any]] = []
    for name, value in arguments.items():
        found += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _value(text: str) -> Any:
    """A number, true, false or null as YAML would have it; anything else is text."""
    try:
        return json.loads(text.lower() if text in ("True", "False", "None") else text)
    except ValueError:
        return text


def last_words(lines: Sequence[str]) -> Optional[str]:
    """The last line that says anything, for a message about the end of a hook."""
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
