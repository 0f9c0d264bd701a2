"""Jobs of real processes under a real node agent."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from primus.node import rundir
from primus.node.plan import SCHEMA, WORKERS, Code, Container, Job, Layer, Plan, Variable, to_json

from ..conftest import PATIENCE, gone

NODE = Path(rundir.__file__).parent

ARRIVES = 'open(os.environ["PRIMUS_RUN_DIR"] + "/arrived-" + os.environ["RANK"], "w").close()'
"""In the Python text of a rank: it is where it is to hang. `arrived` tells."""


class Run:
    """A plan in a run directory, and the agent that runs it."""

    def __init__(self, plan: Plan) -> None:
        self.directory = Path(plan.directory)
        self.agents: list[Agent] = []
        rundir.write_text(self.directory / rundir.PLAN, to_json(plan))

    def start(
        self,
        *words: str,
        python: str = sys.executable,
        env: Mapping[Any, Any] | None = None,
        stdout: Any = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> "Agent":
        argv = [python, "-I", "-S", str(NODE), "--plan", str(self.directory / rundir.PLAN), "--node-rank", "0", *words]
        environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        process = subprocess.Popen(
            argv,
            env={**environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.agents.append(Agent(self, process))
        return self.agents[-1]

    def finish(self, *words: str, **how: Any) -> "Agent":
        agent = self.start(*words, **how)
        agent.wait()
        return agent

    def text(self, path: str) -> str:
        return (self.directory / path).read_text(encoding="utf-8", errors="replace")

    def log(self, rank: int = 0) -> str:
        return self.text(rundir.rank_log(0, rank))

    def messages(self, rank: int = 0) -> list[str]:
        """The lines of a rank's log without what the agent put before them."""
        return [line.split(" | ", 1)[1] for line in self.log(rank).splitlines()]

    @property
    def own_log(self) -> str:
        return self.text(rundir.agent_log(0))

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.text(rundir.node_facts(0)))
        return facts

    @property
    def outcome(self) -> dict[str, Any]:
        outcome: dict[str, Any] = self.facts["outcome"]
        return outcome

    @property
    def root_cause(self) -> dict[str, Any]:
        cause: dict[str, Any] = self.outcome["root_cause"]
        return cause


class Agent:
    """A node agent that was started (by its guard, whose process this is)."""

    def __init__(self, run: Run, process: "subprocess.Popen[bytes]") -> None:
        self.run = run
        self.process = process
        self.shown = b""
        self.errors = b""

    def line(self, end: bytes = b"\n") -> str:
        """The next line that the agent shows, or what it shows up to another `end`."""
        assert self.process.stdout is not None
        text = b""
        while not text.endswith(end):
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], f"after {text!r} the agent shows nothing"
            text += os.read(self.process.stdout.fileno(), 1) or pytest.fail(f"after {text!r} the agent ends")
        return text.decode().strip()

    def wait(self) -> int:
        shown, errors = self.process.communicate(timeout=PATIENCE)
        self.shown += shown or b""
        self.errors += errors or b""
        return self.process.returncode

    @property
    def code(self) -> int:
        return self.process.returncode

    @property
    def agent_pid(self) -> int:
        """The process of the agent itself, the only child of its guard."""
        return self._children()[0]

    def _children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self) -> None:
        """After a test that failed half way nothing is left running."""
        if self.process.poll() is None:
            inner = self._children()  # none where it is ending
            self.process.kill()
            self.process.wait()
            for pid in inner:  # its ranks die with it, without their grace period
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


def arrived(run: Run, *ranks: int) -> bool:
    """Whether these ranks have said so."""
    return all((run.directory / f"arrived-{rank}").exists() for rank in ranks)


def ended(run: Run, rank: int) -> bool:
    """Whether a rank of node 0, whose first word is its process, is no more, and its agent knows."""
    try:
        return not Path("/proc", run.messages(rank)[0]).exists()
    except (FileNotFoundError, IndexError):  # its first word is to come
        return False


@contextmanager
def progress(run: Run, made: Callable[[], bool]) -> Iterator[None]:
    """Heartbeats of rank 0 as long as they are to be `made`: a rank has no time of its own to come where it hangs."""
    over = threading.Event()

    def beat() -> None:
        while not over.is_set():
            if made():
                with suppress(FileNotFoundError):  # the agent has not made the folder yet
                    (run.directory / rundir.heartbeat(0)).touch()
            over.wait(0.05)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make a job: `make("print(1)", ranks=2)` runs that Python text in each rank; `workers`: as one of Primus's own."""

    def factory(
        script: str = "",
        *,
        ranks: int | None = 1,
        argv: Sequence[str] | None = None,
        environment: Sequence[Layer] = (),
        container: Container | None = None,
        workers: bool = False,
        **job: Any,
    ) -> Run:
        fields: dict[str, Any] = {
            "nodes": 1,
            "ranks_per_node": ranks,
            "command": (
                *(argv or ("python3" if container else sys.executable, "-I", "-S", "-u", "-c", script)),
                *((WORKERS,) if workers else ()),
            ),
            "directory": str(tmp_path),
            "gpu": "auto",
            "parallel": {},
            "console_ranks": "0",
            "grace_period": 10.0,
            "metrics_interval": 0.0,
            **job,
        }
        plan = Plan(
            schema=SCHEMA,
            run_id=f"20261121-093012-{os.getpid():06x}",
            directory=str(tmp_path / "run"),
            task="train/pretrain" if workers else "command",
            backend="",
            config={},
            overrides=(),
            code=Code(str(tmp_path), None),
            job=Job(**fields),
            environment=tuple(environment),
            files=(),
            command=(),
            container=container,
        )
        run = Run(plan)
        runs.append(run)
        return run

    runs: list[Run] = []
    yield factory
    for run in runs:
        for agent in run.agents:
            agent.close()


@pytest.fixture
def ends() -> Callable[[int], bool]:
    """Whether a process ends, waiting for it."""
    return gone


@pytest.fixture
def layer() -> Callable[..., Layer]:
    """A layer of the plan: `layer("gpu profile", "conf/gpu/x.yaml", NAME="value")`; None is a secret."""

    def make_layer(name: str, origin: str, **variables: str | None) -> Layer:
        return Layer(name, tuple(Variable(n, v, origin) for n, v in variables.items()))

    return make_layer
