"""Hooks and patches as they come into a plan: `primus ... dry_run=json`, and runs."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from primus.node.plan import Plan, from_json

from ...conftest import Primus, Rank

COMMAND = ("task=command", "task.command=[echo]")


@pytest.fixture
def project(work: Path) -> Path:
    """A project with hooks for every task, for one, for another, and files that are none."""
    for name in ("hooks/20_all.sh", "hooks/command/10_own.py", "hooks/train/05_other.sh", "hooks/pre-commit",
                 "hooks/30_notes.txt", "hooks/named.sh", "more/command/01_more.sh", "fix.sh"):  # fmt: skip
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("# primus-hook: timeout=7\n" if name == "hooks/20_all.sh" else "\n")
    return work


def plan(primus: Primus, *words: str) -> Plan:
    said = primus(*words, "dry_run=json")
    assert (said.code, said.err) == (0, "")
    return from_json(said.out)


def test_hooks_of_the_project_come_from_the_general_to_the_special(primus: Primus, project: Path) -> None:
    found = plan(primus, *COMMAND)
    assert [(h.name, h.phase, h.timeout) for h in found.hooks] == [
        ("hooks/20_all.sh", "before", 7.0),
        ("hooks/command/10_own.py", "before", 600.0),
    ]
    assert found.hooks[0].origin == str(project / "hooks/20_all.sh")


def test_the_plan_holds_their_text_and_its_hash(primus: Primus, project: Path) -> None:
    found = plan(primus, *COMMAND)
    files = {file.path: file.text for file in found.files}
    assert files["hooks/00-20_all.sh"] == "# primus-hook: timeout=7\n"
    first = found.hooks[0]
    assert first.sha256 == hashlib.sha256(b"# primus-hook: timeout=7\n").hexdigest()


def test_those_asked_for_come_first_and_patches_last(primus: Primus, project: Path) -> None:
    words = ("hooks.use=[named,monitor]", "hooks.dirs=[more]", "patches=[fix.sh]")
    names = [(h.name, h.phase, h.patch) for h in plan(primus, *COMMAND, *words).hooks]
    assert names == [
        ("named", "before", False),
        ("monitor", "before", False),
        ("monitor", "after", False),
        ("hooks/20_all.sh", "before", False),
        ("hooks/command/10_own.py", "before", False),
        ("hooks/command/01_more.sh", "before", False),
        ("fix.sh", "before", True),
    ]


def test_a_dry_run_lists_them_for_people(primus: Primus, project: Path) -> None:
    out = primus(*COMMAND, "dry_run=true", "patches=[fix.sh]").out
    assert "hook          hooks/20_all.sh  (before the ranks, on each node, at most 7 s; sha256 " in out
    assert "patch         fix.sh  (before the ranks, on each node, at most 600 s; sha256 " in out


def test_none_runs_where_they_are_turned_off(primus: Primus, project: Path) -> None:
    assert plan(primus, *COMMAND, "hooks.enabled=false").hooks == ()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hooks.use=[monitr]", "hooks.use: there is no hook 'monitr'; there are: data, dependencies, deterministic, "
                               "monitor, named. Did you mean 'monitor'?"),
        ("hooks.dirs=[lacking]", "lacking: there is no such directory"),
        ("patches=[lacking.sh]", "patches: lacking.sh: there is no such file in "),
        ("patches=[torchtitan/cpu]", "patches: torchtitan/cpu is for backend=torchtitan, not for this task"),
        ("patches=[cpu]", "patches: 'cpu' is neither a file (.sh, .py) nor a named patch"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named(primus: Primus, project: Path, word: str, message: str) -> None:
    said = primus(*COMMAND, word, "dry_run=true")
    assert said.code == 2
    assert message in said.err


def test_the_plan_lists_what_ranks_change_in_a_framework_by_themselves(primus: Primus, work: Path) -> None:
    found = plan(primus)
    assert [(p.name, p.package, p.versions, p.applied, p.file) for p in found.patches] == [
        ("torchtitan/cpu", "torchtitan", ("0.3.0",), "where there is no GPU", None),
        ("torchtitan/torch-2.13", "torchtitan", ("0.3.0",), "where torch is 2.13 or older", None),
    ]
    assert plan(primus, *COMMAND).patches == ()


def test_one_that_is_applied_anyway_need_not_be_asked_for(primus: Primus, work: Path) -> None:
    said = primus("patches=[torchtitan/cpu]", "dry_run=true")
    assert (said.code, "torchtitan/cpu is applied by Primus itself, where there is no GPU" in said.err) == (2, True)


def test_a_run_is_done_with_its_hooks_and_a_replay_repeats_those_that_it_had(
    primus: Primus, work: Path, rank: Rank
) -> None:
    (work / "hooks").mkdir()
    hook = work / "hooks/10_a.sh"
    hook.write_text("echo env.A=first")
    words = (*rank("import os; print('A is', os.environ['A'])"), "tracking.enabled=false")
    assert primus(*words).code == 0
    hook.write_text("echo env.A=second")
    first = next((work / "outputs/default").iterdir())
    assert log(first).endswith("A is first\n")
    assert facts(first)["hooks"][0]["name"] == "hooks/10_a.sh"
    assert primus(f"replay={first}", "replay_trust=true").code == 0
    assert primus(f"replay={first}", "hooks.timeout=60").code == 0
    _, again, anew = sorted((work / "outputs/default").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert log(again).endswith("A is first\n")
    assert log(anew).endswith("A is second\n")


def log(run: Path) -> str:
    return (run / "logs/node-0/rank-0.log").read_text()


def facts(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "nodes/0.json").read_text())
    return found


def test_a_python_hook_of_the_project_runs_with_the_interpreter_of_the_agent(
    primus: Primus, work: Path, rank: Rank
) -> None:
    (work / "hooks").mkdir()
    (work / "hooks/10_a.py").write_text("import sys; print(f'env.A={sys.executable}')")
    assert primus(*rank("import os; print(os.environ['A'])"), "tracking.enabled=false").code == 0
    assert log(next((work / "outputs/default").iterdir())).endswith(f"{sys.executable}\n")


def test_the_value_of_a_secret_variable_of_this_shell_is_in_no_hook(
    primus: Primus, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "12345678")
    (project / "fix.sh").write_text("X=12345678\n")
    said = primus(*COMMAND, "patches=[fix.sh]", "dry_run=json")
    assert (said.code, said.out) == (2, "")
    assert "fix.sh: the value of MY_TOKEN stands in it" in said.err
