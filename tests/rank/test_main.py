"""A rank is run by path, with an interpreter that may know nothing of Primus."""

import json
import subprocess
import sys
from pathlib import Path

import primus

from .conftest import RANK, Run


def python(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """An interpreter without site-packages, so without Primus and any framework."""
    return subprocess.run(
        [sys.executable, "-S", *arguments], cwd=directory, capture_output=True, text=True, timeout=120, env={}
    )


def test_a_missing_framework_is_one_line_with_the_command_that_installs_it(run: Run) -> None:
    ended = run(options=["-S"])
    assert ended.exit_codes == [3]
    assert ended.logs[0].splitlines() == [
        f"primus: {sys.executable} cannot import torch. Mend it with: pip install 'primus[torchtitan]'"
    ]


def test_nothing_but_primus_can_be_imported_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "rank.json").write_text("{}")
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['rank', 'torchtitan', 'rank.json']\n"
        f"sys.path.insert(0, {str(RANK)!r})\n"  # as `python <folder>` does
        "try:\n"
        f"    runpy.run_path({str(RANK)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "import primus\n"
        "print(primus.__file__, [p for p in sys.path if 'primus' in p])\n"
    )
    done = python("-c", code, directory=tmp_path)
    assert done.stdout.split() == [str(Path(primus.__file__).resolve()), "[]"]


def test_a_backend_without_a_worker_is_a_python_error(tmp_path: Path) -> None:
    (tmp_path / "rank.json").write_text("{}")
    done = python(str(RANK), "nosuch", "rank.json", directory=tmp_path)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'primus.rank.nosuch'" in done.stderr


def test_the_users_own_checkout_comes_before_the_installed_framework(tmp_path: Path) -> None:
    package = tmp_path / "checkout/torchtitan/tools"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "utils.py").write_text("raise SystemExit('this is the checkout')")
    (tmp_path / "rank.json").write_text(json.dumps({"path": str(tmp_path / "checkout")}))
    done = subprocess.run(
        [sys.executable, str(RANK), "torchtitan", "rank.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={"LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "1"},
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "this is the checkout")
