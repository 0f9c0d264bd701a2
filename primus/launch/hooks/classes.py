"""The class in a Python file that is its hook, read without running the file: primus.node.hooks.spec."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from primus.launch.problems import BadRequest

_BASE = "Hooks"
_METHODS = {"before_task": "before", "after_task": "after"}


@dataclass(frozen=True)
class Hook:
    """The class by its name, the phases that it has methods for, and what it says of itself."""

    name: str
    phases: tuple[str, ...]
    once: bool
    timeout: float | None


def of_file(text: str, shown: str) -> Hook | None:
    """None where no class derives from `Hooks`: the file is a script. Raises BadRequest for what cannot be meant."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise BadRequest(f"{shown}:{error.lineno}: this is no Python: {error.msg}") from None
    imported = _imported(tree)
    known = _deriving(tree, {_BASE, *imported})
    bases = {base for name in known for base in _bases(known[name])}
    last = [name for name in known if name not in bases]  # a class that others derive from is there for them
    having = [name for name in last if _phases(known, name)]
    if len(having) > 1:
        raise BadRequest(f"{shown}: {' and '.join(having)} are hooks, and a file has one: make files of them")
    if last and not having:
        raise BadRequest(f"{shown}: the class {last[-1]} has none of {', '.join(_METHODS)}")
    if imported and not known:
        raise BadRequest(f"{shown}: {_BASE} is imported, and no class at the top of the file derives from it")
    if not having:
        return None
    name = having[0]
    once, timeout = _stated(known, name, "once", shown), _stated(known, name, "timeout", shown)
    if not isinstance(once, bool | None):
        raise BadRequest(f"{shown}: once: {once!r} is neither True nor False")
    if timeout is not None and (not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0):
        raise BadRequest(f"{shown}: timeout: {timeout!r} is no number of seconds above 0")
    return Hook(name, _phases(known, name), bool(once), timeout)


def _imported(tree: ast.Module) -> set[str]:
    """By which names `Hooks` is imported."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    spec = [node for node in froms if node.module == "primus.node.hooks.spec"]
    return {alias.asname or alias.name for node in spec for alias in node.names if alias.name == _BASE}


def _deriving(tree: ast.Module, hooks: set[str]) -> dict[str, ast.ClassDef]:
    """The classes that derive from Hooks, by way of others of the file too."""
    found: dict[str, ast.ClassDef] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(base in hooks or base in found for base in _bases(node)):
            found[node.name] = node
    return found


def _bases(node: ast.ClassDef) -> list[str]:
    """Their names, without the module."""
    return [ast.unparse(base).split(".")[-1] for base in node.bases]


def _lineage(known: Mapping[str, ast.ClassDef], name: str) -> Iterator[ast.ClassDef]:
    """The class, and those of the file that it derives from, the nearest first."""
    yield known[name]
    for base in _bases(known[name]):
        if base in known:
            yield from _lineage(known, base)


def _phases(known: Mapping[str, ast.ClassDef], name: str) -> tuple[str, ...]:
    functions = [item for node in _lineage(known, name) for item in node.body if isinstance(item, ast.FunctionDef)]
    methods = {function.name for function in functions}
    return tuple(phase for method, phase in _METHODS.items() if method in methods)


def _stated(known: Mapping[str, ast.ClassDef], name: str, key: str, shown: str) -> object:
    """The plain value that the class gives to a key; None where it does not. Raises BadRequest for any other value."""
    for node in _lineage(known, name):
        for item in reversed(node.body):
            if not _sets(item, key):
                continue
            value = item.value if isinstance(item, ast.Assign | ast.AnnAssign) else None
            targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
            if not isinstance(value, ast.Constant) or not all(isinstance(target, ast.Name) for target in targets):
                raise BadRequest(
                    f"{shown}:{item.lineno}: {key}: this is read without running the file: give it a plain value, "
                    f"not {ast.unparse(item)!r}"
                )
            return value.value
    return None


def _sets(item: ast.stmt, key: str) -> bool:
    """Whether a statement of a class body gives the key a value, in whatever way."""
    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return item.name == key
    if isinstance(item, ast.AnnAssign) and item.value is None:
        return False
    names = [node for node in ast.walk(item) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return any(name.id == key for name in names)
