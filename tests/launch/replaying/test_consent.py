"""Hooks and patches of a recorded run run only where they are those of this machine, or where the user says so."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ...conftest import Primus, Rank
from ...terminal import primus_at_a_terminal

TEXT = "import os; print('A is', os.environ.get('A'))"
OFF = ("tracking.enabled=false", "node.metrics_interval=0")


@pytest.fixture
def sent(primus: Primus, rank: Rank, work: Path) -> Path:
    """A run with a hook, as a stranger hands it on: copied, and the hook is not one of this machine."""
    (work / "hooks").mkdir()
    (work / "hooks/10_a.sh").write_text("echo env.A=theirs\necho $(id)\n")
    said = primus(*rank(TEXT), *OFF)
    assert said.code == 0, said.err
    (run,) = (work / "outputs/default").iterdir()
    shutil.copytree(run, work / run.name)
    shutil.rmtree(work / "outputs")
    (work / "hooks/10_a.sh").unlink()
    return work / run.name


@pytest.fixture
def printed(work: Path) -> Callable[[], list[str]]:
    """What the ranks of each run that was started here have printed, in order."""

    def read() -> list[str]:
        logs = sorted((work / "outputs/default").glob("*/logs/node-0/rank-0.log"), key=lambda p: p.stat().st_mtime_ns)
        return [log.read_text().rstrip("\n").rpartition(" | ")[2] for log in logs]

    return read


Printed = Callable[[], list[str]]


def test_a_hook_that_is_not_here_is_shown_and_refused_where_nobody_can_be_asked(
    primus: Primus, sent: Path, printed: Printed
) -> None:
    said = primus(f"replay={sent}")
    assert said.code == 2
    shown, refused = said.err.splitlines()[:-1], said.err.splitlines()[-1]
    assert shown[0] == (
        f"primus: hook hooks/10_a.sh (before the ranks), recorded from {sent.parent}/hooks/10_a.sh, is not here:"
    )
    assert {"  +echo env.A=theirs", "  +echo $(id)"} <= set(shown)
    assert refused == (
        f"primus: replay of {sent}: it would run 1 hook or patch that this machine has not so, shown above. Nothing "
        "was started. To run them as recorded: replay_trust=true; to run those of this machine: hooks.enabled=true; "
        "to run none: hooks.enabled=false patches=[]"
    )
    assert printed() == []


def test_a_hook_that_differs_from_the_one_here_is_shown_with_what_differs(
    primus: Primus, sent: Path, work: Path, printed: Printed
) -> None:
    (work / "hooks/10_a.sh").write_text("echo env.A=mine\necho $(id)\n")
    said = primus(f"replay={sent}")
    assert said.code == 2
    assert f"differs from {work}/hooks/10_a.sh:\n" in said.err
    assert "\n  -echo env.A=mine\n  +echo env.A=theirs\n   echo $(id)\n" in said.err
    assert primus(f"replay={sent}", "hooks.enabled=true").code == 0
    assert primus(f"replay={sent}", "hooks.enabled=false", "patches=[]").code == 0
    assert primus(f"replay={sent}", "replay_trust=true").code == 0
    assert printed() == ["A is mine", "A is None", "A is theirs"]


def replaced(run: Path, text: str, copy: bool = True) -> None:
    """Give the run's hook another text in its plan, which is what runs; its copy is the same, or only looks so."""
    plan = json.loads((run / "plan.json").read_text())
    hook = plan["hooks"][0]
    hook["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    for file in plan["files"]:
        file["text"] = text if file["path"] == hook["file"] else file["text"]
    (run / "plan.json").write_text(json.dumps(plan))
    (run / hook["file"]).write_text(text if copy else "echo well\n")


HIDING = f"echo 'checking' {' ' * 170}; touch EVIL1\n" + "# a comment\n" * 60 + "touch EVIL2\n"


def test_nothing_at_the_end_of_a_long_line_is_hidden(primus: Primus, sent: Path) -> None:
    replaced(sent, HIDING)
    said = primus(f"replay={sent}").err.splitlines()
    first = next(n for n, line in enumerate(said) if line.startswith("  +echo 'checking'"))
    assert said[first + 1].startswith("    > ")
    assert said[first + 1].endswith("; touch EVIL1")


def test_where_the_lines_that_are_not_shown_are_is_told(primus: Primus, sent: Path) -> None:
    replaced(sent, HIDING)
    said = primus(f"replay={sent}").err
    assert f"\n  ... 26 lines more: {sent}/hooks/00-10_a.sh is the whole text\n" in said
    assert "touch EVIL2" in (sent / "hooks/00-10_a.sh").read_text()


def test_all_is_shown_where_no_file_has_the_text_that_would_run(primus: Primus, sent: Path) -> None:
    replaced(sent, HIDING, copy=False)
    said = primus(f"replay={sent}").err
    assert "\n  +touch EVIL2\n" in said
    assert "lines more" not in said


def test_a_character_that_only_looks_like_the_end_of_a_line_is_shown_and_ends_none(primus: Primus, sent: Path) -> None:
    replaced(sent, "# a comment\x0bof one line\rto its end\n")
    assert "\n  +# a comment\\x0bof one line\\rto its end\n" in primus(f"replay={sent}").err


def test_a_hook_that_is_one_of_this_machine_is_run_without_a_word(
    primus: Primus, sent: Path, work: Path, printed: Printed
) -> None:
    (work / "hooks/10_a.sh").write_text("echo env.A=theirs\necho $(id)\n")
    said = primus(f"replay={sent}")
    assert (said.code, "hook hooks/" in said.err) == (0, False)
    assert printed() == ["A is theirs"]


def test_a_hook_of_this_machine_at_another_time_than_it_is_for_is_not_one_of_this_machine(
    primus: Primus, sent: Path, work: Path
) -> None:
    (work / "hooks/10_a.sh").write_text("echo env.A=theirs\necho $(id)\n")
    plan = json.loads((sent / "plan.json").read_text())
    plan["hooks"][0]["phase"] = "after"
    (sent / "plan.json").write_text(json.dumps(plan))
    assert primus(f"replay={sent}").code == 2


def test_a_sweep_over_a_replay_asks_as_well(primus: Primus, sent: Path, printed: Printed) -> None:
    said = primus(f"replay={sent}", "-m", "env.set.B=1,2")
    assert (said.code, "1 hook or patch" in said.err) == (2, True)
    assert printed() == []


def test_a_dry_run_shows_the_plan_and_asks_nothing(primus: Primus, sent: Path) -> None:
    said = primus(f"replay={sent}", "dry_run=true")
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2)])
def test_at_a_terminal_the_user_is_asked(sent: Path, answer: str, code: int) -> None:
    with primus_at_a_terminal(f"replay={sent}") as terminal:
        terminal.until("Run it as recorded? [y/N]")
        terminal.type(f"{answer}\n")
        assert terminal.wait() == code, terminal.shown
    assert ("A is theirs" in terminal.shown) == (code == 0)


def test_what_a_terminal_would_obey_is_shown_as_text(primus: Primus, sent: Path) -> None:
    plan = json.loads((sent / "plan.json").read_text())
    plan["hooks"][0]["origin"] = "\x1b[2Jhooks/10_a.sh\n"
    (sent / "plan.json").write_text(json.dumps(plan))
    said = primus(f"replay={sent}")
    assert "\x1b" not in said.err
    assert r"recorded from \x1b[2Jhooks/10_a.sh\n, is not here" in said.err


def test_a_patch_file_that_differs_is_asked_for_and_one_that_is_here_is_not(
    primus: Primus, rank: Rank, work: Path, printed: Printed
) -> None:
    (work / "fix.sh").write_text("echo env.A=fixed")
    assert primus(*rank(TEXT), *OFF, "patches=[fix.sh]").code == 0
    (run,) = (work / "outputs/default").iterdir()
    assert primus(f"replay={run}").code == 0
    (work / "fix.sh").write_text("echo env.A=changed")
    said = primus(f"replay={run}")
    assert said.code == 2
    assert "  -echo env.A=changed\n  +echo env.A=fixed\n" in said.err
    assert printed() == ["A is fixed"] * 2


def test_a_run_of_ones_own_goes_on_with_the_hooks_that_it_began_with_and_a_strangers_does_not(
    primus: Primus, rank: Rank, work: Path, printed: Printed
) -> None:
    (work / "hooks").mkdir()
    (work / "hooks/10_a.sh").write_text("echo env.A=first")
    assert primus(*rank(TEXT), *OFF).code == 0
    (run,) = (work / "outputs/default").iterdir()
    (work / "hooks/10_a.sh").write_text("echo env.A=second")
    assert primus(f"resume={run}").code == 0
    assert printed() == ["A is first"]
    copy = work / "sent" / run.name
    shutil.copytree(run, copy)
    assert primus(f"resume={copy}").code == 2
    shutil.rmtree(run)


def test_a_file_of_the_record_that_is_no_copy_of_a_hook_is_not_run(primus: Primus, sent: Path, work: Path) -> None:
    (work / "evil.sh").write_text("touch evil")
    plan = json.loads((sent / "plan.json").read_text())
    for path in (str(work / "evil.sh"), "hooks/../../evil.sh", "hooks/..", "../evil.sh", "plan.json"):
        plan["hooks"][0]["file"] = path
        (sent / "plan.json").write_text(json.dumps(plan))
        said = primus(f"replay={sent}", "replay_trust=true")
        assert (said.code, f"hook hooks/10_a.sh: {path!r} is no file of the plan" in said.err) == (2, True)
    assert not (work / "evil").exists()
