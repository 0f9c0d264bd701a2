"""Every GPU of a node at work for a moment, each in a process of its own that may hang and is killed then.

It meets no other node: a sick one hinders no healthy one. What the processes say by the way is kept, so that of one
that hangs it is known where.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from primus.node import devices, host, process, rundir
from primus.node.loop import Loop
from primus.node.outcome import UNFIT
from primus.node.rendezvous import free_port

STAGES = ("start", "gemm", "memory", "all_reduce")
LEAST = "{}_least"
"""In a row: what the device had to reach in a stage."""
UNITS = {"gemm": "TFLOP/s", "memory": "GB/s", "all_reduce": "GB/s"}
_RANK = Path(__file__).resolve().parents[2] / "rank"
_READ = 1 << 16
_KILLED = 10.0  # seconds for a killed process to be gone; one that is not is stuck in a driver
_TICK = 0.1
_COMPANY = 5.0  # seconds after which processes that wait for one that has ended are ended too


@dataclass(frozen=True)
class Least:
    """What each GPU must reach where its name fits a pattern: TFLOP/s, and GB/s; None: whatever it reaches.

    `all_reduce` is of so many `gpus` (None: of any number).
    """

    devices: Tuple[str, ...]
    gemm: Optional[float]
    memory: Optional[float]
    all_reduce: Optional[float]
    gpus: Optional[int] = None


@dataclass(frozen=True)
class Settings:
    """smoke.json. `within` seconds it is all over; `seconds` each stage measures; on a CPU, so many `processes`.

    `gpus` is how many there must be on the node (None: whatever there is).
    """

    within: float
    seconds: float
    gpu: str
    gpus: Optional[int]
    python: str
    processes: int
    least: Tuple[Least, ...]


@dataclass
class Trial:
    """One device, and how far its process came: `values` by stage, `stage` is what it is at; `why` it failed."""

    device: str
    pid: int = 0
    pipe: int = -1
    stage: str = STAGES[0]
    values: Dict[str, float] = field(default_factory=dict)
    model: str = ""
    why: str = ""
    ended: Optional[int] = None
    pending: bytes = b""
    last: str = ""
    least: Dict[str, float] = field(default_factory=dict)


def run(settings: Settings, run_dir: Path, node: int) -> int:
    """Try all devices of this node, write its report, and return the exit code."""
    found = devices.detect(settings.gpu, os.environ)
    names = list(found.visible) or [f"cpu{n}" for n in range(settings.processes)]
    trials = _Trials(settings, run_dir, found, names).run()
    judge(trials, settings.least, settings.within)
    name = os.environ.get("SLURMD_NODENAME") or host.name()  # as runtime.exclude must have it
    rows = [row(name, trial) for trial in trials]
    bad = [f"{name}: {trial.device}: {trial.why}" for trial in trials if trial.why]
    if settings.gpus is not None and found.count != settings.gpus:
        bad.insert(0, f"{name}: {found.count} GPUs, expected {settings.gpus}")
    report = {"passed": not bad, "message": "; ".join(bad), "node": name, "rows": rows,
              "gpus": found.count, "model": found.model}  # fmt: skip
    rundir.write_json(run_dir / rundir.checks_report(node, "smoke"), report)
    print("\n".join(bad) if bad else f"{name}: {len(names)} of {len(names)} devices pass", flush=True)
    return UNFIT if bad else 0


def judge(trials: Sequence[Trial], least: Sequence[Least], within: float) -> None:
    """Say of each trial why it fails, if it does. One that only waited for another at the end has not failed."""
    for trial in trials:
        trial.least = _wanted(trial.model, least, len(trials))
    late = [trial.device for trial in trials if trial.stage != STAGES[-1] and not _done(trial)]
    for trial in trials:
        if trial.why:
            continue
        if not _done(trial) and not (late and trial.stage == STAGES[-1]):
            how = (
                f"ended with exit code {trial.ended}" if trial.ended is not None else f"hung, killed after {within:g} s"
            )
            trial.why = f"{how} in {trial.stage}" + (f": {trial.last}" if trial.last else "")
            continue
        trial.why = "; ".join(_short(trial))


def _wanted(model: str, least: Sequence[Least], count: int) -> Dict[str, float]:
    """What a GPU of this name, of so many on the node, must reach, by stage."""
    one = next((one for one in least if devices.is_one_of(model, one.devices)), None)
    wanted = {"gemm": one.gemm, "memory": one.memory, "all_reduce": one.all_reduce} if one else {}
    if one and one.gpus not in (None, count):
        del wanted["all_reduce"]
    return {stage: value for stage, value in wanted.items() if value is not None}


def _short(trial: Trial) -> List[str]:
    return [
        f"{stage} {trial.values[stage]:.0f} {UNITS[stage]}, at least {least:.0f} expected"
        for stage, least in trial.least.items()
        if stage in trial.values and not trial.values[stage] >= least
    ]


def _done(trial: Trial) -> bool:
    return trial.stage == "end"


def row(name: str, trial: Trial) -> Dict[str, Any]:
    """Of results: what a device of this node reached, what was demanded, and what of it nothing was demanded of."""
    state = "fail" if trial.why else "pass"
    values = {stage: trial.values.get(stage) for stage in STAGES[1:]}
    values.update({LEAST.format(stage): trial.least.get(stage) for stage in STAGES[1:]})
    free = [stage for stage in trial.values if stage not in trial.least] if trial.device.startswith("gpu") else []
    return {"kind": "gpu", "time": time.time(), "node": name, "gpu": trial.device, "model": trial.model or None,
            "state": state, **values, "unjudged": ", ".join(free) or None, "why": trial.why or None}  # fmt: skip


class _Trials:
    """The processes of a node, from start to end."""

    def __init__(self, settings: Settings, run_dir: Path, found: devices.Devices, names: Sequence[str]) -> None:
        self._settings, self._found = settings, found
        self._config = run_dir / "smoke.json"
        self._loop = Loop()
        self._trials = [Trial(name if name.startswith("cpu") else f"gpu {name}") for name in names]
        self._names = names

    def run(self) -> List[Trial]:
        """Start all, wait until all have ended or time is up, end what is left."""
        until = time.monotonic() + self._settings.within
        port = free_port(str(os.getpid()), None)
        for n, trial in enumerate(self._trials):
            self._start(n, trial, port)
        self._loop.every(_TICK, lambda: None)
        alone: Optional[float] = None
        while self._running() and time.monotonic() < until:
            self._loop.turn()
            self._reap()
            if alone is None and any(trial.ended is not None and not _done(trial) for trial in self._trials):
                alone = time.monotonic()  # the others wait for it in vain, once they come to the last stage
            if alone and time.monotonic() - alone > _COMPANY and all(t.stage == STAGES[-1] for t in self._running()):
                break
        self._kill()
        return self._trials

    def _start(self, n: int, trial: Trial, port: int) -> None:
        environ = {**os.environ, "RANK": str(n), "LOCAL_RANK": "0", "WORLD_SIZE": str(len(self._trials))}
        environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
        environ.pop("NCCL_SOCKET_IFNAME", None)  # of the network between nodes, which this must not need
        if self._found.variable:
            environ[self._found.variable] = self._names[n]
        argv = [self._settings.python, str(_RANK), "smoke", str(self._config)]
        try:
            trial.pid, trial.pipe = process.start_piped(argv, env=environ)
        except OSError as error:
            trial.why, trial.ended = f"{self._settings.python} cannot be started: {error.strerror}", 127
            return
        self._loop.on_readable(trial.pipe, lambda: self._read(trial))

    def _read(self, trial: Trial) -> None:
        try:
            data = os.read(trial.pipe, _READ)
        except BlockingIOError:
            return
        *lines, trial.pending = (trial.pending + data).split(b"\n")
        for line in lines:
            self._take(trial, line.decode(errors="replace"))
        if not data:
            self._loop.forget(trial.pipe)
            os.close(trial.pipe)
            trial.pipe = -1

    def _take(self, trial: Trial, line: str) -> None:
        """A line of JSON that says how far it is; any other goes into the log."""
        with suppress(ValueError, TypeError):
            told = json.loads(line)
            if isinstance(told, dict) and "stage" in told:
                trial.values.update({str(k): float(v) for k, v in told.get("values", {}).items()})
                trial.stage, trial.model = str(told["stage"]), str(told.get("model") or trial.model)
                return
        trial.last = line.strip()[:300] or trial.last
        print(f"{trial.device}: {line}", file=sys.stderr, flush=True)

    def _running(self) -> List[Trial]:
        return [trial for trial in self._trials if trial.ended is None]

    def _reap(self) -> None:
        for trial in self._running():
            pid, status = os.waitpid(trial.pid, os.WNOHANG)
            if pid:
                if trial.pipe >= 0:
                    self._read(trial)
                trial.ended = process.exit_code(status)

    def _kill(self) -> None:
        """What is left is stopped or hangs; of that only SIGKILL is sure to be heard."""
        left = self._running()
        for trial in left:
            process.end_group(trial.pid, signal.SIGKILL)
        until = time.monotonic() + _KILLED
        while left and time.monotonic() < until:
            left = [trial for trial in left if not os.waitpid(trial.pid, os.WNOHANG)[0]]
            time.sleep(0.01)
        for trial in left:
            trial.why = f"hung in {trial.stage}, and does not end on SIGKILL: it is stuck in the driver"
