"""What a hook says of itself, read without running it: when it runs, where, for how long.

In any file by a comment, `# primus-hook: when=after once timeout=60`; in a Python file with a class that derives from
primus.node.hooks.spec.Hooks by the methods of that class, and by its `once` and `timeout`.
"""

import ast
import re
from dataclasses import dataclass

from primus.launch.hooks import secrets
from primus.launch.problems import BadRequest
from primus.node.typed import closest

_DIRECTIVE = re.compile(r"^#\s*primus-hook:\s*(.*)$", re.MULTILINE)
_METHODS = {"before_task": "before", "after_task": "after"}
_WORDS = ("when=before", "when=after", "when=both", "once", "timeout=SECONDS")


@dataclass(frozen=True)
class Ways:
    """The phases in which a file runs, whether once for the whole job, its time limit in seconds, its class if any."""

    phases: tuple[str, ...]
    once: bool
    timeout: float | None
    call: str = ""


def ways(text: str, shown: str) -> Ways:
    """What the file says of itself; `shown` names it in messages. Raises BadRequest for words that it cannot mean."""
    own = _of_class(text, shown) if shown.endswith(".py") else None
    secrets.refuse(text, shown)
    if own:
        return own
    directive = _DIRECTIVE.search(text)
    phases: tuple[str, ...] = ("before",)
    once, timeout = False, None
    for word in directive.group(1).split() if directive else ():
        key, _, value = word.partition("=")
        if key == "when" and value in ("before", "after", "both"):
            phases = ("before", "after") if value == "both" else (value,)
        elif word == "once":
            once = True
        elif key == "timeout" and _number(value):
            timeout = float(value)
        else:
            near = closest(word, _WORDS)
            raise BadRequest(f"{shown}: primus-hook: {word!r} is none of {', '.join(_WORDS)}.{near}")
    return Ways(phases, once, timeout)


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+)?", text)) and float(text) > 0


def _of_class(text: str, shown: str) -> Ways | None:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise BadRequest(f"{shown}:{error.lineno}: this is no Python: {error.msg}") from None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b).split(".")[-1] == "Hooks" for b in node.bases):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            phases = tuple(phase for name, phase in _METHODS.items() if name in methods)
            if not phases:
                raise BadRequest(f"{shown}: the class {node.name} has none of {', '.join(_METHODS)}")
            return Ways(phases, bool(_stated(node, "once")), _timeout(_stated(node, "timeout"), shown), node.name)
    return None


def _stated(node: ast.ClassDef, name: str) -> object:
    """The plain value that a class body gives to a name; None where it does not."""
    for item in node.body:
        targets = (
            item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(item, "value", None)
            return value.value if isinstance(value, ast.Constant) else None
    return None


def _timeout(value: object, shown: str) -> float | None:
    if value is None or (isinstance(value, int | float) and value > 0):
        return value
    raise BadRequest(f"{shown}: timeout: {value!r} is no number of seconds above 0")
