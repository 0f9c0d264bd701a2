"""What Primus adds before a job runs, beside torchrun and torchx: repeated, alternating, in one run.

    python bench/launch.py [--repeat 5] [--json FILE]

Takes the commands that stand beside its own interpreter. README.md says what is measured, and what was seen.
"""

import argparse
import json
import os
import platform
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

# One write: torchrun's workers share a pipe, and two half lines are none.
WORKER = "import os\nos.write(1, b'line of rank %s\\n' % os.environ['RANK'].encode())\n"
_LINE = re.compile(rb"line of rank (\d+)")
_RANKS = 2
_JOBS = 50
_LIMIT = 120.0
"""Seconds after which a command is ended, and the benchmark with it."""

_JOB = ("task=command", "task.command=[python3,x.py]")
_TORCHX = ("torchx", "run", "-s", "local_cwd")
_DDP = ("dist.ddp", "-j", f"1x{_RANKS}", "--script", "x.py")


@dataclass(frozen=True)
class Command:
    """A command line; its clock stops at the first line of the last of `ranks` ranks, or at its end when that is 0."""

    name: str
    argv: tuple[str, ...]
    ranks: int = 0


@dataclass(frozen=True)
class Sample:
    """One run of a command, in seconds: on its clock, to its end, and of processor time."""

    seconds: float
    whole: float
    cpu: float


@dataclass(frozen=True)
class Goal:
    """`ours` may take at most `most` times as long as `theirs`, or, without that, `most` seconds."""

    ours: str
    theirs: str | None
    most: float


COMMANDS = (
    Command("dry run, primus", ("primus", "dry_run=true")),
    Command("dry run, torchx", (*_TORCHX, "--dryrun", *_DDP)),
    Command("last rank's line, primus", ("primus", *_JOB, f"ranks_per_node={_RANKS}", "console.ranks=all"), _RANKS),
    Command("last rank's line, torchrun", ("torchrun", "--nproc_per_node", str(_RANKS), "x.py"), _RANKS),
    Command("last rank's line, torchx", (*_TORCHX, *_DDP), _RANKS),
    Command(
        f"sweep of {_JOBS} jobs, primus",
        ("primus", "-m", *_JOB, "ranks_per_node=1", f"env.set.I={','.join(map(str, range(1, _JOBS + 1)))}"),
    ),
)
GOALS = (
    Goal("dry run, primus", "dry run, torchx", 1.8),
    Goal("last rank's line, primus", "last rank's line, torchrun", 0.35),
    Goal(f"sweep of {_JOBS} jobs, primus", None, 15.0),
)


def measure(command: Command, environ: Mapping[str, str]) -> Sample:
    """Run a command once, in a new temporary directory that holds the worker. Exits the benchmark when it fails."""
    program = Path(sys.executable).parent / command.argv[0]
    with tempfile.TemporaryDirectory(prefix="primus-bench-") as directory:
        Path(directory, "x.py").write_text(WORKER)
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(program), *command.argv[1:]],
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output, reached = _follow(process, command.ranks, began + _LIMIT)
        _, status, usage = os.wait4(process.pid, 0)
        whole = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or (command.ranks and reached is None):
        sys.exit(f"{' '.join(command.argv)} ended with {process.returncode}:\n{output.decode(errors='replace')}")
    return Sample(reached - began if reached else whole, whole, usage.ru_utime + usage.ru_stime)


def _follow(process: "subprocess.Popen[bytes]", ranks: int, until: float) -> tuple[bytes, float | None]:
    """The output up to its end, and the moment at which the first line of the last rank had come."""
    assert process.stdout is not None
    output, reached = b"", None
    with process.stdout as pipe:
        while select.select([pipe], [], [], max(0.0, until - time.perf_counter()))[0]:
            data = os.read(pipe.fileno(), 1 << 16)
            if not data:
                return output, reached
            output += data
            if ranks and reached is None and len(set(_LINE.findall(output))) == ranks:
                reached = time.perf_counter()
    os.killpg(process.pid, signal.SIGKILL)
    return output + b"\n(ended by the benchmark: it took too long)", None


def surroundings() -> dict[str, str]:
    """The environment of all commands: bytecode is kept, as it is for any user, and MLflow has its default store."""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI")}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    return environ


def run(repeat: int, console: Console) -> dict[str, list[Sample]]:
    """Each command once to warm up, then `repeat` rounds of all, each round beginning with another."""
    environ = surroundings()
    samples: dict[str, list[Sample]] = {command.name: [] for command in COMMANDS}
    with console.status("warming up") as status:
        for command in COMMANDS:
            measure(command, environ)
        for turn in range(repeat):
            first = turn % len(COMMANDS)
            for command in (*COMMANDS[first:], *COMMANDS[:first]):
                status.update(f"round {turn + 1} of {repeat}: {command.name}")
                samples[command.name].append(measure(command, environ))
    return samples


def median(samples: Sequence[Sample]) -> float:
    """The median on the command's clock, in seconds."""
    return statistics.median(sample.seconds for sample in samples)


def verdicts(samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, object]]:
    """Each goal with what was reached: a ratio of medians, or seconds."""
    rows: list[dict[str, object]] = []
    for goal in GOALS:
        reached = median(samples[goal.ours]) / (median(samples[goal.theirs]) if goal.theirs else 1.0)
        rows.append({**asdict(goal), "reached": round(reached, 3), "met": reached <= goal.most})
    return rows


def machine() -> dict[str, object]:
    """Where the figures come from."""
    packages = {name: version(name) for name in ("primus", "torch", "torchx", "mlflow")}
    load = round(os.getloadavg()[0], 2)
    return {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version(),
            "load_1m": load, **packages}  # fmt: skip


def show(console: Console, samples: Mapping[str, Sequence[Sample]], goals: Sequence[Mapping[str, object]]) -> None:
    """Print both tables."""
    table = Table("seconds, to", "median", "min", "max", "to its end", "processor")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, all_of in samples.items():
        times = [s.seconds for s in all_of]
        others = [statistics.median(s.whole for s in all_of), statistics.median(s.cpu for s in all_of)]
        table.add_row(name, *(f"{v:.3f}" for v in (median(all_of), min(times), max(times), *others)))
    console.print(table)
    for goal in goals:
        unit = f" x {goal['theirs']}" if goal["theirs"] else " s"
        word = "met" if goal["met"] else "NOT met"
        console.print(f"{goal['ours']}: {goal['reached']}{unit}, goal at most {goal['most']}: {word}", highlight=False)


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    options = parser.parse_args()
    console, where = Console(width=None if sys.stdout.isatty() else 120), machine()
    samples = run(max(1, options.repeat), console)
    goals = verdicts(samples)
    show(console, samples, goals)
    if options.json:
        figures = {name: [asdict(sample) for sample in all_of] for name, all_of in samples.items()}
        options.json.write_text(json.dumps({"machine": where, "goals": goals, "samples": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
