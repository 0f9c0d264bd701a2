"""Results on the console, on wide and on narrow ones; and as CSV."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from primus.launch.results import sheet, table
from primus.node import rundir

ROWS = [
    {"kind": "io", "time": 1.0, "directory": "/data", "operation": "write", "threads": 1, "bandwidth": 1.25},
    {"kind": "io", "time": 2.0, "directory": "/data", "operation": "read", "threads": 4, "bandwidth": 0.00031},
    {"kind": "of another task", "time": 3.0},
]


def shown(
    directory: Path, width: int, task: str = "benchmark/io", rows: Sequence[Mapping[str, object]] = ROWS
) -> list[str]:
    rundir.write_json(directory / rundir.PLAN, {"task": task})
    (directory / rundir.RESULTS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = io.StringIO()
    table.show(directory, Console(file=file, width=width, highlight=False))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_row_is_a_line_and_columns_without_values_are_left_out(tmp_path: Path) -> None:
    assert shown(tmp_path, 80) == [
        "",
        "Bandwidth of directories",
        "directory  operation  files at once     GB/s",
        "/data      write                  1    1.250",
        "/data      read                   4  0.00031",
        "",
    ]


def test_where_it_does_not_fit_each_row_is_a_block(tmp_path: Path) -> None:
    assert shown(tmp_path, 40) == [
        "",
        "Bandwidth of directories",
        "/data  write  files at once 1",
        "  GB/s 1.250",
        "/data  read  files at once 4",
        "  GB/s 0.00031",
        "",
    ]


def test_a_run_without_results_shows_nothing_and_has_no_table(tmp_path: Path) -> None:
    file = io.StringIO()
    table.show(tmp_path, Console(file=file))
    sheet.write(tmp_path)
    assert (file.getvalue(), list(tmp_path.iterdir())) == ("", [])


def test_the_csv_has_every_column_of_every_kind() -> None:
    rows = {"a": [{"kind": "a", "x": 1, "y": "with, comma"}], "b": [{"kind": "b", "z": None}]}
    assert sheet.text(rows) == 'kind,x,y,z\na,1,"with, comma",\nb,,,\n'


def test_a_cell_of_the_csv_with_parts_is_json() -> None:
    rows = {"node": [{"kind": "node", "topology": {"cpu": "A", "numa": [{"cores": None}]}}]}
    assert sheet.text(rows) == 'kind,topology\nnode,"{""cpu"": ""A"", ""numa"": [{""cores"": null}]}"\n'


def test_what_all_rows_have_alike_stands_beside_the_title(tmp_path: Path) -> None:
    same = {"kind": "collective", "time": 1.0, "operation": "all_reduce", "groups": "all", "ranks": 2, "dtype": "fp32"}
    found = [{**same, "bytes": size, "bus_bandwidth": bus} for size, bus in ((1024, 0.029), (1 << 30, 327.318))]
    assert shown(tmp_path, 80, "benchmark/collectives", found) == [
        "",
        "Collectives: groups all, ranks 2, dtype fp32",
        "operation        size (B)  busbw (GB/s)",
        "all_reduce          1,024         0.029",
        "all_reduce  1,073,741,824       327.318",
        "",
    ]
