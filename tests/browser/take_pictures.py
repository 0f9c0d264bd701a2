"""Take the pictures of docs anew, but for the terminal's: `python -m tests.browser.take_pictures OUTPUTS`.

To be started at the top of the tree. OUTPUTS holds a single run and a sweep. The terminal's picture is an asciinema
recording of `primus`, 100 x 26, drawn by svg-term-cli.
"""

import contextlib
import sys
import time
from pathlib import Path

from mlflow import MlflowClient
from selenium import webdriver
from selenium.webdriver.common.by import By

from primus.node import rundir
from tests.browser.pages import chromium, drawn, mlflow_ui, shows

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def settle(browser: webdriver.Chrome) -> None:
    """Close MLflow's assistant, unfold what it folds, and let the charts draw: they do so after their titles."""
    time.sleep(3)
    for button in browser.find_elements(By.XPATH, "//*[text()='Show more']"):
        button.click()
    for button in browser.find_elements(
        By.CSS_SELECTOR, "[aria-label='Close'], [data-component-id*='assistant'][data-component-id*='close']"
    ):
        with contextlib.suppress(Exception):
            button.click()
    time.sleep(3)


def main(outputs: Path) -> None:
    """Write mlflow-run.png, mlflow-sweep.png and comparison.png in docs/pictures."""
    client = MlflowClient(f"sqlite:///{outputs.resolve()}/mlflow.db")
    runs = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])]
    single = next(r for r in runs if "primus.sweep" not in r.data.tags and "loss" in r.data.metrics)
    parent = next(r for r in runs if r.data.tags.get("primus.task") == "sweep")
    with mlflow_ui(outputs) as server, chromium(1500, 950) as browser:
        base = f"{server}/#/experiments/{single.info.experiment_id}"
        shows(browser, f"{base}/runs/{single.info.run_id}/model-metrics", ("loss", "grad_norm"))
        settle(browser)
        browser.save_screenshot(str(PICTURES / "mlflow-run.png"))
        base = f"{server}/#/experiments/{parent.info.experiment_id}"
        shows(browser, f"{base}/runs/{parent.info.run_id}", ("Sweep", "best_loss", "Child runs"))
        settle(browser)
        browser.save_screenshot(str(PICTURES / "mlflow-sweep.png"))
        drawn(browser, Path(parent.data.tags["primus.run_directory"]) / rundir.REPORT)
        browser.save_screenshot(str(PICTURES / "comparison.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
