"""A node agent that was started, and the recorder beside it: start, forward a signal, await the end."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from primus.launch import living, outcome, rundirectory
from primus.launch.record.files import node_reports
from primus.node import clock, guard, process, rundir
from primus.node.plan import Plan, fill

_TICK = 0.1
_LEEWAY = 5.0
"""Seconds for the recorder to end by itself, after the time that it was given."""

_REMOVED = "the run directory was removed while the job ran: its logs, metrics and checkpoints of until then are lost"


class Agent:
    """The node agent of one run on this machine."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        secrets: Mapping[str, str],
        placement: Sequence[str] = (),
        shown: bool = True,
    ) -> None:
        """Start it. `secrets` go into its environment and nowhere else; `placement` are its --devices and --cores.

        Without `shown` its output goes nowhere but into the logs of the ranks.
        """
        self.directory = directory
        self._plan = plan
        self.started = clock.steady()
        theirs, self._lifeline = os.pipe()
        argv = [fill(word, {"run_dir": str(directory)}) for word in plan.command]
        argv += ["--lifeline", str(theirs), *placement]
        with _held_back():
            self._process = process.start(
                argv,
                env={**os.environ, **secrets},
                cwd=plan.job.directory,
                stdout=process.PIPE if shown else process.DEVNULL,
                pass_fds=(theirs,),
            )
        os.close(theirs)
        rundirectory.log(directory, "INFO", f"started the node agent, pid {self._process.pid}: {' '.join(argv)}")
        self._output = self._process.stdout

    def read(self, seconds: float) -> bytes | None:
        """What the agent shows: None when nothing comes for some time, empty bytes once it has ended."""
        if self._output:
            if not select.select([self._output], [], [], seconds)[0]:
                return None
            data = os.read(self._output.fileno(), 1 << 16)
            if data:
                return data
            self._output.close()
            self._output = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return b"" if self.over else None

    @property
    def over(self) -> bool:
        """Whether the agent has ended."""
        return self._process.poll() is not None

    def signal(self, number: int) -> None:
        """Hand a signal on to the agent, which ends its ranks in good order."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def finish(self, interrupted: bool) -> dict[str, object]:
        """Wait for the end and write result.json; returns it."""
        status = self._process.wait()
        os.close(self._lifeline)
        if self._output:
            self._output.close()
        message = None
        if status < 0:
            living.end_without_guard(self.directory, self._plan.job.grace_period + _LEEWAY)
            if not interrupted and "outcome" not in node_reports(self.directory).get(0, {}):
                message = f"the node agent was killed by {signal.Signals(-status).name}"
        if not (self.directory / rundir.PLAN).is_file():
            message = message or _REMOVED
            rundirectory.write(self._plan, self.directory)
        result = outcome.write_result(self.directory, self.started, interrupted, message)
        rundirectory.log(self.directory, "INFO", f"the node agent ended with {status}; the run is {result['status']}")
        return result


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """What is started within takes requests to end when it is ready to: until then Python would die of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, guard.ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Recorder:
    """The process that writes a run or a sweep to MLflow, beside the job and never in its way."""

    def __init__(self, directory: Path, uri: str | None, wait: float) -> None:
        """Start it on a run or sweep directory. `wait`: seconds that it goes on trying after the end."""
        theirs, self._lifeline = os.pipe()
        self._directory, self._uri, self._wait = directory, uri, wait
        self._process = process.start(
            [*_recorder(directory, wait), "--lifeline", str(theirs)],
            env=_recorders_environment(uri),
            stdout=process.DEVNULL,
            pass_fds=(theirs,),
        )
        os.close(theirs)

    def abandon(self) -> None:
        """End it at once, as it is: another goes on from there."""
        self._process.kill()
        self._process.wait()
        os.close(self._lifeline)

    def finish(self, impatient: Callable[[], bool]) -> bool:
        """Wait until the record is complete; False when it is not in the user's time, or the user is `impatient`.

        What is not complete by then the recorder goes on with by itself. One that was killed (by the OOM killer, say)
        has one successor.
        """
        deadline, killed = time.monotonic() + self._wait + _LEEWAY, False
        try:
            while time.monotonic() < deadline and not impatient():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = self._process.wait(_TICK)
                    if status >= 0 or killed:
                        return status == 0
                    killed = True
                    self._process = self._successor()
            return False
        finally:
            os.close(self._lifeline)

    def _successor(self) -> "subprocess.Popen[bytes]":
        argv = [*_recorder(self._directory, self._wait), "--once"]
        return process.start(argv, env=_recorders_environment(self._uri), stdout=process.DEVNULL)


def record_once(directory: Path, uri: str | None, wait: float) -> str:
    """Complete the record of a run or a sweep that is over, in `wait` seconds; what the recorder complains of."""
    argv = [*_recorder(directory, wait), "--once"]
    started = process.start(argv, env=_recorders_environment(uri), stdout=process.DEVNULL, stderr=process.PIPE)
    with started:
        try:
            _, said = started.communicate(timeout=wait + _LEEWAY)
        except subprocess.TimeoutExpired:
            process.end_group(started.pid, signal.SIGKILL)
            return f"it took longer than {wait:g} s"
    return said.decode(errors="replace").strip() if started.returncode else ""


def _recorder(directory: Path, wait: float) -> list[str]:
    return [sys.executable, "-m", "primus.launch.record", "--directory", str(directory), "--wait", str(wait)]


def _recorders_environment(uri: str | None) -> dict[str, str]:
    package_parent = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, [str(package_parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **({"MLFLOW_TRACKING_URI": uri} if uri else {})}
