"""Many short jobs in one sweep, and ranks that write many metrics: what is lost, and how memory and time behave.

    python bench/soak.py [--jobs 200] [--ranks 8] [--lines 10000] [--json FILE]

Ends with 1 when a point of a metric is missing or there twice, the database is not sound, or the memory of a process
grew. README.md says more.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

WORKER = """
import json, os, random, sys, time
lines, looks = int(sys.argv[1]), os.path.getsize("looks")
with open(os.environ["PRIMUS_METRICS"], "a") as file:
    for step in range(lines):
        loss = random.random()
        values = {"time": time.time(), "step": step, "loss": loss, "tokens_per_second": 1e4 * loss}
        file.write(json.dumps(values) + chr(10))
        file.flush()
while os.path.getsize("looks") < looks + 2:
    time.sleep(0.02)
"""
"""Ends once a look at the memory of all processes has begun and ended beside it: the shortest job is in the figures."""
LINES_OF_A_JOB = 20
_LOOK = 0.2
"""Seconds between two looks at the memory of all processes."""
_FEW = 20
"""Looks of which nothing can be said."""
_KINDS = {"recorder": b"primus.launch.record", "agent": b"primus/node"}
"""What tells the processes of Primus apart, in their command line; the launcher is the command itself."""

Point = tuple[str, int, int, float]
"""Name, step, milliseconds, value."""


@dataclass(frozen=True)
class Memory:
    """Resident memory of the largest process of a kind, MB: early, late, and at most.

    `early` and `late` are medians of the second and the last fifth of its `looks` from the first recorded run on: what
    is to be imported has been by then, and a process that leaks grows between.
    """

    early: float
    late: float
    most: float
    looks: int

    @property
    def flat(self) -> bool:
        """Whether it did not grow by more than caches and chance explain; of few looks that is not known."""
        return self.looks < _FEW or self.late <= 1.25 * self.early + 20


@dataclass(frozen=True)
class Figures:
    """Of one command: seconds to its end, points in the files and of them in MLflow, memory by kind of process."""

    name: str
    seconds: float
    written: int
    missing: int
    extra: int
    integrity: str
    memory: dict[str, Memory]

    @property
    def sound(self) -> bool:
        """Whether nothing is lost, nothing there that nobody wrote, and no process grew."""
        whole = not self.missing and not self.extra and self.integrity == "ok"
        return whole and all(memory.flat for memory in self.memory.values())


class Watcher(threading.Thread):
    """Looks at the memory of a command and of all that it started, until it is told to stop.

    A byte goes into `count` after each look, which tells workers that they were seen. Looks are `steady` once the
    recorder has put files into the folder `recorded`.
    """

    def __init__(self, pid: int, count: Path, recorded: Path) -> None:
        super().__init__(daemon=True)
        self._pid, self._count, self._recorded, self._over = pid, count, recorded, threading.Event()
        self.seen: dict[str, list[float]] = {}
        self.steady: dict[str, list[float]] = {}

    def run(self) -> None:
        while not self._over.wait(_LOOK):
            found: dict[str, float] = {}
            kept = (self.seen, self.steady) if self._recorded.exists() else (self.seen,)
            for pid in [self._pid, *_descendants(self._pid)]:
                kind = "launcher" if pid == self._pid else _kind(pid)
                if kind:
                    found[kind] = max(found.get(kind, 0.0), _resident(pid))
            for kind, megabytes in found.items():
                for looks in kept:
                    looks.setdefault(kind, []).append(megabytes)
            with self._count.open("ab") as file:
                file.write(b".")

    def end(self) -> dict[str, Memory]:
        self._over.set()
        self.join()
        return {kind: memory(looks, self.steady.get(kind, [])) for kind, looks in sorted(self.seen.items())}


def memory(seen: Sequence[float], steady: Sequence[float]) -> Memory:
    """What all looks at a kind of process say, of which those that are `steady` come last."""
    looks = steady or seen
    fifth = max(1, len(looks) // 5)
    early = looks[fifth : 2 * fifth] or looks
    return Memory(statistics.median(early), statistics.median(looks[-fifth:]), max(seen), len(steady))


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):  # a process that has ended, or a thread of it
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                children += map(int, (task / "children").read_text().split())
    return [*children, *(below for child in children for below in _descendants(child))]


def _kind(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return next((kind for kind, word in _KINDS.items() if word in words), None)


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, IndexError):
        return 0.0


def measure(name: str, words: Sequence[str]) -> Figures:
    """Run a command in a new directory, and compare what its ranks wrote with what MLflow has. Exits when it fails."""
    with tempfile.TemporaryDirectory(prefix="primus-soak-") as directory:
        Path(directory, "x.py").write_text(WORKER)
        looks = Path(directory, "looks")
        looks.touch()
        began = time.perf_counter()
        with Path(directory, "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "primus", *words, "tracking.wait=600"],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            watcher = Watcher(process.pid, looks, Path(directory, "outputs/mlartifacts"))
            watcher.start()
            status = process.wait()
        seconds, found = time.perf_counter() - began, watcher.end()
        if status:
            sys.exit(f"{name} ended with {status}:\n{Path(directory, 'said').read_text(errors='replace')[-4000:]}")
        root = Path(directory, "outputs")
        written, recorded, integrity = _written(root), *_recorded(root / "mlflow.db")
    missing, extra = (written - recorded).total(), (recorded - written).total()
    return Figures(name, seconds, written.total(), missing, extra, integrity, found)


def _written(root: Path) -> Counter[tuple[str, Point]]:
    """Every point of every rank, with the id of its MLflow run."""
    found: Counter[tuple[str, Point]] = Counter()
    for record in root.glob("*/**/record.json"):
        run = json.loads(record.read_text())["run_id"]
        for path in (record.parent / "metrics").glob("rank-*.jsonl"):
            rank = path.stem.removeprefix("rank-")
            prefix = "" if rank == "0" else f"rank{rank}/"
            for line in path.read_text().splitlines():
                values = json.loads(line)
                at, step = round(values.pop("time") * 1000), values.pop("step")
                found.update((run, (prefix + name, step, at, value)) for name, value in values.items())
    return found


def _recorded(file: Path) -> tuple[Counter[tuple[str, Point]], str]:
    """What MLflow's tables hold of ranks, and what sqlite says of the file. A sweep's own run has what it adds up."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    parents = {row[0] for row in database.execute("select run_uuid from tags where value = 'sweep'")}
    rows = database.execute("select run_uuid, key, step, timestamp, value from metrics where key not like 'system/%'")
    found = Counter((run, (key, step, at, value)) for run, key, step, at, value in rows if run not in parents)
    integrity = str(database.execute("PRAGMA integrity_check").fetchone()[0])
    database.close()
    return found, integrity


def show(every: Sequence[Figures]) -> None:
    """Print the figures."""
    table = Table("what", "seconds", "points", "missing", "extra", "database", "memory, MB: early, late, most")
    for figures in every:
        grown = "\n".join(
            f"{kind}: {one.early:.0f}, {one.late:.0f}, {one.most:.0f}{'' if one.flat else ': it grew'}"
            for kind, one in figures.memory.items()
        )
        counts = (f"{n:,}" for n in (figures.written, figures.missing, figures.extra))
        table.add_row(figures.name, f"{figures.seconds:.1f}", *counts, figures.integrity, grown)
    Console(width=120).print(table)


def main() -> int:
    """Run both, print their figures; 1 where they are not sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="of the sweep")
    parser.add_argument("--ranks", type=int, default=8, help="of the job that writes much")
    parser.add_argument("--lines", type=int, default=10_000, help="that each of its ranks writes")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    job = ("task=command", "console.ranks=none")
    numbers = ",".join(map(str, range(options.jobs)))
    sweep = ("-m", *job, f"task.command=[{sys.executable},-I,-S,x.py,{LINES_OF_A_JOB}]", f"env.set.I={numbers}")
    much = (*job, f"task.command=[{sys.executable},-I,-S,x.py,{options.lines}]", f"ranks_per_node={options.ranks}")
    every = [
        measure(f"a sweep of {options.jobs} jobs, {LINES_OF_A_JOB} lines each", sweep),
        measure(f"{options.ranks} ranks, {options.lines:,} lines each", much),
    ]
    show(every)
    if options.json:
        options.json.write_text(json.dumps([asdict(figures) for figures in every], indent=2) + "\n")
    return 0 if all(figures.sound for figures in every) else 1


if __name__ == "__main__":
    sys.exit(main())
