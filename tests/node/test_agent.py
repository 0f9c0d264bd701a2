"""A node's part of a job from start to outcome."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from primus.node import rundir

from ..conftest import port

NODE = Path(rundir.__file__).parent
# A Python 3.9 as pyenv keeps it, else one on the path; the syntax is held to 3.9 by tests/test_import_rules.py anyway.
OLDEST = next(map(str, Path.home().glob(".pyenv/versions/3.9.*/bin/python3")), shutil.which("python3.9"))


def test_a_job_whose_ranks_all_end_well_is_finished(make):
    run = make("print('hello')", ranks=2)
    agent = run.finish()
    assert (agent.code, agent.shown, agent.errors) == (0, b"hello\n", b"")
    assert run.outcome["status"] == "finished"
    assert run.outcome["root_cause"] is None
    assert [(r["rank"], r["exit_code"], r["signal"]) for r in run.outcome["ranks"]] == [(0, 0, None), (1, 0, None)]


def test_the_exit_code_is_that_of_the_rank_that_failed(make):
    run = make("import os, sys, time; sys.exit(7) if os.environ['RANK'] == '1' else time.sleep(600)", ranks=2)
    assert run.finish().code == 7
    assert run.outcome["message"] == "rank 1 ended with exit code 7"
    assert run.root_cause["log"] == "logs/node-0/rank-1.log"
    assert [r["signal"] for r in run.outcome["ranks"]] == ["SIGTERM", None]


def test_the_root_cause_is_the_rank_that_raised_though_another_ended_first(make):
    script = """
import os, sys, time, traceback
meeting = os.environ["PRIMUS_RUN_DIR"] + "/raised"
if os.environ["RANK"] == "1":
    try:
        raise ValueError("loss is not a number")
    except ValueError:
        traceback.print_exc()
    open(meeting, "w").close()
    while not os.path.lexists(meeting + ".other"): time.sleep(0.01)
    other = "/proc/" + os.readlink(meeting + ".other")
    while os.path.exists(other): time.sleep(0.01)  # still tearing down when rank 0 is gone
    os._exit(5)
while not os.path.exists(meeting): time.sleep(0.01)
os.symlink(str(os.getpid()), meeting + ".other")
print("RuntimeError: connection closed by peer", flush=True)
os._exit(9)
"""
    run = make(script, ranks=2)
    assert run.finish().code == 5
    assert (run.root_cause["rank"], run.root_cause["exit_code"]) == (1, 5)
    assert run.outcome["message"] == "rank 1 ended with exit code 5: ValueError: loss is not a number"


def test_a_traceback_that_a_rank_survived_does_not_make_it_the_cause(make):
    script = """
import os, sys, time, traceback
if os.environ["RANK"] == "0":
    try:
        raise OSError("try again")
    except OSError:
        traceback.print_exc()
    print("going on", flush=True)
    open(os.environ["PRIMUS_RUN_DIR"] + "/survived", "w").close()
    time.sleep(600)
while not os.path.exists(os.environ["PRIMUS_RUN_DIR"] + "/survived"): time.sleep(0.01)
sys.exit(4)
"""
    run = make(script, ranks=2)
    assert run.finish().code == 4
    assert run.root_cause["rank"] == 1


def test_a_rank_killed_from_outside_is_named_with_its_signal(make):
    run = make("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    agent = run.start()
    os.kill(int(agent.line()), signal.SIGKILL)
    assert agent.wait() == 137
    assert (run.root_cause["rank"], run.root_cause["signal"], run.root_cause["exit_code"]) == (0, "SIGKILL", 137)
    assert run.outcome["message"] == "rank 0 was ended by SIGKILL"


def test_a_rank_that_ends_by_a_fault_has_the_shells_code_for_it(make):
    run = make("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert run.finish().code == 139
    assert run.root_cause["signal"] == "SIGSEGV"


def test_ranks_get_what_defines_them(make):
    run = make("import os, json; print(json.dumps(dict(os.environ)))", ranks=2, console_ranks="1")
    agent = run.finish(env={"RANK": "77", "MASTER_ADDR": "elsewhere", "OMP_NUM_THREADS": "3"})
    environ = json.loads(agent.shown)
    assert {name: environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK")} == {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "NODE_RANK": "0",
    }
    assert environ["MASTER_ADDR"] == "127.0.0.1"
    assert 0 < int(environ["MASTER_PORT"]) < 32768
    assert environ["PRIMUS_RUN_DIR"] == str(run.directory)
    assert environ["PRIMUS_METRICS"] == str(run.directory / "metrics/rank-1.jsonl")
    assert (environ["PYTHONUNBUFFERED"], environ["OMP_NUM_THREADS"]) == ("1", "3")


def test_a_rank_can_write_its_metrics_where_it_is_told(make):
    run = make("import os; open(os.environ['PRIMUS_METRICS'], 'a').write('{}')")
    assert run.finish().code == 0
    assert run.text(rundir.rank_metrics(0)) == "{}"


def test_ranks_inherit_no_file_and_no_blocked_signal(make):
    script = "import os, signal; print(os.listdir('/proc/self/fd'), signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    agent = make(script).finish()
    assert agent.shown == b"['0', '1', '2', '3'] set()\n"  # 3: the listing itself


def test_placeholders_of_the_command_are_filled(make):
    run = make(argv=["/bin/echo", "{primus.run_dir}/x", "{primus.world_size}", "{unknown}", "{}"])
    assert run.finish().shown.decode() == f"{run.directory}/x 1 {{unknown}} {{}}\n"


def test_a_program_that_is_missing_is_named_and_nothing_runs(make):
    run = make(argv=["no-such-python", "train.py"])
    assert run.finish().code == 3
    assert run.outcome["status"] == "unfit"
    assert run.outcome["message"] == "the program of the ranks is not on this node: no-such-python"


def test_a_program_that_cannot_be_run_is_named(make, tmp_path):
    program = tmp_path / "tool"
    program.write_text("text, not a program")
    run = make(argv=[str(program)])
    assert run.finish().code == 3
    assert run.outcome["message"] == f"the program of the ranks cannot be run: {program}: Permission denied"
    program.chmod(stat.S_IRWXU)
    assert run.finish().code == 3
    assert run.outcome["message"] == f"the program of the ranks cannot be run: {program}: Exec format error"


def test_a_working_directory_that_is_missing_is_named(make, tmp_path):
    run = make("print(1)", directory=str(tmp_path / "gone"))
    assert run.finish().code == 3
    assert run.outcome["message"] == f"the working directory of the ranks is missing on this node: {tmp_path / 'gone'}"


def test_degrees_that_do_not_fit_the_ranks_are_a_wrong_request(make):
    run = make("print(1)", ranks=2, parallel={"tensor": 4})
    assert run.finish().code == 2
    assert run.outcome["message"] == "2 ranks in all is not a multiple of tensor 4"


def test_a_port_that_the_user_gave_and_that_is_taken_is_a_wrong_request(make, layer):
    given = port()
    with socket.create_server(("127.0.0.1", given)):
        run = make("print(1)", environment=[layer("user", "env.set.MASTER_PORT", MASTER_PORT=str(given))])
        assert run.finish().code == 2
    assert run.outcome["message"].startswith(f"MASTER_PORT={given} is taken on this host")
    assert run.finish().code == 0


def test_more_than_one_node_says_what_is_missing(make):
    run = make("print(1)", nodes=2)
    assert run.finish().code == 2
    assert "2 nodes" in run.outcome["message"]


def test_cores_given_to_the_job_bind_its_ranks(make):
    core = str(min(os.sched_getaffinity(0)))
    script = "import os; print(os.sched_getaffinity(0), os.environ['OMP_NUM_THREADS'])"
    agent = make(script).finish("--cores", core)
    assert agent.shown.decode() == f"{{{core}}} 1\n"


def test_cores_that_there_are_not_make_the_node_unfit(make):
    run = make("print(1)")
    assert run.finish("--cores=99999").code == 3
    assert run.outcome["message"].startswith("cores 99999 cannot be used")


def test_a_device_that_there_is_not_is_a_wrong_request(make):
    run = make("print(1)", gpu="cpu")
    assert run.finish("--devices", "5").code == 2
    assert run.outcome["message"] == "device 5 is not visible on this node; there are: none"


def test_a_node_without_gpus_is_unfit_for_a_profile_of_some(make):
    run = make("print(1)", gpu="h200", gpu_models=("NVIDIA H200",))
    assert run.finish(env={"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}).code == 3
    assert run.outcome["status"] == "unfit"
    assert run.outcome["message"].startswith("gpu=h200, and this node has no GPU that the job may use. Mend it")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--plan is missing"),
        (("--plan",), "--plan needs a value"),
        (("--plna", "x"), "there is no option --plna"),
        (("--plan", "x", "--node-rank", "one"), "--node-rank: 'one' is not a number"),
    ],
)
def test_a_command_line_that_cannot_be_read_says_why(words, told):
    done = subprocess.run([sys.executable, str(NODE), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"primus: {told}\nusage: ")


def test_a_plan_that_cannot_be_read_says_why(make):
    run = make("print(1)")
    (run.directory / rundir.PLAN).write_text('{"schema": 99}')
    agent = run.finish()
    assert agent.code == 2
    assert b"plan schema 99, this Primus reads" in agent.errors


def test_the_facts_tell_what_the_node_is_and_resolved(make, layer):
    layers = [
        layer("gpu profile", "conf/gpu/x.yaml", NCCL_DEBUG="WARN"),
        layer("user", "env.set.NCCL_DEBUG", NCCL_DEBUG="INFO"),
    ]
    run = make("print(1)", ranks=2, environment=layers)
    run.finish(env={"HSA_ENABLE_SDMA": "1", "UNRELATED": "x"})
    facts = run.facts
    assert (facts["node_rank"], facts["world_size"], facts["ranks_per_node"]) == (0, 2, 2)
    assert facts["host"] == os.uname().nodename.split(".")[0]
    assert facts["cpu"]["cores"] >= 1
    assert facts["cpu"]["memory"] > 0
    assert set(facts["devices"]) == {"vendor", "model", "count", "visible", "driver", "pci"}
    assert (facts["gpu_profile"], facts["rdma"]) == (None, [])
    variables = {v["name"]: v for v in facts["environment"]}
    assert variables["NCCL_DEBUG"] == {
        "name": "NCCL_DEBUG",
        "value": "INFO",
        "origin": "env.set.NCCL_DEBUG",
        "overrode": [{"value": "WARN", "origin": "conf/gpu/x.yaml"}],
    }
    assert variables["HSA_ENABLE_SDMA"]["origin"] == "environment of the agent"
    assert "UNRELATED" not in variables


def test_the_facts_hold_the_packages_of_the_ranks_own_interpreter(make):
    run = make(argv=[sys.executable, "-c", "pass"])
    run.finish()
    assert run.facts["packages"]["pytest"] == pytest.__version__
    assert run.facts["interpreter"] == {"executable": sys.executable, "version": sys.version.split()[0]}


def test_a_program_that_is_no_python_has_no_packages(make):
    run = make(argv=["/bin/true"])
    assert run.finish().code == 0
    assert "packages" not in run.facts


def test_the_host_is_sampled_into_its_metrics(make):
    script = "import os, time; here = os.environ['PRIMUS_RUN_DIR'] + '/metrics/node-0.jsonl'\n"
    script += "while not os.path.exists(here) or len(open(here).readlines()) < 2: time.sleep(0.01)"
    run = make(script, metrics_interval=0.1)
    run.finish()
    samples = [json.loads(line) for line in run.text(rundir.host_metrics(0)).splitlines()]
    assert len(samples) >= 2
    assert samples[-1]["memory_used"] > 0
    assert 0 <= samples[-1]["cpu_percent"] <= 100
    assert {"time", "load_1m"} < set(samples[0])


def test_a_secret_reaches_the_rank_and_nothing_else(make, layer):
    secret = "hf_abcdefgh12345678"
    run = make(
        "import os; print('my token is', os.environ['HF_TOKEN']); print('url https://me:pw123@host/x')",
        environment=[layer("shell", "shell (env.forward HF_TOKEN)", HF_TOKEN=None)],
    )
    agent = run.finish(env={"HF_TOKEN": secret})
    assert agent.shown == b"my token is ***\nurl https://***@host/x\n"
    for path in run.directory.rglob("*"):
        assert path.is_dir() or secret not in path.read_text()
    assert {"name": "HF_TOKEN", "value": "***"}.items() <= {v["name"]: v for v in run.facts["environment"]}[
        "HF_TOKEN"
    ].items()


def test_variables_that_are_no_text_reach_the_rank_and_the_facts(make):
    run = make("import os; print(os.environb[b'TORCH_X'], os.environb[b'A_TOKEN'] == bytes([0xff]) * 9)")
    agent = run.finish(env={b"TORCH_X": b"a\xff", b"A_TOKEN": b"\xff" * 9})
    assert (agent.code, agent.shown) == (0, b"b'a\\xff' True\n")
    assert {v["name"]: v["value"] for v in run.facts["environment"]}["TORCH_X"] == "a\ufffd"


def test_a_run_directory_that_fills_up_does_not_end_the_job(make):
    """/dev/full in the place of the log of a rank, as a full disk is."""
    run = make("print('hello')")
    (run.directory / "logs/node-0").mkdir(parents=True)
    (run.directory / rundir.rank_log(0, 0)).symlink_to("/dev/full")
    agent = run.finish()
    assert (agent.code, agent.shown) == (0, b"hello\n")
    assert "logs/node-0/rank-0.log is not complete: [Errno 28] No space left on device" in run.own_log


def test_a_lifeline_that_there_is_not_is_a_wrong_request(make):
    run = make("print(1)")
    assert run.finish("--lifeline", "99").code == 2
    assert run.outcome["message"].startswith("--lifeline 99 is no pipe that this process has")


def test_an_agent_without_standard_files_runs_its_ranks_all_the_same(make):
    run = make("print('hello')")
    plan = str(run.directory / rundir.PLAN)
    argv = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-I", "-S", str(NODE), "--plan", plan]
    assert subprocess.run(argv, check=False).returncode == 0
    assert run.messages() == ["hello"]


@pytest.mark.skipif(not OLDEST, reason="no bare Python 3.9 here")
def test_the_agent_runs_under_a_bare_python_3_9(make):
    run = make("print('hello')", metrics_interval=0.1)
    agent = run.finish(python=OLDEST)
    assert (agent.code, agent.shown, agent.errors) == (0, b"hello\n", b"")
    assert run.facts["python"].startswith("3.9.")


def test_the_agent_takes_nothing_from_where_it_lies_or_runs_but_primus(make, tmp_path):
    """Neither modules beside its own nor the folder that holds `primus` can shadow the standard library."""
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    run = make("print('hello')")
    assert run.finish(env={"PYTHONPATH": str(tmp_path)}).code == 0
