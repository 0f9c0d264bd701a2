"""`primus-cli` in this process."""

from pathlib import Path

import pytest

from primus.launch.cli.main import execute
from primus.launch.problems import Complaint

from ...conftest import Primus, Said


@pytest.fixture
def cli(work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Primus:
    """Run one command line in `work`, where a docker is on PATH: `cli("direct", "--", "train", "pretrain")`."""
    engine = work.parent / "bin/docker"
    engine.parent.mkdir()
    engine.touch(0o755)
    monkeypatch.setenv("HOME", str(work))  # which may have defaults of its own
    monkeypatch.setenv("PATH", f"{engine.parent}:/usr/bin:/bin")

    def run(*words: str) -> Said:
        capsys.readouterr()
        try:
            code, message = execute(words), ""
        except Complaint as complaint:
            code, message = complaint.exit_code, str(complaint)
        said = capsys.readouterr()
        return Said(code, said.out, said.err + message)

    return run
