"""What an MLflow run says: names, limits, notes, secrets."""

import json
from pathlib import Path

import pytest

from primus.launch.record import content

from .run_directories import TRACEBACK, make_run, report


def test_parameters_are_the_leaves_of_the_config_by_dotted_key() -> None:
    config = {"task": {"lr": 0.003, "steps": 20, "resume": None, "fast": True}, "files": ["a", "b"], "set": {}}
    assert content.parameters(config) == {
        "task.lr": "0.003",
        "task.steps": "20",
        "task.resume": "null",
        "task.fast": "true",
        "files": '["a", "b"]',
        "set": "{}",
    }


def test_a_long_value_is_cut_with_a_mark() -> None:
    value = content.parameters({"prompt": "x" * 10_000})["prompt"]
    assert len(value) == content.PARAMETER_LENGTH
    assert value.endswith("x…[cut]")


def test_keys_that_mlflow_refuses_are_made_legal_and_stay_apart() -> None:
    names = content.parameters({"a(b)": 1, "a[b]": 2, "k" * 300: 3, "../up": 4, "": 5})
    assert list(names.values()) == ["1", "2", "3", "4", "5"]
    assert list(names)[:2] == ["a_b_", "a_b__2"]
    assert all(len(name) <= content.KEY_LENGTH for name in names)


@pytest.mark.parametrize(
    ("name", "legal"),
    [("loss", "loss"), ("eval/loss", "eval/loss"), ("/a//b/", "a/b"), ("../../x", "x"), ("", "_"), ("lr%", "lr_")],
)
def test_a_metric_name_is_no_path_that_leads_away(name: str, legal: str) -> None:
    assert content.legal(name) == legal


def test_secrets_do_not_reach_parameters() -> None:
    config = {"env": {"set": {"HF_TOKEN": "hf_abc"}}, "tracking": {"uri": "https://me:pw@mlflow.example/x"}}
    assert "hf_abc" not in json.dumps(content.parameters(config))
    assert "pw" not in json.dumps(content.parameters(config))


def test_tags_of_a_node_name_its_devices_and_the_backend_version(tmp_path: Path) -> None:
    plan = make_run(tmp_path / "exp" / "run")
    tags = content.report_tags(plan, report(0), {"dirty": True})
    assert tags == {
        "primus.host": "gpu00",
        "primus.device": "2 x NVIDIA H200",
        "primus.backend_version": "0.3.0",
        "primus.world_size": "2",
        "primus.git_dirty": "true",
    }


def test_packages_are_listed_as_requirements_in_order() -> None:
    assert content.packages_text(report(0)) == "Jinja2==3.1.6\ntorch==2.13.0\ntorchtitan==0.3.0\n"


def test_the_note_says_how_it_ended_and_how_to_run_it_again(tmp_path: Path) -> None:
    plan = make_run(tmp_path / "exp" / "run", overrides=("model=tiny", "task.prompt=two words"))
    cause = {"rank": 1, "exit_code": None, "signal": "SIGKILL", "log": "logs/node-0/rank-1.log", "node_rank": 0}
    result = {"status": "FAILED", "exit_code": 1, "message": "rank 1 was killed", "root_cause": cause}
    text = content.note(plan, "/runs/a b", "abc123", result, TRACEBACK)
    assert text.startswith("**FAILED**, exit code 1\n\nrank 1 was killed")
    assert "rank 1 on node 0, signal SIGKILL, log `logs/node-0/rank-1.log`" in text
    assert "`primus replay='/runs/a b'`, or from another machine `primus replay=abc123`" in text
    assert "model=tiny 'task.prompt=two words'" in text
    assert TRACEBACK in text


def test_a_note_is_never_longer_than_mlflow_takes(tmp_path: Path) -> None:
    plan = make_run(tmp_path / "exp" / "run", overrides=("x=" + "y" * 9000,))
    result = {"status": "FAILED", "exit_code": 1, "message": "m" * 3000}
    assert len(content.note(plan, "/r", "id", result, "t" * 9000)) <= content.TAG_LENGTH
    short = make_run(tmp_path / "exp" / "run2")
    text = content.note(short, "/r", "id", {**result, "message": None}, "start" + "t" * 9000 + "end")
    assert len(text) <= content.TAG_LENGTH
    assert text.endswith("end\n```\n")


def test_the_last_traceback_is_found_without_the_columns_before_it() -> None:
    head = "2026-11-21T09:08:01.123 ERROR gpu00 r1 | "
    first = TRACEBACK.replace("finite", "first")
    log = [f"{head}{text}" for text in f"step 1\n{first}\n\n{TRACEBACK}\nclosing down".splitlines()]
    assert content.last_traceback(log) == TRACEBACK
    assert content.last_traceback(["step 1", "step 2"]) is None


def test_the_note_of_a_sweep_is_a_table_of_its_jobs() -> None:
    rows = [
        (0, ["task.lr=0.1"], {"status": "FINISHED", "metrics": {"loss": 2.5}}),
        (1, ["task.lr=a|b"], {"status": "FAILED", "metrics": {}}),
        (2, ["task.lr=1"], {}),
    ]
    text = content.sweep_note("20261121-ab", "/out", rows)
    assert "| 0 | `task.lr=0.1` | FINISHED | 2.5 |" in text
    assert "| 1 | `'task.lr=a\\|b'` | FAILED |  |" in text
    assert "| 2 | `task.lr=1` | not run |  |" in text


def test_what_all_jobs_of_a_sweep_share_is_said_once() -> None:
    rows = [(n, [f"task.lr={n}", "task.steps=30"], {}) for n in (0, 1)]
    text = content.sweep_note("20261121-ab", "/out", rows)
    assert "| 1 | `task.lr=1` |" in text
    assert text.endswith("All with `task.steps=30`")
