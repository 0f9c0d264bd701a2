"""The report that sets runs beside each other."""

from pathlib import Path

from plotly.graph_objects import Figure

from primus.launch.report import comparison, reading
from primus.launch.report.charts import Chart
from primus.launch.report.page import Charts, Page, Table
from primus.launch.report.reading import Run

from .runs import recorded


def backends(tmp_path: Path) -> list[Run]:
    """Three runs; the second is the fastest, the last the best."""
    speeds = {"torchtitan": 1000.0, "megatron": 1500.0, "maxtext": 500.0}
    return [
        reading.run(
            recorded(
                tmp_path / name,
                overrides=(f"backend={name}", "task.steps=20"),
                backend=name,
                speed=speed,
                fall=0.1 + 0.01 * n,
            )
        )
        for n, (name, speed) in enumerate(speeds.items())
    ]


def charts(page: Page) -> dict[str, Chart]:
    found = {chart.title: chart for s in page.sections if isinstance(s, Charts) for chart in s.charts}
    for chart in found.values():
        Figure(data=list(chart.traces), layout=chart.layout)
    return found


def table(page: Page, title: str) -> list[dict[str, str]]:
    """Rows by column; a best value ends in a star."""
    found = next(s for s in page.sections if isinstance(s, Table) and s.title == title)
    assert len(set(found.head)) == len(found.head)
    return [{n: c.text + "*" * (c.kind == "best") for n, c in zip(found.head, row, strict=True)} for row in found.rows]


def test_three_frameworks_stand_in_one_table_with_the_best_values_marked(tmp_path: Path) -> None:
    page = comparison.page("exp sweep", "FINISHED", backends(tmp_path))
    assert page.summary == "3 runs · differing in backend · all with task.steps=20"
    rows = table(page, "Results")
    assert [row[""] for row in rows] == ["torchtitan", "megatron", "maxtext"]
    assert [row["tokens/s"] for row in rows] == ["1,000", "1,500*", "500"]
    assert [row["loss"] for row in rows] == ["0.5413", "0.4432", "0.3629*"]
    assert [row["memory, peak"] for row in rows] == ["2.00 GiB"] * 3
    assert [row["start-up"] for row in rows] == ["3.5 s"] * 3


def test_the_curves_of_all_are_in_one_chart(tmp_path: Path) -> None:
    drawn = charts(comparison.page("exp sweep", "FINISHED", backends(tmp_path)))
    assert [*drawn] == [
        *("Loss", "Validation loss", "Throughput", "Model FLOPs utilisation", "Memory, peak"),
        "Start-up, to the end of the first step",
    ]
    assert [trace["name"] for trace in drawn["Loss"].traces] == ["torchtitan", "megatron", "maxtext"]
    assert [*drawn["Loss"].axes] == ["step", "tokens", "seconds"]
    assert drawn["Throughput"].traces[0]["x"] == [1000.0, 1500.0, 500.0]


def test_a_swept_number_is_drawn_against_the_loss(tmp_path: Path) -> None:
    runs = [
        reading.run(recorded(tmp_path / str(n), overrides=(f"task.optimizer.lr={lr}",), fall=fall))
        for n, (lr, fall) in enumerate((("1e-2", 0.05), ("1e-3", 0.1)))
    ]
    drawn = charts(comparison.page("exp sweep", "FINISHED", runs))
    last = drawn["Loss against task.optimizer.lr"].traces[0]
    assert (last["x"], last["y"], last["mode"]) == ([0.001, 0.01], [0.541341, 1.47152], "lines+markers")


def test_points_of_a_grid_are_not_joined(tmp_path: Path) -> None:
    runs = [
        reading.run(recorded(tmp_path / f"{lr}-{seed}", overrides=(f"lr={lr}", f"seed={seed}"), steps=5))
        for lr in (1, 2)
        for seed in (1, 2)
    ]
    drawn = charts(comparison.page("exp sweep", "FINISHED", runs))
    assert drawn["Loss against lr"].traces[0]["mode"] == "markers"


def test_bars_are_left_to_the_table_where_there_are_many(tmp_path: Path) -> None:
    runs = [reading.run(recorded(tmp_path / str(n), overrides=(f"seed={n}",), steps=2)) for n in range(21)]
    assert "Throughput" not in charts(comparison.page("exp sweep", "FINISHED", runs))
    assert "Throughput" in charts(comparison.page("exp sweep", "FINISHED", runs[:20]))


def test_what_each_ran_on_is_told(tmp_path: Path) -> None:
    row = table(comparison.page("exp sweep", "FINISHED", backends(tmp_path)), "What ran")[0]
    assert row["run"] == "torchtitan"
    assert row["backend"] == "torchtitan 0.3.0"
    assert row["versions"] == "python 3.11.7, driver 580.65, torch 2.13.0"


def test_a_job_that_failed_or_stopped_short_wins_nothing(tmp_path: Path) -> None:
    runs = [
        reading.run(recorded(tmp_path / "0", overrides=("a=1",), fall=0.1)),
        reading.run(recorded(tmp_path / "1", overrides=("a=2",), fall=0.5, speed=9000, status="failed")),
        reading.run(recorded(tmp_path / "2", overrides=("a=3",), fall=0.2, steps=10)),
    ]
    rows = table(comparison.page("exp sweep", "FAILED", runs, left_out=2), "Results")
    assert [row["status"] for row in rows] == ["finished", "failed", "finished"]
    assert not any(row["loss"].endswith("*") or row["tokens/s"].endswith("*") for row in rows)
    assert comparison.page("exp sweep", "FAILED", runs, left_out=2).summary.startswith("3 runs, 2 never started")


def test_a_sweep_of_which_nothing_started_has_a_report_that_says_so() -> None:
    page = comparison.page("exp sweep", "KILLED", [], left_out=3)
    assert (page.summary, page.sections) == ("0 runs, 3 never started", [])
