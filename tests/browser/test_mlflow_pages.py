"""What a user sees of a run in MLflow's own pages, in a real browser."""

import json
from pathlib import Path

import pytest

from tests.browser.pages import chromium, mlflow_ui, shows
from tests.conftest import PATIENT, Primus

RANK = """
import json, os
with open(os.environ["PRIMUS_METRICS"], "w") as file:
    for step in range(1, 6):
        file.write(json.dumps({"time": 1.8e9 + step, "step": step, "loss": 6.0 / step}) + "\\n")
"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.mlflow
def test_the_page_of_a_run_shows_its_loss_and_its_overview_how_to_replay_it(primus: Primus, work: Path) -> None:
    (work / "rank.py").write_text(RANK)
    said = primus("task=command", "task.command=[python3,rank.py]", "experiment.name=seen", PATIENT)
    assert said.code == 0, said.err
    record = json.loads(next((work / "outputs").glob("seen/*/record.json")).read_text())
    with mlflow_ui(work / "outputs") as server, chromium(1400, 900) as browser:
        page = f"{server}/#/experiments/{record['experiment_id']}/runs/{record['run_id']}"
        shows(browser, f"{page}/model-metrics", ("loss", "Step"))
        shows(browser, page, ("Finished", "primus replay="))
