"""Results of devices that were measured at the same time: a row of all, a row of each, and who is slow.

One device has neither: its rows are as if there were no others.
"""

from collections.abc import Sequence
from statistics import mean, median

from primus.launch.report.charts import bar_chart
from primus.launch.report.page import Charts, Section
from primus.launch.results import Column, Row, Rows, key, number
from primus.launch.results.rows import identity
from primus.node.rundir import BY_RANK

_BARS = 24
"""Devices that are drawn: the slowest."""
_SLOW = 95.0
"""Percent of the median below which a bar stands out."""


def columns(kind: str, every: Sequence[Column], speed: str, *beside: str) -> dict[str, Sequence[Column]]:
    """Of a kind of row, and of its rows by rank: `speed` is the column that says how fast a device is.

    `beside` are more columns of the rows by rank, which else have the parameters and the speed alone.
    """
    named = {column.name: column for column in every}
    fast = named[speed]
    of_all = (
        *every,
        Column("devices", "devices", digits=0),
        Column("total", "all together", fast.unit or fast.title, fast.digits),
        Column("least", "slowest", fast.unit or fast.title, fast.digits, better=fast.better),
        Column("slowest", "which rank"),
        Column("spread", "spread", "%", 1),
    )
    keys = [column for column in every if column.key]
    each = (key("host"), key("rank"), *keys, fast, *(named[name] for name in beside))
    return {kind: of_all, f"{kind}{BY_RANK}": each}


def titles(kind: str, title: str) -> dict[str, str]:
    """Of both tables."""
    return {kind: title, f"{kind}{BY_RANK}": f"{title}, each device"}


def page(rows: Rows, kind: str, every: Sequence[Column], speed: str) -> list[Section]:
    """How fast each device is, the slowest first, in percent of the median of all; nothing for one device."""
    found = shares(rows.get(f"{kind}{BY_RANK}", ()), every, speed)
    slow = sorted(found.items(), key=lambda item: item[1])[:_BARS]
    if not slow:
        return []
    bars = [(name, share, f"{share:.1f} %", 6 if share < _SLOW else 2) for name, share in slow]
    more = f", the slowest {len(slow)} of {len(found)}" if len(found) > len(slow) else ""
    return [Charts("By device", [bar_chart(f"Mean speed of each device{more}", "% of the median of all", bars)])]


def shares(by_rank: Sequence[Row], every: Sequence[Column], speed: str) -> dict[str, float]:
    """By device (`rank 3 on node7`): its speed in percent of the median of all devices, as the mean over all cases."""
    cases: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for row in by_rank:
        if value := number(row.get(speed)):
            cases.setdefault(identity(row, every), {})[f"rank {row['rank']} on {row['host']}"] = value
    found: dict[str, list[float]] = {}
    for speeds in cases.values():
        middle = median(speeds.values())
        for name, value in speeds.items():
            found.setdefault(name, []).append(100 * value / middle)
    return {name: mean(of_one) for name, of_one in found.items()}
