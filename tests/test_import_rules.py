"""What runs where may import what: the table of CONTRIBUTING.md, held by walking every module.

Imports inside functions count as well; those under `if TYPE_CHECKING` do not exist in this code base and would too.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("primus/**/*.py"), *ROOT.glob("hydra_plugins/**/*.py")])

FRAMEWORKS = {"torch", "torchtitan", "jax", "jaxlib", "megatron", "maxtext", "transformers", "datasets"}
LAUNCH_ONLY = {"hydra", "omegaconf", "mlflow", "rich", "plotly", "submitit", "yaml"}
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


def offenders(paths: list[Path], found: Callable[[Path], Iterable[str]]) -> list[str]:
    """`file: what` for everything that a rule finds in these modules."""
    return [f"{name(path)}: {what}" for path in paths for what in sorted(found(path))]


def test_the_modules_are_found() -> None:
    assert len(below("primus/node/")) > 10
    assert len(below("primus/rank/")) > 5
    assert len(LAUNCH) > 30


def test_the_node_side_needs_the_standard_library_alone() -> None:
    def foreign(path: Path) -> Iterator[str]:
        for found in imports(path):
            ours = found == "primus" or f"{found}.".startswith("primus.node.")
            if not ours and found.split(".")[0] not in sys.stdlib_module_names:
                yield found

    assert offenders(below("primus/node/"), foreign) == []


@pytest.mark.parametrize("path", below("primus/node/", "primus/__init__.py"), ids=name)
def test_the_node_side_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_the_rank_side_never_imports_what_only_the_launch_side_has() -> None:
    forbidden = (*LAUNCH_ONLY, "primus.launch", "primus.cli", "hydra_plugins")
    assert offenders(below("primus/rank/"), lambda path: imports_of(path, *forbidden)) == []


def test_the_launch_side_never_imports_a_framework_or_the_rank_side() -> None:
    assert offenders(LAUNCH, lambda path: imports_of(path, *FRAMEWORKS, "primus.rank")) == []


def test_hydra_plugins_are_thin_and_reach_primus_only_inside_functions() -> None:
    """Hydra imports every plugin at each start."""
    assert offenders(below("hydra_plugins/"), lambda path: {i for i in at_start(path) if "primus" in i}) == []


def test_plotly_is_imported_nowhere() -> None:
    """Reports need plotly.js alone, which lies in its package."""
    assert offenders(MODULES, lambda path: imports_of(path, "plotly")) == []


def test_mlflow_is_imported_by_one_module_alone_and_there_inside_functions() -> None:
    store = ROOT / "primus/launch/record/store.py"
    assert offenders([path for path in MODULES if path != store], lambda path: imports_of(path, "mlflow")) == []
    assert imports_of(store, "mlflow")
    assert [line for line in at_start(store) if "mlflow" in line] == []


def test_the_console_script_starts_with_the_standard_library_alone() -> None:
    own = below("primus/cli.py", "primus/__init__.py", "primus/__main__.py")
    allowed = {*(f"import {module}" for module in sys.stdlib_module_names), "from primus.cli import main"}
    assert offenders(own, lambda path: {*at_start(path)} - allowed) == []


def at_start(path: Path) -> list[str]:
    """The import statements that run when the module is imported."""
    return [ast.unparse(node) for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]


def starts(path: Path) -> Iterator[str]:
    """Every mention of something that starts a process."""
    yield from (f"import {module}" for module in imports_of(path, *STARTING_MODULES))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in STARTS.get(node.value.id, ()):
                yield f"line {node.lineno}: {node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in STARTS:
            taken = {alias.name for alias in node.names} & (STARTS[node.module] | {"*"})
            yield from (f"line {node.lineno}: from {node.module} import {one}" for one in taken)


def test_processes_are_started_by_one_module_alone() -> None:
    """Constants and exceptions of subprocess start nothing; a type annotation with Popen stands in quotes."""
    one = ROOT / "primus/node/process.py"
    assert len([*starts(one)]) >= 2, "the rule sees nothing"
    assert offenders([path for path in MODULES if path != one], starts) == []


def test_no_string_is_given_to_a_shell() -> None:
    def shells(path: Path) -> Iterator[str]:
        keywords = (node for node in ast.walk(tree(path)) if isinstance(node, ast.keyword))
        return (f"line {word.value.lineno}: shell=" for word in keywords if word.arg == "shell")

    assert offenders(MODULES, shells) == []


def test_a_config_is_never_opened_to_keys_that_nobody_declared() -> None:
    assert [name(path) for path in MODULES if "open_dict" in path.read_text(encoding="utf-8")] == []


def test_a_module_is_named_after_what_it_is_about() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers", "base"}
    parts = {name(path): {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} for path in MODULES}
    assert [path for path, words in parts.items() if words & vague] == []


def test_a_module_is_short_enough_to_be_read() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}


def test_a_module_says_what_it_is() -> None:
    assert [name(path) for path in MODULES if not ast.get_docstring(tree(path))] == []
