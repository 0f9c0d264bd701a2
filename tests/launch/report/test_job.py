"""The report of one run: what it says and what it draws."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from plotly.graph_objects import Figure

from primus.launch.outcome import write_result
from primus.launch.report import facts, job, reading
from primus.launch.report.charts import Chart
from primus.launch.report.page import Charts, Facts, Page, Text
from primus.node import rundir

from ..record.run_directories import START, append, end_nodes, make_run
from .runs import STARTED, recorded


def charts(page: Page) -> dict[str, Chart]:
    found = {chart.title: chart for s in page.sections if isinstance(s, Charts) for chart in s.charts}
    for chart in found.values():
        Figure(data=list(chart.traces), layout=chart.layout)  # raises for what plotly does not know
    return found


def texts(page: Page) -> dict[str, str]:
    return {section.title: section.text for section in page.sections if isinstance(section, Text)}


def names(chart: Chart) -> Sequence[str]:
    return [trace["name"] for trace in chart.traces]


def test_the_final_figures_are_those_of_the_metrics(tmp_path: Path) -> None:
    figures = dict(facts.figures(reading.run(recorded(tmp_path / "exp" / "run"))))
    assert figures == {
        "last step": "20",
        "tokens seen": "20,480",
        "loss": "0.5413 (first 3.6193, lowest 0.5413)",
        "validation loss": "0.5549 (first 1.5083, lowest 0.5549)",
        "validation perplexity": "1.74",
        "tokens/s": "1,000 (median)",
        "MFU": "2.5 % (median)",
        "step time": "0.500 s (median)",
        "memory, peak": "2.00 GiB",
        "start to end of first step": "3.5 s",
    }


def test_what_ran_is_told(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run", overrides=("task.steps=20", "data.files=a b"))
    told = dict(facts.facts(reading.run(directory)))
    assert told["backend"] == "torchtitan 0.3.0"
    assert told["devices"] == "2 x NVIDIA H200"
    assert told["versions"] == "python 3.11.7, driver 580.65, torch 2.13.0"
    assert told["git commit"] == "0123456789ab"
    assert told["overrides"] == "task.steps=20 'data.files=a b'"
    assert told["exit code"] == "0"
    assert told["run again"] == f"primus replay={directory}"
    assert facts.summary(reading.run(directory)).startswith("train/pretrain · torchtitan 0.3.0 · 2 x NVIDIA H200 · ")


def test_every_metric_is_drawn(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run")
    append(
        directory / rundir.rank_metrics(0), json.dumps({"time": START + 11, "step": 21, "router_entropy": 0.5}) + "\n"
    )
    drawn = charts(job.page(reading.run(directory)))
    assert [*drawn] == [
        *("Loss", "Tokens per second", "Model FLOPs utilisation", "Memory, peak", "Learning rate", "Gradient norm"),
        *("router_entropy", "Utilisation", "Memory in use"),
    ]
    assert names(drawn["Loss"]) == ["loss", "validation loss"]
    assert [*drawn["Loss"].axes] == ["step", "tokens", "seconds"]
    assert drawn["Loss"].axes["tokens"][1] == [10240, 20480]
    assert drawn["Loss"].axes["seconds"][0][0] == 3.5
    assert names(drawn["Utilisation"]) == ["CPU", "GPU 0", "GPU 1"]


def test_hundreds_of_gpus_are_drawn_as_their_lowest_median_and_highest(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run")
    for node in range(1, 32):
        gpus = {f"gpu{g}_utilization_percent": 60.0 + node for g in range(8)}
        lines = [json.dumps({"time": START + n, "cpu_percent": 10.0, **gpus}) for n in range(3)]
        append(directory / rundir.host_metrics(node), "\n".join(lines) + "\n")
    drawn = charts(job.page(reading.run(directory)))
    assert names(drawn["Utilisation"]) == [f"{w}, {h}" for w in ("CPU", "GPU") for h in ("lowest", "median", "highest")]


def test_a_failed_run_says_first_which_rank_failed_with_its_last_words(tmp_path: Path) -> None:
    page = job.page(reading.run(recorded(tmp_path / "exp" / "run", status="failed")))
    assert (page.status, page.sections[0].title) == ("FAILED", "Why it failed")
    said = texts(page)["Why it failed"]
    assert said.startswith("rank 1 on node 0 failed first: it ended with exit code 3.\n")
    assert "RuntimeError: loss is not finite" in said
    assert said.endswith("its whole log: logs/node-0/rank-1.log")
    assert texts(page)["Diagnosis"].startswith("most likely: the loss or a gradient is not a number any more\n")


def test_a_run_that_failed_before_any_rank_says_why(tmp_path: Path) -> None:
    directory = tmp_path / "exp" / "run"
    make_run(directory)
    write_result(directory, STARTED, interrupted=False, message="the node agent was killed by SIGKILL")
    page = job.page(reading.run(directory))
    assert texts(page)["Why it failed"] == "the node agent was killed by SIGKILL"
    assert charts(page) == {}


@pytest.mark.parametrize("task", ["a command", "an evaluation"])
def test_a_run_without_curves_has_what_there_is(task: str, tmp_path: Path) -> None:
    directory = tmp_path / "exp" / "run"
    make_run(directory)
    if task == "an evaluation":
        values = {"time": START, "step": 20, "validation_loss": 2.0, "validation_perplexity": 7.389}
        append(directory / rundir.rank_metrics(0), json.dumps(values) + "\n")
    end_nodes(directory)
    write_result(directory, STARTED, interrupted=False)
    page = job.page(reading.run(directory))
    facts_told = {name: value for s in page.sections if isinstance(s, Facts) for name, value in s.rows}
    assert facts_told["run directory"] == str(directory)
    if task == "an evaluation":
        assert (facts_told["validation loss"], facts_told["validation perplexity"]) == ("2.0000", "7.39")
        assert charts(page)["Loss"].traces[0]["mode"] == "lines+markers"
    else:
        assert charts(page) == {}
