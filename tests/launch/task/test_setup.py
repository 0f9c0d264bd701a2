"""An environment for a backend: made by a real pip from an index of our own, once, whole or not at all."""

import io
import json
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from primus.launch.backend.install import activity, last_words
from primus.node import process

from ...conftest import PATIENCE, Primus, Said, Start, everything, gone
from ..test_progress import on_a_terminal

pytestmark = pytest.mark.install


class Index:
    """A package index (PEP 503) on this machine; it answers only while its gate is open."""

    def __init__(self) -> None:
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()
        self.files = {"tiny-1.0": wheel("tiny", "1.0"), "tiny-2.0": wheel("tiny", "2.0")}
        self.files["needy-1.0"] = wheel("needy", "1.0", "Requires-Dist: not-in-the-index\n")

    def answer(self, path: str) -> bytes | None:
        self.asked.set()
        self.gate.wait(PATIENCE)
        name = path.strip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            return self.files[name.removesuffix("-py3-none-any.whl")]
        found = [f"{file}-py3-none-any.whl" for file in self.files if file.startswith(f"{name}-")]
        return "".join(f'<a href="/{file}">{file}</a>' for file in found).encode() if found else None


def wheel(name: str, version: str, more: str = "") -> bytes:
    """A wheel (PEP 427) with one module that knows its version."""
    told = io.BytesIO()
    with zipfile.ZipFile(told, "w") as file:
        about = f"{name}-{version}.dist-info"
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return told.getvalue()


class Handler(BaseHTTPRequestHandler):
    def __init__(self, index: Index, *rest: Any) -> None:
        self._index = index
        super().__init__(*rest)

    def do_GET(self) -> None:
        content = self._index.answer(self.path)
        self.send_response(200 if content is not None else 404)
        kind = "application/octet-stream" if self.path.endswith(".whl") else "text/html"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index that pip knows."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    index = Index()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, index)) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
        yield index
        index.gate.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def kept(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environments of the test are kept."""
    monkeypatch.setenv("PRIMUS_BACKENDS", str(work / "kept"))
    return work / "kept"


def asks_for(*requirements: str, bare: str = "") -> list[str]:
    words = ["task=setup", f"backend.setup.requirements={[*requirements]}"]
    return [*words, f"backend.setup.no_dependencies=['{bare}']"] if bare else words


def environments(kept: Path) -> list[Path]:
    return sorted(path for path in kept.iterdir() if path.is_dir())


def says(python: Path, text: str) -> str | None:
    return process.ask([str(python), "-I", "-c", text], PATIENCE)


TINY = "import tiny; print(tiny.VERSION, end='')"


def test_an_environment_is_made_with_exactly_what_is_asked_for(primus: Primus, index: Index, kept: Path) -> None:
    said = primus(*asks_for("tiny==1.0", bare="needy==1.0"))
    (made,) = environments(kept)
    assert (said.code, said.err) == (0, "")
    assert f"python  {made}/bin/python  (Python 3." in said.out
    assert says(made / "bin/python", TINY) == "1.0"
    marker = json.loads((made / "primus-setup.json").read_text())
    assert marker["requirements"] == ["tiny==1.0"]
    assert marker["no_dependencies"] == ["needy==1.0"]
    assert {"tiny==1.0", "needy==1.0"} <= {*marker["packages"]}
    assert marker["seconds"] > 0
    log = (kept / f"{made.name}.log").read_text()
    assert "Successfully installed tiny-1.0" in log
    assert "pip --no-input --disable-pip-version-check install --progress-bar=off --no-deps -- needy==1.0\n" in log


@pytest.mark.slow
def test_it_is_made_once_and_again_only_for_other_requirements(primus: Primus, index: Index, kept: Path) -> None:
    assert primus(*asks_for("tiny==1.0")).code == 0
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    index.asked.clear()
    again = primus(*asks_for("tiny==1.0"))
    assert again.out.startswith(f"nothing to do: the requirements are those of {environments(kept)[0]}\npython  ")
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*")} == before
    assert not index.asked.is_set()
    assert primus(*asks_for("tiny==2.0")).code == 0
    assert sorted(says(made / "bin/python", TINY) or "" for made in environments(kept)) == ["1.0", "2.0"]


def test_an_environment_that_no_job_takes_by_itself_is_told(primus: Primus, index: Index, kept: Path) -> None:
    """Primus's own interpreter has TorchTitan here, and comes first."""
    said = primus(*asks_for("tiny==1.0")).out.splitlines()[-1]
    assert said.startswith("Jobs take ")
    assert said.endswith(f"This one serves with backend.python={environments(kept)[0]}/bin/python")


def test_packages_on_pythonpath_are_not_taken_for_installed(
    primus: Primus, index: Index, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipfile.ZipFile(io.BytesIO(index.files["tiny-1.0"])).extractall(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    assert primus(*asks_for("tiny==1.0")).code == 0
    assert says(environments(kept)[0] / "bin/python", TINY) == "1.0"


@pytest.mark.parametrize("wrong", ["tiny==3.0", "no-such-package", "needy==1.0"])
def test_a_requirement_that_cannot_be_had_ends_in_pips_own_words_and_leaves_nothing(
    primus: Primus, index: Index, kept: Path, wrong: str
) -> None:
    said = primus(*asks_for(wrong))
    assert said.code == 3
    first, *words, last = said.err.splitlines()
    assert first.startswith(
        "primus: task=setup backend=torchtitan: installing 1 requirement: the command ended with exit"
    )
    assert "No matching distribution found for" in words[-1]
    (log,) = kept.glob("*.log")
    assert last == f"All that it said is in {log}"
    assert "Looking in indexes" in log.read_text()
    assert environments(kept) == []


def test_a_folder_that_cannot_be_written_is_named(primus: Primus, index: Index, work: Path) -> None:
    (work / "file").write_text("")
    said = primus(*asks_for("tiny==1.0"), "backend.setup.directory=file/in")
    assert said.code == 3
    assert f"{work}/file/in: Not a directory. Environments are kept where backend.setup.directory or the" in said.err


@pytest.mark.slow
def test_a_setup_that_was_killed_does_not_count_and_the_next_begins_anew(
    primus: Primus, start: Start, index: Index, kept: Path
) -> None:
    index.gate.clear()
    killed = start(*asks_for("tiny==1.0"))
    assert index.asked.wait(PATIENCE), "pip does not ask"
    below = process.descendants(killed.pid)
    killed.kill()
    killed.wait(PATIENCE)
    assert below
    assert all(map(gone, below)), "pip goes on"
    (half,) = environments(kept)
    (half / "left over").write_text("")
    assert not (half / "primus-setup.json").exists()
    assert "to be made by" in primus("dry_run=true", "backend.setup.python=3.99").out
    index.gate.set()
    assert primus(*asks_for("tiny==1.0")).code == 0
    assert not (half / "left over").exists()
    assert says(half / "bin/python", TINY) == "1.0"


def test_a_setup_that_is_interrupted_ends_pip_and_leaves_nothing(start: Start, index: Index, kept: Path) -> None:
    index.gate.clear()
    interrupted = start(*asks_for("tiny==1.0"))
    assert index.asked.wait(PATIENCE)
    below = process.descendants(interrupted.pid)
    interrupted.send_signal(2)
    assert interrupted.wait(PATIENCE) == 130
    assert all(map(gone, below))
    assert environments(kept) == []


@pytest.mark.slow
def test_of_two_at_once_one_waits_and_takes_what_the_other_made(start: Start, index: Index, kept: Path) -> None:
    index.gate.clear()
    first = start(*asks_for("tiny==1.0"))
    assert index.asked.wait(PATIENCE)
    second = start(*asks_for("tiny==1.0"))
    assert second.stdout
    line = next(line for line in second.stdout if "waiting" in line)
    assert line.startswith(f"another setup makes this environment (process {first.pid} on ")
    index.gate.set()
    ended = [said_by(first), said_by(second)]
    assert [said.code for said in ended] == [0, 0], ended
    (made,) = environments(kept)
    assert all(f"python  {made}/bin/python" in said.out for said in ended)
    assert (kept / f"{made.name}.log").read_text().count("pip --no-input") == 1, "pip ran twice"


@pytest.mark.slow
def test_where_the_first_of_two_is_killed_the_other_makes_it(start: Start, index: Index, kept: Path) -> None:
    index.gate.clear()
    first = start(*asks_for("tiny==1.0"))
    assert index.asked.wait(PATIENCE)
    second = start(*asks_for("tiny==1.0"))
    assert second.stdout
    assert next(line for line in second.stdout if "waiting" in line)
    first.kill()
    index.gate.set()
    assert said_by(second).code == 0
    assert says(environments(kept)[0] / "bin/python", TINY) == "1.0"


def said_by(started: Any) -> Said:
    out, err = started.communicate(timeout=PATIENCE)
    return Said(started.returncode, out, err)


def test_a_dry_run_tells_every_command_and_does_nothing(primus: Primus, index: Index, kept: Path, work: Path) -> None:
    said = primus(*asks_for("tiny==1.0", bare="needy==1.0"), "dry_run=true")
    assert said.code == 0
    first, venv, install, bare, freeze, log = said.out.splitlines()
    folder = first.removeprefix("make ").removesuffix(":")
    assert Path(folder).parent == kept
    assert venv.endswith(f" -I -m venv {folder}")
    assert install.endswith(" install --progress-bar=off -- tiny==1.0")
    assert bare.endswith(" install --progress-bar=off --no-deps -- needy==1.0")
    assert freeze.endswith(" freeze --all")
    assert log == f"log     {folder}.log"
    assert everything(work) == []
    assert not index.asked.is_set()


def test_a_dry_run_tells_that_there_is_nothing_to_do(primus: Primus, index: Index, kept: Path) -> None:
    assert primus(*asks_for("tiny==1.0")).code == 0
    said = primus(*asks_for("tiny==1.0"), "dry_run=json")
    assert json.loads(said.out)["action"].startswith("nothing to do: ")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("backend.setup.requirements=3", "backend.setup.requirements: expected a list, got 3 (a whole number)"),
        ("backend.setup.python=new", "backend.setup.python: 'new' is no Python version: write 3.12, or '>=3.11,<3.13'"),
        ("backend.setup.interpreter=/no/python", "backend.setup.interpreter: /no/python is no Python with the modules"),
    ],
)
def test_a_wrong_setup_is_refused_by_key(primus: Primus, kept: Path, word: str, said: str) -> None:
    answer = primus("task=setup", word)
    assert answer.code == 2
    assert answer.err.startswith(f"primus: {said}")
    assert not kept.exists()


def test_a_terminal_shows_one_line_with_what_pip_does(index: Index, kept: Path) -> None:
    shown = on_a_terminal([sys.executable, "-m", "primus", *asks_for("tiny==1.0")], 100)
    assert "making the environment" in shown
    assert "installing 1 requirement" in shown
    assert "0:00:0" in shown
    assert shown.count("\n") < 12, "it scrolls"
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor stays hidden"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Collecting torch==2.13.0", "collecting torch==2.13.0"),
        ("Collecting numpy>=1.26 (from torch==2.13.0->-r x (line 1))", "collecting numpy>=1.26"),
        ("  Downloading torch-2.13.0-cp312.whl (526.8 MB)", "downloading torch-2.13.0-cp312.whl (526.8 MB)"),
        ("  Downloading https://u:p@host/a/six-1.17.0.whl (11 kB)", "downloading six-1.17.0.whl (11 kB)"),
        ("  Using cached six-1.17.0-py2.py3.whl (11 kB)", "using cached six-1.17.0-py2.py3.whl (11 kB)"),
        ("Building wheel for jaxtyping (pyproject.toml): started", "building jaxtyping"),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Successfully installed a-1 b-2 c-3", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_line_of_pip_is_told_in_few_words(line: str, told: str | None) -> None:
    assert activity(line) == told


def test_the_reason_of_a_failure_is_pips_errors_else_the_last_lines() -> None:
    assert last_words("Collecting a\nERROR: first\nWARNING: x\n  ERROR: second\n\n") == [
        "ERROR: first",
        "  ERROR: second",
    ]
    assert last_words("\n".join(f"line {n}" for n in range(100)) + "\n") == [f"line {n}" for n in range(88, 100)]


def test_a_requirement_of_pypi_is_installed(primus: Primus, kept: Path) -> None:
    """With the machine's own settings of pip."""
    assert primus(*asks_for("packaging==25.0")).code == 0
    (made,) = environments(kept)
    assert says(made / "bin/python", "import packaging; print(packaging.__version__, end='')") == "25.0"
