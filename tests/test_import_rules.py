"""What runs where may import what: the table of CONTRIBUTING.md, held by walking every module.

Imports inside functions count as well; those under `if TYPE_CHECKING` do not exist in this code base and would too.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("primus/**/*.py"), *ROOT.glob("hydra_plugins/**/*.py")])

FRAMEWORKS = {"torch", "torchtitan", "jax", "jaxlib", "megatron", "maxtext", "transformers", "datasets"}
LAUNCH_ONLY = {"hydra", "omegaconf", "mlflow", "rich", "submitit", "zstandard", "yaml"}
# The names that start a process. Types and exceptions of subprocess, and its constants, may be used anywhere.
STARTS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "os": {"fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp", "startfile"}
    | {f"{kind}{how}" for kind in ("exec", "spawn") for how in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")},
}
STARTING_MODULES = {"multiprocessing", "concurrent.futures.process", "pty"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Every module that is imported, and `module.name` for each name that is imported from one."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: a relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(path: Path, *packages: str) -> set[str]:
    """Those imports of a module that are one of these packages or inside one."""
    return {found for found in imports(path) if any(f"{found}.".startswith(f"{p}.") for p in packages)}


def below(*folders: str) -> list[Path]:
    return [path for path in MODULES if name(path).startswith(folders)]


LAUNCH = [path for path in MODULES if not name(path).startswith(("primus/node/", "primus/rank/"))]


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name)


def test_the_modules_are_found() -> None:
    assert len(below("primus/node/")) > 10
    assert len(below("primus/rank/")) > 5
    assert len(LAUNCH) > 30


@each(below("primus/node/"))
def test_the_node_side_needs_the_standard_library_alone(path: Path) -> None:
    for found in imports(path):
        top = found.split(".")[0]
        assert top in sys.stdlib_module_names or top == "primus", f"{name(path)} imports {found}"
        assert top != "primus" or found == "primus" or found.startswith("primus.node"), f"{name(path)} imports {found}"


@each(below("primus/node/", "primus/__init__.py"))
def test_the_node_side_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


@each(below("primus/rank/"))
def test_the_rank_side_never_imports_what_only_the_launch_side_has(path: Path) -> None:
    assert not imports_of(path, *LAUNCH_ONLY, "primus.launch", "primus.cli", "hydra_plugins")


@each(LAUNCH)
def test_the_launch_side_never_imports_a_framework_or_the_rank_side(path: Path) -> None:
    assert not imports_of(path, *FRAMEWORKS, "primus.rank")


@each(MODULES)
def test_mlflow_is_imported_by_one_module_alone_and_there_inside_functions(path: Path) -> None:
    found = imports_of(path, "mlflow", "mlflow_skinny")
    assert not found or name(path) == "primus/launch/record/store.py"
    at_import = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("mlflow" in ast.unparse(node) for node in at_import)


@each(below("primus/cli.py", "primus/__init__.py", "primus/__main__.py"))
def test_the_console_script_starts_with_the_standard_library_alone(path: Path) -> None:
    tops = {ast.unparse(node) for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)}
    assert tops <= {"import os", "import sys", "from primus.cli import main"}


def starts(path: Path) -> list[str]:
    """Every mention of something that starts a process."""
    found = [f"import {m}" for m in imports_of(path, *STARTING_MODULES)]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in STARTS.get(node.value.id, ()):
                found.append(f"line {node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module in STARTS:
            taken = {alias.name for alias in node.names} & (STARTS[node.module] | {"*"})
            found += [f"line {node.lineno}: from {node.module} import {one}" for one in taken]
        elif isinstance(node, ast.keyword) and node.arg == "shell":
            found.append(f"line {node.value.lineno}: shell=")
    return found


def test_the_rule_about_starting_processes_sees_them() -> None:
    assert len(starts(ROOT / "primus/node/process.py")) >= 2


@each([path for path in MODULES if name(path) != "primus/node/process.py"])
def test_processes_are_started_by_one_module_alone(path: Path) -> None:
    """`subprocess.Popen[bytes]` as a type stands in quotes; constants and exceptions of subprocess are no starts."""
    assert starts(path) == []


@each(MODULES)
def test_a_config_is_never_opened_to_keys_that_nobody_declared(path: Path) -> None:
    assert "open_dict" not in path.read_text(encoding="utf-8")


@each(MODULES)
def test_a_module_is_named_after_what_it_is_about(path: Path) -> None:
    parts = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    assert not parts & {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers", "base"}


@each(MODULES)
def test_a_module_is_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@each(MODULES)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{name(path)} has no docstring"
