"""The example of a package that extends Primus, installed as a user installs it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .cluster.slurm import Slurm
from .conftest import Said

EXAMPLE = Path(__file__).parents[1] / "examples/plugin"
SOURCE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed."""
    target = tmp_path_factory.mktemp("plugin") / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", "--target", str(target), str(EXAMPLE)], check=True)
    return target


class Installed:
    """Primus in a process of its own, which sees what is installed there."""

    def __init__(self, site: Path, *others: Path) -> None:
        self.site = site
        self._path = os.pathsep.join(map(str, (SOURCE, site, *others)))

    def __call__(self, *words: str) -> Said:
        return self._start("from primus.cli import main", words)

    def cli(self, *words: str) -> Said:
        """The same of `primus-cli`."""
        return self._start("from primus.cli import primus_cli as main", words)

    def _start(self, program: str, words: Sequence[str]) -> Said:
        environ = {**os.environ, "PYTHONPATH": self._path}
        command = [sys.executable, "-c", f"{program}; main()", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def primus(site: Path, work: Path) -> Installed:
    return Installed(site)


@pytest.fixture
def edited(site: Path, work: Path) -> Installed:
    """The example as `pip install --editable` leaves it: its metadata there, its package where somebody works on it."""
    metadata = "acme_primus-0.1.0.dist-info"
    shutil.copytree(site / metadata, work / "site" / metadata)
    shutil.copytree(EXAMPLE / "acme_primus", work / "mine/acme_primus")
    return Installed(work / "site", work / "mine")


def run_of(work: Path) -> Path:
    return next((work / "outputs").glob("*/*/plan.json")).parent


def test_its_choices_are_in_the_help_beside_primuss_own(primus: Installed) -> None:
    out = primus("--help").out
    for line in ("acme/greet            Each rank says hello.", "bigram                A model of", "nice  ", "acme  "):
        assert f"\n  {line}" in out


def test_its_task_has_words_and_flags_of_primus_cli(primus: Installed) -> None:
    said = primus.cli("--dry-run", "direct", "--", "acme", "greet", "--whom", "you")
    assert said.code == 0, said.err
    assert "primus-cli: primus runtime=direct task=acme/greet dry_run=true task.whom=you" in said.err


def test_its_task_runs_with_its_hook_and_one_that_was_asked_for(primus: Installed, work: Path) -> None:
    said = primus("task=acme/greet", "task.whom=you", "hooks.use=[summary]", "tracking.enabled=false")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("hello you, this is rank 0 of 1; stamped: node 0 of 1\n")
    assert "summary | acme/greet: finished, exit code 0" in (run_of(work) / "logs/node-0/hooks.log").read_text()


def test_its_backend_trains_in_its_runtime_with_its_patch(primus: Installed, work: Path) -> None:
    words = ("experiment=acme", "runtime=nice", "patches=[acme/smooth]", "tracking.enabled=false")
    said = primus(*words)
    assert (said.code, said.err) == (0, "")
    run = run_of(work)
    lines = [line.split(" | ")[1] for line in (run / "logs/node-0/rank-0.log").read_text().splitlines()]
    assert lines == ["primus: patch acme/smooth is applied to acme-primus 0.1.0", "bigram with smoothing 0.1"]
    assert json.loads((run / "result.json").read_text())["step"] == 5
    plan = json.loads((run / "plan.json").read_text())
    assert plan["command"][:3] == ["nice", "-n", "10"]
    assert [(p["name"], p["versions"], p["file"]) for p in plan["patches"]] == [
        ("acme/smooth", ["0.1.*"], "patches/acme-smooth.py")
    ]


def test_its_patch_is_refused_for_another_version(primus: Installed, work: Path) -> None:
    metadata = primus.site / "acme_primus-0.1.0.dist-info/METADATA"
    text = metadata.read_text()
    metadata.write_text(text.replace("Version: 0.1.0", "Version: 0.2.0"))
    try:
        said = primus("experiment=acme", "patches=[acme/smooth]", "tracking.enabled=false")
    finally:
        metadata.write_text(text)
    assert said.code == 3
    assert "patch acme/smooth is for acme-primus 0.1.*, and this is 0.2.0" in said.out
    assert json.loads((run_of(work) / "nodes/0.json").read_text())["outcome"]["exit_code"] == 3


def test_arguments_of_a_hook_reach_the_framework_below_the_users_own(primus: Installed, work: Path) -> None:
    (work / "hooks").mkdir()
    (work / "hooks/10_a.sh").write_text("echo extra.smoothing=0.5")
    words = ("experiment=acme", "tracking.enabled=false")
    assert "bigram with smoothing 0.5\n" in primus(*words).out
    assert "bigram with smoothing 2\n" in primus(*words, "backend.args.smoothing=2").out


def test_a_plugin_whose_package_is_gone_is_named(primus: Installed, work: Path) -> None:
    folder = primus.site / "acme_primus"
    folder.rename(folder.with_name("gone"))
    try:
        said = primus("dry_run=true")
    finally:
        folder.with_name("gone").rename(folder)
    assert said.code == 3
    assert "the plugin acme names the package 'acme_primus', which is not there" in said.err


QUEUED = ("experiment=acme", "runtime=slurm", "runtime.detach=true", "runtime.options.hold=true")


@pytest.mark.slurm
def test_a_queued_job_has_the_plugin_as_it_was_when_it_was_submitted(
    edited: Installed, slurm: Slurm, work: Path
) -> None:
    said = edited(*QUEUED, "tracking.enabled=false")
    assert said.code == 0, said.err
    run = run_of(work)
    for name in ("bigram.py", "rank/bigram/worker.py"):
        (work / "mine/acme_primus" / name).write_text("raise RuntimeError('it was edited')\n")
    job = str(json.loads((run / "handle.json").read_text())["job_id"])
    slurm.ask("scontrol", "release", job)
    slurm.wait(job, "COMPLETED", "FAILED")
    assert json.loads((run / "result.json").read_text())["status"] == "FINISHED"
    assert "bigram with smoothing" in (run / "logs/node-0/rank-0.log").read_text()
    assert json.loads((run / "plan.json").read_text())["job"]["command"][2] == (
        "{primus.run_dir}/code/plugins/acme_primus/rank/bigram/worker.py"
    )


def test_a_plugin_that_was_installed_as_a_copy_is_taken_from_there(primus: Installed, work: Path) -> None:
    said = primus("experiment=acme", "runtime=slurm", "dry_run=json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["job"]["command"][2] == f"{primus.site}/acme_primus/rank/bigram/worker.py"
