"""Hooks of a real agent, around real ranks."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from primus.node import rundir
from primus.node.plan import Layer, Variable

from ..conftest import Run
from .conftest import add_hooks

HELLO = "import os; print(os.environ.get('A'), os.environ.get('HF_TOKEN'))"
CLASS = """
from primus.node.hooks.spec import Context, Hooks

class Both(Hooks):
    def before_task(self, context: Context) -> None:
        context.set_environment("A", context.plan.task)

    def after_task(self, context: Context) -> None:
        print(f"after: {context.status} {context.exit_code}")
"""

Beside = Callable[..., Run]


@pytest.fixture
def beside(make: Callable[..., Run]) -> Beside:
    """Make a job with hooks: texts by their names, `phase-NN_name.sh`."""

    def build(texts: dict[str, str], script: str = HELLO, layers: tuple[Layer, ...] = (), **how: Any) -> Run:
        run = make(script, environment=layers)
        add_hooks(run, texts, **how)
        return run

    return build


def hooks(run: Run) -> list[str]:
    """The lines of hooks.log, without time and host."""
    return [" ".join(line.split()[1:2] + line.split()[3:]) for line in run.text(rundir.hooks_log(0)).splitlines()]


def test_a_hook_sets_the_environment_of_the_ranks_and_the_node_says_who_did(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo working\necho env.A=1\n", "before-20_b.py": "print('env.A=2')"})
    assert run.finish().code == 0
    assert run.messages() == ["2 None"]
    assert hooks(run) == ["INFO 10_a.sh | working", "INFO 10_a.sh | env.A=1", "INFO 20_b.py | env.A=2"]
    variable = next(v for v in run.facts["environment"] if v["name"] == "A")
    assert (variable["value"], variable["origin"]) == ("2", "hook 20_b.py")
    assert variable["overrode"] == [{"value": "1", "origin": "hook 10_a.sh"}]
    assert [(h["name"], h["status"], h["environment"]) for h in run.facts["hooks"]] == [
        ("10_a.sh", "done", ["A"]),
        ("20_b.py", "done", ["A"]),
    ]


def test_what_the_user_has_set_stays_and_the_log_says_what_was_not_taken(beside: Beside) -> None:
    user = Layer("user", (Variable("A", "mine", "env.set.A"),))
    run = beside({"before-10_a.sh": "echo env.A=1"}, layers=(user,))
    assert run.finish().code == 0
    assert run.messages() == ["mine None"]
    assert hooks(run)[-1] == "WARN agent | env.A of hook 10_a.sh is not taken: env.set.A says mine"


def test_a_hook_sees_what_earlier_ones_set_and_where_it_is(beside: Beside) -> None:
    second = 'echo "$A $PRIMUS_TASK $PRIMUS_NODE_RANK $PRIMUS_HOOK"; cd "$PRIMUS_RUN_DIR"; ls plan.json'
    run = beside({"before-10_a.sh": "echo env.A=1", "before-20_b.sh": second})
    assert run.finish().code == 0
    assert hooks(run)[1:] == ["INFO 20_b.sh | 1 command 0 20_b.sh", "INFO 20_b.sh | plan.json"]


def test_a_hook_that_fails_stops_the_job_before_any_rank_and_those_after_run(beside: Beside) -> None:
    texts = {
        "before-10_a.sh": "echo the disk is full; exit 7",
        "before-20_b.sh": "echo env.A=1",
        "after-30_c.sh": 'echo "$PRIMUS_STATUS $PRIMUS_EXIT_CODE"',
    }
    run = beside(texts)
    assert run.finish().code == 3
    assert run.outcome["status"] == "unfit"
    assert run.outcome["message"] == (
        "hook 10_a.sh ended with exit code 7: the disk is full; its output: logs/node-0/hooks.log"
    )
    assert not (run.directory / rundir.rank_log(0, 0)).exists()
    assert hooks(run) == ["INFO 10_a.sh | the disk is full", "INFO 30_c.sh | unfit 3"]


def test_exit_code_2_is_a_hook_that_had_nothing_to_do(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo env.A=1; exit 2"})
    assert run.finish().code == 0
    assert run.messages() == ["None None"]
    assert [h["status"] for h in run.facts["hooks"]] == ["skipped"]


def test_a_hook_that_takes_too_long_is_ended_with_all_that_it_started(
    beside: Beside, ends: Callable[[int], bool]
) -> None:
    for seconds in (0.3, 3.0, 30.0):  # to start what it starts may take
        run = beside({"before-10_a.sh": "sleep 600 & echo $! > pid.part; mv pid.part pid; wait"}, timeout=seconds)
        assert run.finish().code == 3
        assert run.outcome["message"].startswith(f"hook 10_a.sh took longer than {seconds:g} s and was ended")
        if (run.directory.parent / "pid").exists():
            break
    assert ends(int((run.directory.parent / "pid").read_text()))


def test_hooks_after_run_when_the_ranks_failed_and_change_nothing(beside: Beside) -> None:
    run = beside({"after-10_a.sh": 'echo "$PRIMUS_STATUS $PRIMUS_EXIT_CODE"; exit 9'}, "raise SystemExit(5)")
    agent = run.finish()
    assert agent.code == 5
    assert run.outcome["status"] == "failed"
    assert hooks(run) == ["INFO 10_a.sh | failed 5"]
    assert b"hook 10_a.sh ended with exit code 9" in agent.shown


def test_a_request_to_end_ends_the_hook_and_no_rank_starts(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "mkfifo wait; echo here > wait; sleep 600", "after-20_b.sh": "echo $PRIMUS_STATUS"})
    agent = run.start()
    fifo = run.directory.parent / "wait"
    while not fifo.exists():
        os.sched_yield()
    assert fifo.read_text() == "here\n"
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 128 + signal.SIGTERM
    assert run.outcome["status"] == "killed"
    assert hooks(run) == ["INFO 20_b.sh | killed"]


def test_a_secret_of_a_hook_reaches_the_ranks_and_no_file(beside: Beside) -> None:
    text = 'echo env.HF_TOKEN="$(printf hf_%s abcdef)"; printf "it is hf_%s\\n" abcdef'
    run = beside(
        {"before-10_a.sh": text}, "import os; print(os.environ['HF_TOKEN'] == 'hf_' + 'abcdef', 'hf_' + 'abcdef')"
    )
    assert run.finish().code == 0
    assert run.messages() == ["True ***"]
    assert hooks(run) == ["INFO 10_a.sh | env.HF_TOKEN=***", "INFO 10_a.sh | it is ***"]
    written = [path for path in run.directory.rglob("*") if path.is_file()]
    assert [path for path in written if b"hf_abcdef" in path.read_bytes()] == []


def test_a_file_that_is_not_what_the_plan_says_does_not_run(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo env.A=1"})
    (run.directory / "hooks/00-10_a.sh").write_text("echo env.A=2")
    assert run.finish().code == 3
    assert "is not what the plan says" in run.outcome["message"]


def test_a_class_is_called_before_and_after(beside: Beside) -> None:
    run = beside({"before-10_a.py": CLASS, "after-10_a.py": CLASS}, call="Both")
    assert run.finish().code == 0
    assert run.messages() == ["command None"]
    assert hooks(run)[-1] == "INFO 10_a.py | after: finished 0"


def test_an_exception_in_a_class_stops_the_job_with_its_words(beside: Beside) -> None:
    text = CLASS.replace("context.set_environment", "raise RuntimeError('no cache') or context.set_environment")
    run = beside({"before-10_a.py": text}, call="Both")
    assert run.finish().code == 3
    assert "hook 10_a.py ended with exit code 1: RuntimeError: no cache" in run.outcome["message"]


def test_a_file_that_a_hook_wants_kept_is_kept(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo content > list; echo artifact.list.txt=$PWD/list"})
    assert run.finish().code == 0
    assert run.text("artifacts/node-0/list.txt") == "content\n"
    assert run.facts["hooks"][0]["artifacts"] == {"list.txt": "artifacts/node-0/list.txt"}


def test_a_file_is_looked_for_in_the_directory_of_the_job_and_one_that_is_not_kept_is_told(beside: Beside) -> None:
    text = "echo a > a.txt; mkdir -p sub; cd sub; echo b > b.txt; echo artifact.a=a.txt; echo artifact.b=b.txt"
    run = beside({"before-10_a.sh": text})
    assert run.finish().code == 0
    job = run.directory.parent
    assert run.facts["hooks"][0]["artifacts"] == {"a": "artifacts/node-0/a", "b": None}
    told = f"artifact.b of hook 10_a.sh is not kept: {job}/b.txt: No such file or directory"
    assert hooks(run)[-1] == f"WARN agent | {told}"
    assert told in run.own_log


def test_what_a_hook_leaves_running_lives_as_long_as_the_ranks(beside: Beside, ends: Callable[[int], bool]) -> None:
    text = "sleep 600 > /dev/null 2>&1 & echo env.A=$!"
    run = beside({"before-10_a.sh": text}, "import os; os.kill(int(os.environ['A']), 0); print(os.environ['A'])")
    assert run.finish().code == 0
    assert ends(int(run.messages()[0]))
    assert "left behind" not in run.own_log


def test_arguments_are_options_of_the_ranks_program(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo extra.data.path=/data"}, "import sys; print(sys.argv[1:])")
    assert run.finish().code == 0
    assert run.messages() == ["['--data.path=/data']"]


def test_a_hook_that_asks_for_what_none_may_have_is_a_wrong_request(beside: Beside) -> None:
    run = beside({"before-10_a.sh": "echo env.RANK=3"})
    assert run.finish().code == 2
    assert run.outcome["message"] == "hook 10_a.sh: env.RANK is not for a hook to set"


def test_the_plan_of_the_run_directory_is_the_one_that_hooks_read(beside: Beside) -> None:
    run = beside({"before-10_a.sh": 'cp "$PRIMUS_RUN_DIR/plan.json" copy'})
    assert run.finish().code == 0
    assert json.loads(Path(run.directory.parent / "copy").read_text())["hooks"][0]["name"] == "10_a.sh"
