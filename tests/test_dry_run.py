"""A dry run tells everything and does nothing."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from primus.node.plan import from_json

from .conftest import Primus, Rank, Start, everything

# Runs a command with an audit hook, which no code of the process can escape, and reports what it did.
WATCHED = """
import json, os, sys

does = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ALWAYS = ("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.mkdir", "os.rename",
          "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.kill", "shutil.",
          "tempfile.", "socket.", "sqlite3.", "urllib.", "http.", "ftplib.", "pty.")

def watch(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        does.append(f"open {arguments[0]!r} for writing")
    elif event.startswith(ALWAYS):
        does.append(f"{event} {arguments!r}")

report = sys.argv.pop(1)
sys.addaudithook(watch)
try:
    from primus.cli import main
    main()
finally:
    seen = list(does)
    modules = sorted(sys.modules)
    with open(report, "w") as file:
        json.dump({"does": seen, "modules": modules}, file)
"""


@dataclass(frozen=True)
class Watched:
    """What a command did, printed and imported."""

    code: int
    out: str
    err: str
    does: list[str]
    modules: set[str]


Watch = Callable[..., Watched]


@pytest.fixture
def watch(work: Path, tmp_path: Path) -> Watch:
    """Run a command in a process of its own, in which everything that it does to the world is noted."""
    from primus.node import process

    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()

    def run(*words: str, idle: bool = True) -> Watched:
        report = tmp_path / "report.json"
        before = everything(tmp_path)
        started = process.start(
            [sys.executable, "-c", WATCHED, str(report), *words],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(home),
                "TMPDIR": str(temporary),
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=process.PIPE,
            stderr=process.PIPE,
        )
        out, err = started.communicate(timeout=120)
        told = json.loads(report.read_text())
        report.unlink()
        assert not idle or everything(tmp_path) == before
        return Watched(started.returncode, out.decode(), err.decode(), told["does"], set(told["modules"]))

    return run


HEAVY = ("torch", "mlflow", "numpy", "pandas", "sqlalchemy", "jax", "torchtitan")


@pytest.mark.parametrize("how", ["true", "json"])
@pytest.mark.parametrize(
    "words",
    [(), ("-m", "task.optimizer.lr=1e-3,3e-3", "task.seed=1,2"), ("ranks_per_node=2", "env.forward=[PATH]")],
    ids=["alone", "sweep", "ranks"],
)
def test_it_writes_nothing_starts_nothing_connects_to_nothing_and_is_quick(
    watch: Watch, words: Sequence[str], how: str
) -> None:
    watched = watch(*words, f"dry_run={how}")
    assert (watched.code, watched.err) == (0, "")
    assert watched.does == []
    assert watched.modules.isdisjoint(HEAVY)


def test_the_watch_sees_what_a_real_run_does(watch: Watch, work: Path) -> None:
    """Else the test above would hold of nothing."""
    does = watch("task=command", "task.command=[echo]", "tracking.enabled=false", idle=False).does
    assert [event for event in does if event.startswith("subprocess.Popen")]
    assert [event for event in does if event.startswith("os.mkdir")]
    assert [event for event in does if event.startswith("open ") and "plan.json" in event]


def test_a_dry_run_of_a_replay_asks_no_server(watch: Watch) -> None:
    watched = watch("replay=0123456789abcdef", "tracking.uri=http://127.0.0.1:9", "dry_run=true")
    assert watched.code == 2
    assert "a dry run opens no connection" in watched.err
    assert watched.does == []


def test_an_error_writes_nothing_and_starts_nothing_either(watch: Watch) -> None:
    watched = watch("task.steps=x")
    assert (watched.code, watched.does) == (2, [])


def test_a_task_of_primuss_own_looks_and_does_nothing(watch: Watch) -> None:
    watched = watch("task=export", "run=no-such-run", "to=x.tar.gz", "dry_run=true")
    assert "a dry run opens no connection" in watched.err
    assert (watched.code, watched.does) == (2, [])


def test_json_is_one_plan_and_nothing_else(primus: Primus) -> None:
    said = primus("dry_run=json", "task.steps=3", "env.set.A=ü")
    plan = from_json(said.out)
    assert plan.config["task"]["steps"] == 3
    assert "ü" in said.out
    assert said.err == ""


def test_json_of_a_sweep_is_a_list_of_plans_of_one_job_as_well(primus: Primus) -> None:
    for values, count in (("1,2,3", 3), ("1", 1)):
        plans = json.loads(primus("-m", "dry_run=json", f"task.seed={values}").out)
        assert [from_json(json.dumps(p)).config["task"]["seed"] for p in plans] == [*range(1, count + 1)]
        assert len({Path(p["directory"]).parent for p in plans}) == 1
        assert [Path(p["directory"]).name for p in plans] == [str(i) for i in range(count)]


def test_json_of_what_primus_does_itself_is_json_too(primus: Primus, rank: Rank) -> None:
    assert primus(*rank(""), "tracking.enabled=false").code == 0
    (run,) = Path("outputs/default").iterdir()
    said = primus("task=export", f"run={run}", "to=x.tar.gz", "dry_run=json")
    assert json.loads(said.out) == {"task": "export", "action": f"pack {run.resolve()} into x.tar.gz"}
    assert not Path("x.tar.gz").exists()


def test_a_dry_run_tells_the_plan_that_a_run_records(primus: Primus, rank: Rank, work: Path) -> None:
    words = (*rank("print(1)"), "tracking.enabled=false", "env.set.A=a b", "env.set.HF_TOKEN=hf_abcdefgh")
    told = json.loads(primus(*words, "dry_run=json").out)
    assert primus(*words).code == 0
    (run,) = (work / "outputs/default").iterdir()
    recorded = json.loads((run / "plan.json").read_text())
    assert len(told["run_id"]) == len(recorded["run_id"])
    for plan in (told, recorded):
        del plan["run_id"], plan["directory"]
    assert told == recorded


def test_a_dry_run_shows_the_environment_that_a_rank_gets(primus: Primus, rank: Rank, work: Path) -> None:
    words = (*rank("import os; print(*(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"), "env.set.A=one")
    shown = primus(*words, "dry_run=true").out.split("environment of each rank")[1].split("files to be")[0]
    told = dict(line.strip().split("  <- ")[0].split("=", 1) for line in shown.splitlines() if "=" in line)
    got = dict(line.split("=", 1) for line in primus(*words, "tracking.enabled=false").out.splitlines() if "=" in line)
    assert told["A"] == "one"
    assert {name: got[name] for name in told} == told


def test_a_person_is_told_what_runs_where_with_which_environment_and_files(primus: Primus, work: Path) -> None:
    said = primus("dry_run=true", "ranks_per_node=2", "env.set.A=one", "env.set.HF_TOKEN=hf_abcdefgh").out
    assert said.startswith("task          train/pretrain with torchtitan\n")
    assert "ranks         2 per node, 2 in all\n" in said
    assert f"in            {work}\n" in said
    assert "  A=one  <- command line: env.set.A\n" in said
    assert "HF_TOKEN=***" in said
    assert "hf_abcdefgh" not in said
    assert "  overrides.yaml\n  rank.json\n" in said
    assert "\nrank.json:\n  model:\n    name: llama3\n" in said  # the translation into the framework's terms
    assert "lr_scheduler: {total_steps: 150, warmup_steps: 15, decay_ratio: null, decay_type: cosine" in said


def test_a_person_is_told_which_interpreter_serves_and_why(primus: Primus) -> None:
    said = primus("dry_run=true").out
    assert f"interpreter   {sys.executable}  (that of Primus itself, which has torch 2." in said
    assert "warning" not in said
    assert "interpreter" not in primus("dry_run=true", "task=command", "task.command=[echo]").out


def test_a_plan_that_no_interpreter_here_can_run_is_shown_with_a_warning(watch: Watch, work: Path) -> None:
    """It may be meant for another machine."""
    watched = watch("dry_run=true", "backend.setup.python=3.99", "backend.setup.directory=kept")
    assert (watched.code, watched.err, watched.does) == (0, "", [])
    python = r"/kept/torchtitan-\w+/bin/python"
    assert re.search(f"each rank +{work}{python} ", watched.out)
    assert re.search(f"interpreter +{work}{python}  .to be made by task=setup backend=torchtitan.", watched.out)
    assert "warning       backend=torchtitan: no interpreter has torch, torchtitan: " in watched.out
    assert (
        "  primus task=setup backend=torchtitan backend.setup.python=3.99 backend.setup.directory=kept" in watched.out
    )


def test_the_plan_of_a_setup_is_told_without_starting_anything(watch: Watch, work: Path) -> None:
    watched = watch("task=setup", "backend.setup.directory=kept", "dry_run=true")
    assert (watched.code, watched.err, watched.does) == (0, "", [])
    assert watched.out.startswith(f"make {work}/kept/torchtitan-")


def test_a_run_without_tracking_never_imports_mlflow_and_starts_no_recorder(
    start: Start, rank: Rank, work: Path
) -> None:
    process = start(*rank(""), "tracking.enabled=false", PYTHONPROFILEIMPORTTIME="1")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    modules = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert "primus.launch.run" in modules
    assert not {m for m in modules if m.split(".")[0] == "mlflow"}
    assert not {m for m in modules if m in ("primus.launch.record.store", "primus.launch.record.__main__")}
    (run,) = (work / "outputs/default").iterdir()
    assert not (run / "record.json").exists()
    assert not (work / "outputs/mlflow.db").exists()


def test_what_the_agents_of_several_nodes_add_is_named_unless_the_user_sets_it(primus: Primus, rank: Rank) -> None:
    words = (*rank("print(1)"), "dry_run=true")
    names = "GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME  <- node agent, route to node 0"
    assert names not in primus(*words).out
    assert names in primus(*words, "runtime.nodes=2").out
    told = primus(*words, "runtime.nodes=2", "env.set.NCCL_SOCKET_IFNAME=ib0").out
    assert "GLOO_SOCKET_IFNAME  <- node agent, route to node 0" in told
