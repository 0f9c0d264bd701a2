"""A sweep of trivial jobs on Slurm: Primus, hydra-submitit-launcher and a bare `sbatch --array`, alternating.

    python bench/slurm.py [--repeat 3] [--jobs 50] [--seconds 3] [--json FILE]

On the cluster that SLURM_CONF names, on which nothing else of this user may run; without one, as root, on the two-node
cluster of the tests, which it brings up and ends. README.md says what is measured, RESULTS.md what was seen.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

_LIMIT = 300.0
"""Seconds after which a command, or the queue behind it, is given up, and the benchmark with it."""
_LOOK = 0.2
"""Seconds between two looks at the queue: how exact the time of its end is."""
_SLOTS = 8
"""Jobs that the cluster of the tests runs at a time: so many elements hold all jobs where each runs several."""
_COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "scancel", "srun")
_INTERVAL = 2.0
"""Least seconds between two calls to the controller while a command waits: the goal."""

WORKER = "import os, time\ntime.sleep(float(os.environ['PRIMUS_BENCH_SECONDS']))\nos.write(1, b'line\\n')\n"
APP = """import hydra
@hydra.main(config_path=None, version_base=None)
def main(config):
    import os
    os.write(1, b'line\\n')
main()
"""
SUBMITIT = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5", "hydra.launcher.mem_gb=null")
PLANNING = (
    *("primus", "runtime=slurm", "runtime.nodes=1024", "ranks_per_node=8", "gpu=cpu", "task=command"),
    *("task.command=[python3,x.py]", "dry_run=json"),
)


@dataclass(frozen=True)
class Command:
    """A command line, and how long each of its jobs sleeps, in seconds."""

    name: str
    argv: tuple[str, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Sample:
    """One run: seconds to the end of the command, and until the queue was empty; megabytes; calls to the controller.

    `calls` are those after the last sbatch, while the command waited, and `waited` the seconds of that.
    """

    whole: float
    drained: float
    memory: float
    calls: int
    waited: float


@dataclass(frozen=True)
class Goal:
    """`ours` may be at most `most` times `theirs`, or, without that, at most `most`, of the figure `what`."""

    ours: str
    what: str
    theirs: str | None
    most: float


def commands(jobs: int, seconds: float) -> tuple[Command, ...]:
    """What is compared, with jobs that do nothing and with some that last; the worker is x.py of the directory."""
    values = ",".join(map(str, range(jobs)))
    ours = (
        *("primus", "-m", "runtime=slurm", "task=command", "task.command=[python3,-I,-S,x.py]"),
        f"env.set.I={values}",
    )
    detached = (*ours, "runtime.detach=true")
    each = f"runtime.jobs_per_element={-(-jobs // _SLOTS)}"
    bare = ("sbatch", f"--array=0-{jobs - 1}", "--output=%a.log", "bare.sh")
    return (
        Command("primus, detached", detached),
        Command("primus", ours),
        Command("primus, detached, several jobs an element", (*detached, each)),
        Command("primus, several jobs an element", (*ours, each)),
        Command("hydra-submitit-launcher", ("python", "app.py", "-m", *SUBMITIT, f"+i={values}")),
        Command("sbatch --array", bare),
        Command("plan of 1,024 x 8", PLANNING),
        Command("primus, detached, jobs that last", detached, seconds),
        Command("primus, jobs that last", ours, seconds),
        Command("sbatch --array, jobs that last", bare, seconds),
    )


GOALS = (
    Goal("primus, detached", "whole", None, 2.0),
    Goal("primus, detached", "drained", "sbatch --array", 1.15),
    Goal("primus", "drained", "sbatch --array", 1.15),
    Goal("primus, detached, several jobs an element", "drained", "sbatch --array", 1.15),
    Goal("primus, several jobs an element", "drained", "sbatch --array", 1.15),
    Goal("primus, detached, jobs that last", "drained", "sbatch --array, jobs that last", 1.15),
    Goal("primus, jobs that last", "drained", "sbatch --array, jobs that last", 1.15),
    Goal("primus", "drained", "hydra-submitit-launcher", 0.8),
    Goal("primus", "calls per second", None, 1 / _INTERVAL),
    Goal("plan of 1,024 x 8", "whole", None, 1.0),
    Goal("plan of 1,024 x 8", "memory", None, 200.0),
)


def measure(command: Command, environ: Mapping[str, str]) -> Sample:
    """Run a command once, in a new directory, and wait for its jobs. Exits the benchmark when it fails."""
    with tempfile.TemporaryDirectory(prefix="primus-bench-") as folder:
        directory = Path(folder)
        _write_files(directory)
        calls = directory / ".calls"
        began = time.time()
        with (directory / ".output").open("wb") as output:
            process = subprocess.Popen(
                command.argv,
                cwd=directory,
                env={**environ, "PRIMUS_BENCH_CALLS": str(calls), "PRIMUS_BENCH_SECONDS": str(command.seconds)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            with ThreadPoolExecutor(1) as pool:
                draining = pool.submit(_drain, environ, process.pid, began + _LIMIT)
                _, status, usage = os.wait4(process.pid, 0)
                ended = time.time()
                drained = draining.result()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(
                f"{' '.join(command.argv)} ended with {process.returncode}:\n{(directory / '.output').read_text()}"
            )
        told = [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []
        submitted = max((float(at) for name, at in told if name == "sbatch"), default=ended)
        asked = sum(float(at) > submitted and name not in ("sbatch", "srun") for name, at in told)
    return Sample(ended - began, drained - began, usage.ru_maxrss / 1024, asked, ended - submitted)


def _write_files(directory: Path) -> None:
    (directory / "x.py").write_text(WORKER)
    (directory / "app.py").write_text(APP)
    (directory / "bare.sh").write_text("#!/bin/sh\nexec python3 -I -S x.py\n")


def _drain(environ: Mapping[str, str], command: int, until: float) -> float:
    """When the queue was empty for good: since when, as soon as the command is over too."""
    empty: float | None = None
    while time.time() < until:
        over = not Path(f"/proc/{command}/exe").exists()  # a zombie has none
        asked = subprocess.run(["squeue", "-h", "-o", "%i"], env=environ, capture_output=True, text=True, check=True)
        empty = (empty or time.time()) if not asked.stdout.strip() else None
        if over and empty:
            return empty
        time.sleep(_LOOK)
    subprocess.run(["scancel", "--me"], env=environ, check=False)
    sys.exit("the jobs did not end in time; they are cancelled")


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The slurm.conf of a cluster: the one of this shell, or one brought up for the benchmark."""
    if "SLURM_CONF" in os.environ:
        yield os.environ["SLURM_CONF"]
        return
    scripts = Path(__file__).resolve().parents[1] / "tests/cluster"
    number = os.environ.get("PRIMUS_TEST_CLUSTER", "0")
    with tempfile.TemporaryDirectory(prefix="primus-bench-slurm-") as folder:
        up = subprocess.run([scripts / "slurm-up", folder, number], capture_output=True, text=True, check=True)
        try:
            yield up.stdout.strip()
        finally:
            subprocess.run([scripts / "slurm-down", folder], check=False, capture_output=True)


@contextlib.contextmanager
def surroundings(conf: str) -> Iterator[dict[str, str]]:
    """The environment of all commands, in which each of Slurm's commands leaves a line in a file before it runs."""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI")}
    with tempfile.TemporaryDirectory(prefix="primus-bench-path-") as folder:
        for name in _COMMANDS:
            real = shutil.which(name)
            if real is None:
                sys.exit(f"there is no {name}: this benchmark needs Slurm's commands")
            wrapper = Path(folder, name)
            count = f'[ -z "$PRIMUS_BENCH_CALLS" ] || echo {name} "$(date +%s.%N)" >>"$PRIMUS_BENCH_CALLS"'
            wrapper.write_text(f'#!/bin/sh\n{count}\nexec {real} "$@"\n')
            wrapper.chmod(0o755)
        path = [folder, str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]
        yield {**environ, "SLURM_CONF": conf, "PATH": os.pathsep.join(path)}


def run(
    repeat: int, jobs: int, seconds: float, environ: Mapping[str, str], console: Console
) -> dict[str, list[Sample]]:
    """Each command once to warm up, then `repeat` rounds of all, each round beginning with another."""
    every = commands(jobs, seconds)
    samples: dict[str, list[Sample]] = {command.name: [] for command in every}
    with console.status("") as status:
        for turn in range(-1, repeat):
            first = turn % len(every)
            for command in (*every[first:], *every[:first]):
                if turn < 0 and command.seconds:
                    continue  # the same commands are warm
                status.update(f"round {turn + 1} of {repeat}: {command.name}")
                sample = measure(command, environ)
                if turn >= 0:
                    samples[command.name].append(sample)
    return samples


def figure(samples: Sequence[Sample], what: str) -> float:
    """The median of a figure."""
    if what == "calls per second":  # the first call is due at once: it is the interval that counts
        return statistics.median(max(0, s.calls - 1) / s.waited if s.waited else 0.0 for s in samples)
    return float(statistics.median(getattr(s, what) for s in samples))


def verdicts(samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, object]]:
    """Each goal with what was reached."""
    rows: list[dict[str, object]] = []
    for goal in GOALS:
        reached = figure(samples[goal.ours], goal.what) / (
            figure(samples[goal.theirs], goal.what) if goal.theirs else 1
        )
        rows.append({**asdict(goal), "reached": round(reached, 3), "met": reached <= goal.most})
    return rows


def machine(environ: Mapping[str, str]) -> dict[str, object]:
    """Where the figures come from."""
    packages = {name: version(name) for name in ("primus", "hydra-submitit-launcher", "mlflow")}
    slurm = subprocess.run(
        ["sbatch", "--version"], env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()
    return {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version(),
            "load_1m": round(os.getloadavg()[0], 2), "slurm": slurm, **packages}  # fmt: skip


def show(console: Console, samples: Mapping[str, Sequence[Sample]], goals: Sequence[Mapping[str, object]]) -> None:
    """Print both tables."""
    table = Table(
        "medians (min to max)", "command, s", "drained, s", "memory, MB", "calls while it waited", "waited, s"
    )
    for name, all_of in samples.items():
        cells = []
        for what in ("whole", "drained", "memory", "calls", "waited"):
            values = [getattr(s, what) for s in all_of]
            cells.append(f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
        table.add_row(name, *cells)
    console.print(table)
    for goal in goals:
        over = f" x {goal['theirs']}" if goal["theirs"] else ""
        word = "met" if goal["met"] else "NOT met"
        said = f"{goal['ours']}: {goal['what']} {goal['reached']}{over}, goal at most {goal['most']:.4g}: {word}"
        console.print(said, highlight=False)


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=50, metavar="N", help="jobs of a sweep (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of the jobs that last (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    with cluster() as conf, surroundings(conf) as environ:
        where = machine(environ)
        samples = run(max(1, options.repeat), options.jobs, options.seconds, environ, console)
    goals = verdicts(samples)
    show(console, samples, goals)
    if options.json:
        figures = {name: [asdict(sample) for sample in all_of] for name, all_of in samples.items()}
        options.json.write_text(json.dumps({"machine": where, "goals": goals, "samples": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
