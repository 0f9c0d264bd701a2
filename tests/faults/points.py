"""Every point of a run's metric files, read here by their own format, beside what a store of MLflow has of them."""

import json
import math
import sqlite3
from collections import Counter
from pathlib import Path

Point = tuple[str, int, int, float | None]
"""Name, step, milliseconds, value; None for NaN."""


def of_files(directory: Path) -> Counter[Point]:
    """Of the ranks: rank 0 under plain names, the others under `rank<r>/`."""
    found: Counter[Point] = Counter()
    for path in (directory / "metrics").glob("rank-*.jsonl"):
        rank = int(path.stem.removeprefix("rank-"))
        prefix = f"rank{rank}/" if rank else ""
        for line in path.read_text().splitlines():
            values = json.loads(line)
            time, step = round(values.pop("time") * 1000), values.pop("step")
            found.update((prefix + name, step, time, plain(value)) for name, value in values.items())
    return found


def of_database(file: Path, run_id: str) -> Counter[Point]:
    """What MLflow's own tables hold of a run, without the load of hosts."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        rows = database.execute(
            "select key, step, timestamp, value, is_nan from metrics where run_uuid = ? and key not like 'system/%'",
            (run_id,),
        )
        found = Counter((key, step, time, None if nan else value) for key, step, time, value, nan in rows)
    database.close()
    return found


def plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def runs(file: Path, name: str) -> list[str]:
    """The ids of the runs of that name that are not deleted."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        asked = "select run_uuid from runs where name = ? and lifecycle_stage = 'active'"
        found = [row[0] for row in database.execute(asked, (name,))]
    database.close()
    return found
