"""Results in a report."""

from primus.launch.report.page import Table
from primus.launch.results import sections


def test_columns_of_words_and_of_yes_and_no_stand_left_and_numbers_right() -> None:
    rows = {"memory": [{"kind": "memory", "operation": "copy", "pinned": True, "size": 64.0, "bandwidth": 3640.9}]}
    (table,) = [one for one in sections.of_run("benchmark/memory", rows, None) if isinstance(one, Table)]
    assert [(head, n in table.left) for n, head in enumerate(table.head)] == [
        ("operation", True), ("pinned", True), ("array (MiB)", False), ("GB/s", False),
    ]  # fmt: skip
