"""What is built and installed works as the source tree does: conf/, plugins and the node side travel along."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from primus.launch.config import catalog
from primus.node.plan import from_json

pytestmark = [pytest.mark.install, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
LIMIT = 240.0


def done(argv: Sequence[str | Path], where: Path, **environ: str) -> str:
    """What a command prints that ends well."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW", "VIRTUAL_ENV"))}
    ended = subprocess.run(
        [str(word) for word in argv],
        cwd=where,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, as a checkout has it: nothing that is not in it can get into a package."""
    copy = tmp_path_factory.mktemp("source") / "primus"
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        timeout=LIMIT,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that was built from the sdist and not from the tree."""
    to = tmp_path_factory.mktemp("dist")
    here = ["--no-isolation"] if find_spec("hatchling") else []  # else it is downloaded
    done([sys.executable, "-m", "build", *here, "--outdir", to, tree], to)
    return to


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `primus` of a fresh environment with the wheel in it; its dependencies are those of this one."""
    environment = tmp_path_factory.mktemp("environment")
    done([sys.executable, "-m", "venv", environment], environment)
    (wheel,) = built.glob("*.whl")
    python = environment / "bin/python"
    done([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], environment)
    site = done([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], environment).strip()
    # A path alone: the .pth files in there, such as that of an editable install of Primus, are not followed.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin/primus"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_sdist_holds_all_that_a_source_tree_needs(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    assert {"pyproject.toml", "LICENSE", "README.md", "conf/config.yaml", "primus/cli.py"} <= names
    assert {"tests/test_packaging.py", "hydra_plugins/primus/launcher.py", "bench/launch.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".ci", ".git/", "outputs"))]


def test_the_wheel_holds_every_file_of_conf_and_every_module(built: Path, tree: Path) -> None:
    (file,) = built.glob("*.whl")
    names = {*zipfile.ZipFile(file).namelist()}
    conf = {f"primus/conf/{path.relative_to(tree / 'conf')}" for path in (tree / "conf").rglob("*.yaml")}
    code = {str(path.relative_to(tree)) for top in ("primus", "hydra_plugins") for path in (tree / top).rglob("*.py")}
    data = {str(path.relative_to(tree)) for path in (tree / "primus").rglob("*.json")}
    assert conf | code | data <= names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "conf/"))]
    assert "hydra_plugins/__init__.py" not in names, "hydra_plugins is a namespace that packages share"


def check(primus: Sequence[str | Path], empty: Path, package: Path, **environ: str) -> None:
    """Everything that is found by its place in the package works from an empty directory."""
    text = done([*primus, "--help"], empty, COLUMNS="100", **environ)
    for group in catalog.GROUPS:
        assert f"\n{group}=\n" in text
    assert "name: train/pretrain" in done([*primus, "--cfg", "job"], empty, **environ)
    assert "task: train/pretrain" in done([*primus, "--info", "defaults-tree"], empty, **environ)
    assert f"| file://{package} " in done([*primus, "--info", "searchpath"], empty, **environ)
    line = "primus data="
    completed = done([*primus, "-sc", "query=bash"], empty, COMP_LINE=line, COMP_POINT=str(len(line)), **environ)
    assert completed.split() == ["data=hf", "data=megatron", "data=mock", "data=text"]
    plan = from_json(done([*primus, "dry_run=json"], empty, **environ))
    assert [word for word in plan.command if word.startswith(str(package.parent))], "the node side of another Primus"
    assert [*empty.iterdir()] == []
    job = ["task=command", "task.command=echo a rank", "tracking.enabled=false"]
    assert done([*primus, *job], empty, **environ).startswith("a rank\n")
    assert "2 of 2 jobs finished" in done([*primus, "-m", *job, "env.set.A=1,2"], empty, **environ)
    assert {path.name for path in empty.iterdir()} == {"outputs"}


def test_an_installed_wheel_works_from_an_empty_directory(installed: Path, empty: Path) -> None:
    where = "import primus; print(primus.__path__[0])"
    package = Path(done([installed.with_name("python"), "-c", where], empty).strip())
    assert installed.parents[1] in package.parents
    check([installed], empty, package / "conf")


def test_an_installed_wheel_takes_a_users_own_conf(installed: Path, empty: Path) -> None:
    (empty / "mine/experiment").mkdir(parents=True)
    (empty / "mine/experiment/ours.yaml").write_text("# @package _global_\n# Ours.\nexperiment: {name: ours}\n")
    plan = from_json(done([installed, "--config-dir", "mine", "experiment=ours", "dry_run=json"], empty))
    assert plan.config["experiment"]["name"] == "ours"


def test_a_source_tree_works_without_being_installed(tree: Path, empty: Path) -> None:
    check([sys.executable, "-m", "primus"], empty, tree / "conf", PYTHONPATH=str(tree))
    assert "usage" not in done([sys.executable, "-m", "primus", "--version"], tree)
