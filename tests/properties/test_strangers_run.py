"""A run directory from someone else is data: whatever is in it, nothing of it is evaluated, obeyed or sent anywhere."""

import copy
import http.server
import json
import os
import random
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from primus.launch import closing, handle, state
from primus.launch.problems import BadRequest
from primus.launch.replaying import finding
from primus.launch.report import comparison, job, page, reading, writing
from primus.launch.task import diagnose, diff, runs, status
from primus.node import process

from ..cluster.slurm import Slurm
from ..conftest import Primus
from ..launch.replaying.conftest import one_run, recorded

__all__ = ["one_run", "recorded"]

SECRET = "hf_strangers-would-like-this"


def change(run: Path, name: str, **values: Any) -> None:
    """Change keys of a JSON or YAML file of a run."""
    file = run / name
    content = yaml.safe_load(file.read_text()) if file.exists() else {}
    text = yaml.safe_dump(content | values) if name.endswith(".yaml") else json.dumps(content | values)
    file.write_text(text)


# The config.


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {callbacks: {x: {_target_: pathlib.Path.touch, self: evil}}}",
        "hydra: {job: {env_set: {A: b}}, searchpath: [file:///tmp]}",
        "defaults: [{override hydra/launcher: submitit_slurm}]",
        "_target_: pathlib.Path.touch",
        "x: !!python/object/apply:pathlib.Path.touch [evil]",
        "x: !!python/name:os.system ''",
        "task: {name: ../../../../tmp/evil, command: x}",
        "task: {name: os.system, command: x}",
        "task: [1]",
        "when: 2026-11-21",
        "env: {set: {A: !!set {a}}, forward: []}",
        "env: {set: {A: !!binary AAAA}, forward: []}",
        "env: &a {set: *a, forward: []}",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
        "a: " + "[" * 400 + "]" * 400,
    ],
)  # fmt: skip
def test_a_config_that_would_be_more_than_data_is_refused(primus: Primus, recorded: Path, text: str) -> None:
    own = yaml.safe_load((recorded / "config.yaml").read_text())
    name = text.split(":")[0]
    (recorded / "config.yaml").write_text(yaml.safe_dump({k: v for k, v in own.items() if k != name}) + text + "\n")
    said = primus(f"replay={recorded}")
    assert said.code == 2, said.err
    assert said.err.startswith("primus: ")
    assert "Traceback" not in said.err
    assert not Path("evil").exists()


def test_no_reference_of_a_config_is_resolved_here(
    primus: Primus, recorded: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN", SECRET)
    words = ["${oc.env:SEEN}", "${oc.decode:'[1,2]'}", "${now:%Y}", "${hydra:runtime.cwd}", "${env.set}", "${SEEN}"]
    (work / "evil.yaml").write_text("name: tiny\nlayers: ${oc.env:SEEN}\n")
    change(recorded, "config.yaml", task={"name": "command", "command": ["echo", *words]})
    change(recorded, "config.yaml", experiment={"name": f"../{'../' * 9}{work}/evil"})
    said = primus(f"replay={recorded}", "dry_run=json", "experiment.name=mine")
    assert said.code == 0, said.err
    assert json.loads(said.out)["job"]["command"] == ["echo", *words]
    assert SECRET not in said.out


# Paths.


def test_the_directory_of_a_run_that_goes_on_is_its_own_whatever_its_plan_says(
    primus: Primus, recorded: Path, work: Path
) -> None:
    victim = work / "victim"
    victim.mkdir()
    (victim / "plan.json").write_text("mine")
    for name in (str(victim), "../../victim", "other"):
        change(recorded, "plan.json", run_id=name)
        said = primus(f"resume={recorded}")
        assert (said.code, "goes on in a folder of that name" in said.err) == (2, True)
    assert (victim / "plan.json").read_text() == "mine"


@pytest.mark.parametrize("log", ["../../../mine.log", "/etc/hostname", None, 3])
def test_the_log_that_a_result_names_is_one_of_the_run(primus: Primus, recorded: Path, work: Path, log: Any) -> None:
    (work / "mine.log").write_text(SECRET)
    cause = {"rank": 0, "exit_code": 1, "node_rank": 0, "log": log, "time": 1.0}
    change(recorded, "result.json", status="FAILED", root_cause=cause)
    said = primus("task=status", f"run={recorded}")
    assert (said.code, SECRET in said.out + said.err) == (0, False)
    assert "(unknown)\nwhy     its files are none of Primus's: root_cause.log: " in said.out
    said = primus("task=diagnose", f"run={recorded}")
    assert (said.code, SECRET in said.out + said.err) == (0, False)
    assert said.out.startswith(f"primus: outputs/default/{recorded.name} is unknown: its files are none of Primus's: ")


def test_the_jobs_of_a_sweep_are_below_it(recorded: Path, work: Path) -> None:
    (work / "sweep").mkdir()
    (work / "sweep/sweep.json").write_text(
        json.dumps({"jobs": [{"index": "../outputs"}, {"index": -1}, 3, {"index": 0}]})
    )
    assert state.jobs(work / "sweep") == [work / "sweep/0"]


def test_links_and_pipes_in_a_run_are_neither_recorded_nor_waited_for(primus: Primus, recorded: Path) -> None:
    from primus.launch.record import files

    for name in ("result.json", "nodes/0.json", "logs/node-0/rank-0.log", "handle.json"):
        (recorded / name).unlink()
        os.mkfifo(recorded / name)
    (recorded / "hooks").symlink_to("/etc")
    (recorded / "results.csv").symlink_to("/etc/hostname")
    assert not [name for name in files.artifacts(recorded) if name.startswith(("hooks", "results"))]
    for words in (["task=status", f"run={recorded}", "tracking.enabled=false"], ["task=logs", f"run={recorded}"]):
        assert primus(*words).code == 0


def test_what_a_link_in_a_run_leads_to_is_neither_shown_nor_recorded(
    primus: Primus, recorded: Path, work: Path
) -> None:
    (work / "mine").mkdir()
    (work / "mine/text").write_text(f"Traceback (most recent call last):\n  x\nE: {SECRET}\n")
    line = {"time": 1.0, "step": 1, "kind": "gemm", "loss": 1.0, SECRET: 2.0}
    (work / "mine/lines").write_text(json.dumps(line) + "\n")
    cause = {"rank": 0, "exit_code": 1, "node_rank": 0, "log": "logs/node-0/rank-0.log", "time": 1.0}
    change(recorded, "result.json", status="FAILED", root_cause=cause)
    (recorded / "report.html").unlink()
    for name, to in (
        *(("logs/node-0/rank-0.log", "text"), ("logs/job.log", "text")),
        *(("metrics/rank-0.jsonl", "lines"), ("metrics/node-0.jsonl", "lines"), ("results.jsonl", "lines")),
    ):
        (recorded / name).unlink(missing_ok=True)
        (recorded / name).parent.mkdir(exist_ok=True)
        (recorded / name).symlink_to(work / "mine" / to)
    here = (f"run={recorded}", "tracking.enabled=false")
    told = [primus(f"task={task}", *here) for task in ("status", "diagnose", "logs")]
    told += [primus("task=export", f"run={recorded}", f"to={work}/run.tar.gz")]
    writing.of_run(recorded)
    assert not [said for said in told if said.code]
    assert not [said for said in told if SECRET in said.out + said.err]
    with tarfile.open(work / "run.tar.gz") as tar:
        tar.extractall(work / "outputs/unpacked", filter="data")
    kept = [path for path in (work / "outputs").rglob("*") if path.is_file() and not path.is_symlink()]
    assert "report.html" in {path.name for path in kept}
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    (recorded / "config.yaml").unlink()
    (recorded / "config.yaml").symlink_to(work / "mine/text")
    assert reading.run(recorded).config == ""


# Who is told, and who is ended.


@contextmanager
def server() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", asked
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def test_nothing_is_sent_to_a_tracking_server_that_only_the_run_names(primus: Primus, recorded: Path) -> None:
    with server() as (uri, asked):
        config = json.loads((recorded / "plan.json").read_text())["config"]
        change(recorded, "plan.json", config=config | {"tracking": {"enabled": True, "uri": uri, "wait": 1}})
        change(recorded, "record.json", tracking_uri=uri, run_id="a" * 32, complete=False)
        said = primus("task=status", f"run={recorded}")
    assert (said.code, asked) == (0, [])
    assert f"not complete: its record is at {uri}; to complete it there, say so: tracking.uri={uri}\n" in said.out


def test_a_run_that_was_begun_here_is_known_from_a_copy_of_it(recorded: Path, one_run: Path, work: Path) -> None:
    (original,) = (one_run / "default").iterdir()
    assert handle.made_here(original)
    assert not handle.made_here(recorded)
    recorded.rename(work / "moved")
    assert not handle.made_here(work / "moved")


def test_a_process_that_a_handle_names_is_not_ended_unless_it_has_the_run_open(primus: Primus, recorded: Path) -> None:
    (recorded / "result.json").unlink()
    mine = subprocess.Popen(["sleep", "600"])
    try:
        change(recorded, "handle.json", pid=mine.pid, started=process.began(mine.pid))
        assert state.read(recorded).name == "RUNNING"
        said = primus("task=cancel", f"run={recorded}", "tracking.enabled=false")
        assert said.code == 0, said.err
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()


@pytest.mark.parametrize("job", ["--user=root", "1 2", "-1", "1;id"])
def test_a_job_id_is_a_number_and_no_option_of_scancel(recorded: Path, job: str) -> None:
    change(recorded, "handle.json", job_id=job)
    assert handle.of(recorded) is None


@pytest.mark.slurm
@pytest.mark.slow
def test_a_job_of_slurm_that_is_another_runs_is_not_cancelled(slurm: Slurm, primus: Primus, recorded: Path) -> None:
    job = slurm.ask("sbatch", "--parsable", "--chdir=/tmp", "--output=/dev/null", "--wrap=sleep 600").strip()
    (recorded / "result.json").unlink()
    change(recorded, "handle.json", job_id=job)
    said = primus("task=cancel", f"run={recorded}", "tracking.enabled=false")
    assert said.code == 2
    assert f"names Slurm job {job}, which is not of this run but of /tmp: nothing is cancelled" in said.err
    assert slurm.job(job)["JobState"] in ("PENDING", "RUNNING")
    slurm.ask("scancel", job)


# What is shown.


def test_text_in_a_run_is_no_markup_of_a_page_or_a_terminal(primus: Primus, recorded: Path, work: Path) -> None:
    evil = "<script>alert(1)</script>[/b][red]"
    config = json.loads((recorded / "plan.json").read_text())["config"]
    config["env"]["set"]["KEPT"] = config["experiment"]["name"] = evil
    change(recorded, "plan.json", overrides=[f"env.set.KEPT={evil}"], config=config, run_id=evil, task=evil)
    change(recorded, "config.yaml", env=config["env"])
    change(recorded, "nodes/0.json", host=evil, packages={"torch": evil})
    change(recorded, "result.json", status="FAILED", message=evil)
    (recorded / "metrics/rank-0.jsonl").write_text(json.dumps({"time": 1e9, "step": 1, evil: 1.0, "loss": 1.0}) + "\n")
    other = work / "other"
    shutil.copytree(recorded, other)
    change(other, "config.yaml", env={"set": {"KEPT": "[/i]"}, "forward": []})
    read = reading.run(recorded)
    for text in (page.html(job.page(read)), page.html(comparison.page(evil, evil, [read]))):
        assert "alert(1)" in text
        assert "<script>alert" not in text
    said = primus("task=diff", f"run_a={recorded}", f"run_b={other}")
    assert (said.code, "[/i]" in said.out) == (0, True)
    assert primus("task=runs").code == 0


# Anything.

JUNK: list[Any] = [
    *(None, True, -1, 0, 1e300, float("nan"), 10**30, "x", "../../x", "[/x]", "\ud800", "a\0b", "9" * 400),
    *([], {}, [1], ["a"], {"a": 1}, {"a": {"b": [1]}}, [[[]]]),
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested data."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def damaged(value: Any, at: tuple[Any, ...], junk: Any) -> Any:
    """The data with something else in one place; without it where that is to be."""
    if not at:
        return junk
    whole = part = copy.deepcopy(value)
    for key in at[:-1]:
        part = part[key]
    if junk is places and isinstance(part, dict):
        del part[at[-1]]
    else:
        part[at[-1]] = None if junk is places else junk
    return whole


def look(run: Path, other: finding.SavedRun) -> None:
    """All that shows a run, as the tasks do."""
    found = state.read(run)
    json.dumps(status.as_data(found))
    assert [*status._rows(found, "")]
    runs.table([found], run.parent.parent)
    if found.name == "FAILED":
        closing.failure(run, json.loads((run / "result.json").read_text()))
    told, _ = diagnose.of_run(found)
    json.dumps(told)
    for shown in (lambda: diff.differences(other, finding.from_directory(run)), lambda: _reports(run)):
        try:
            shown()
        except (BadRequest, ValueError, OSError):  # as `reading.run` says; its callers make a message of it
            continue


def _reports(run: Path) -> None:
    read = reading.run(run)
    try:
        page.html(job.page(read))
        page.html(comparison.page("x", "", [read, read]))
    except ValueError as error:
        raise AssertionError("a report of a run that can be read") from error


def fail(run: Path) -> None:
    """Make it a run that failed, as such a run is written down."""
    cause = {"rank": 0, "node_rank": 0, "exit_code": 1, "signal": None, "log": "logs/node-0/rank-0.log", "time": 1.0}
    evidence = {"text": "x", "log": cause["log"], "line": 1, "rank": 0, "node_rank": 0}
    also = [{"failure": "import", "title": "a module is missing", "evidence": evidence}]
    found = {
        "failure": "disk-full",
        "title": "full",
        "cause": "A write failed.",
        "advice": ["df"],
        "figures": ["1 GiB"],
    }
    told = {**found, "evidence": evidence, "also": also}
    change(run, "result.json", status="FAILED", exit_code=1, root_cause=cause, diagnosis=told)
    change(run, "nodes/0.json", outcome={"status": "failed", "exit_code": 1, "root_cause": cause, "ranks": [cause] * 2})


@pytest.mark.parametrize("log", ["a\0b", "x" * 5000, "\ud800"])
def test_a_log_of_no_name_that_a_file_can_have_is_no_log(recorded: Path, log: str) -> None:
    fail(recorded)
    original = finding.from_directory(recorded)
    change(recorded, "result.json", root_cause={**original.result["root_cause"], "log": log} if original.result else {})
    look(recorded, original)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"root_cause": {"rank": 0, "exit_code": 1, "log": "logs/x", "node_rank": "x"}}, "root_cause.node_rank"),
        ({"diagnosis": "x"}, "diagnosis"),
        ({"diagnosis": {"failure": "x"}}, "diagnosis.cause"),
        ({"diagnosis": {"failure": "x", "cause": "x", "title": "x", "evidence": {}}}, "diagnosis.evidence.text"),
    ],
)
def test_a_result_that_primus_would_not_write_is_not_shown_but_said_to_be_wrong(
    recorded: Path, values: dict[str, Any], wrong: str
) -> None:
    change(recorded, "result.json", status="FAILED", **values)
    found = state.read(recorded)
    assert found.reason.startswith(f"its files are none of Primus's: {wrong}: ")
    assert diagnose.of_run(found)[1].endswith(found.reason)
    with pytest.raises(ValueError, match=wrong):
        reading.run(recorded)


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("name", ["plan.json", "result.json", "nodes/0.json", "handle.json", "record.json"])
def test_any_value_in_any_place_of_a_file_is_shown_or_said_to_be_wrong(recorded: Path, name: str, failed: bool) -> None:
    if failed:
        fail(recorded)
    original, file = finding.from_directory(recorded), recorded / name
    content = json.loads(file.read_text()) if file.exists() else {"tracking_uri": "x", "run_id": "a"}
    draw = random.Random(name)
    everywhere: list[tuple[Any, ...]] = [*places(content)]
    choices: list[Any] = [*JUNK, places]
    for _ in range(25):
        file.write_text(json.dumps(damaged(content, draw.choice(everywhere), draw.choice(choices))))
        look(recorded, original)
    for text in ("", "[" * 100_000, "{", "null", "\ufeff{}"):
        file.write_text(text)
        look(recorded, original)
