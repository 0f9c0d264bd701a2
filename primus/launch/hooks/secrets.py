"""Secrets in the text of a hook or patch, a copy of which is kept with the run; not those taken from elsewhere."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from itertools import pairwise

from primus.launch.confidential import exposed, gives_secret
from primus.launch.problems import BadRequest

_LITERAL = r"""[^\s"'$;`(){}<\[]{4,2000}+(?=[\s"';)}]|$)"""
# `export HF_TOKEN=hf_abc`, `--api-key=abc`, `${HF_TOKEN:-hf_abc}`, `"token": "hf_abc"`; not `HF_TOKEN=$TOKEN`.
_PAIR = re.compile(rf"""(?<![$\w-])-*([A-Za-z_][\w-]*)(?:=["']?|:[-=]["']?|["']?\]?\s*[=:]\s*["'])({_LITERAL})""")
# `--token hf_abc`; not `--token needs a value`.
_OPTION = re.compile(rf"""(?<!\S)--([A-Za-z][\w-]*)\s+["']?(?!-|[a-z]+[,.]?(?:\s|$))({_LITERAL})""")
_HEADER = re.compile(r"""(?i)\bauthorization["']?\s*[:=,]\s*["']?(?:\w+\s+)?[^\s"'$`(){}]{8,}["']""")
_URL = re.compile(r"""(?<!\w)(\w*)://([^\s/?#"'<>]*)@""")
_OF_TEXT = ("print", "replace", "sub")
"""Functions whose arguments are text, not a name and its value."""


def refuse(text: str, shown: str) -> None:
    """Raise BadRequest for a secret in the text of a file, which messages call `shown`."""
    for number, what, variable in _of_python(text) if shown.endswith(".py") else _of_text(text):
        raise BadRequest(
            f"{shown}:{number}: {what} stands here, and the file is kept with the run: "
            f"export it in your shell and name it, env.forward=[{variable}]"
        )


def refuse_values(text: str, shown: str, environ: Mapping[str, str]) -> None:
    """Raise BadRequest where the value of a secret variable of this shell stands in the text, under whatever name."""
    name = exposed(text, environ)
    if name:
        raise BadRequest(
            f"{shown}: the value of {name} stands in it, and the file is kept with the run: "
            f"hand it on by name, env.forward=[{name}], and say ${name} here"
        )


def _of_text(text: str, first: int = 1) -> Iterator[tuple[int, str, str]]:
    """What is wrong by line: its number, what stands there, the variable that it should be."""
    for number, line in enumerate(text.splitlines(), first):
        for match in (*_PAIR.finditer(line), *_OPTION.finditer(line)):
            yield from _pair(number, match[1], match[2])
        yield from _header(number, line)
        if any(_literal_password(*match.groups()) for match in _URL.finditer(line)):
            yield number, "a password in a URL", "NAME"


def _pair(number: int, name: str, value: str) -> Iterator[tuple[int, str, str]]:
    same = value.rstrip(",").rpartition(".")[2] == name  # `token=args.token,` of a program in the text
    if gives_secret(name, value) and not same:
        yield number, f"the value of {name}", name.replace("-", "_").upper()


def _header(number: int, line: str) -> Iterator[tuple[int, str, str]]:
    if _HEADER.search(line):
        yield number, "what authorizes a request", "NAME"


def _literal_password(scheme: str, credentials: str) -> bool:
    """Not one of a variable or a placeholder; `ssh://git@` has none."""
    return not re.search(r"[$`{]|%s", credentials) and (scheme != "ssh" or ":" in credentials)


def _of_python(text: str) -> Iterator[tuple[int, str, str]]:
    """By its syntax: in code `token=token` is no secret; then what its strings and comments say."""
    for node in ast.walk(ast.parse(text)):
        for name, value in _given(node):
            for literal in _literals(value):
                if re.fullmatch(r"(?!-)\S{4,}", literal):
                    yield from _pair(value.lineno, name, literal)
                yield from _header(value.lineno, f'{name}: "{literal}"')
        if isinstance(node, ast.Constant):
            yield from _of_text("".join(_literals(node)), node.lineno)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from _of_text(token.string, token.start[0])


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and the expressions that a node of the syntax gives them."""
    if isinstance(node, ast.Assign):
        yield from ((_named(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
        yield _named(node.target), node.value
    elif isinstance(node, ast.Dict):
        yield from ((_named(key), value) for key, value in zip(node.keys, node.values, strict=True) if key)
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        pairs = [*zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True)]
        yield from ((a.arg, v) for a, v in [*pairs, *zip(node.kwonlyargs, node.kw_defaults, strict=True)] if v)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] not in _OF_TEXT:
        yield from _neighbours(node.args, "")  # set_environment("HF_TOKEN", …), setattr(hub, "token", …)
    elif isinstance(node, ast.List | ast.Tuple):
        yield from _neighbours(node.elts, "--")  # ["hf", "login", "--token", …]


def _neighbours(elements: list[ast.expr], prefix: str) -> Iterator[tuple[str, ast.expr]]:
    for name, value in pairwise(elements):
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.startswith(prefix):
            yield name.value.lstrip("-"), value


def _named(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.slice
    named = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "value", None)
    return named if isinstance(named, str) else ""


def _literals(node: ast.expr) -> Iterator[str]:
    """The text that an expression may be, as far as it stands there: of `get() or "abc"` as well."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        yield node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in _literals(value))
    elif isinstance(node, ast.IfExp):
        yield from (text for value in (node.body, node.orelse) for text in _literals(value))
    elif isinstance(node, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in node.values):
        yield "".join(text for part in node.values for text in _literals(part))
