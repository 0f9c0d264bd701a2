"""What a user sees of a report, opened as a file in a real browser."""

from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from primus.launch.report import writing
from primus.node import rundir
from tests.browser.pages import chromium, drawn
from tests.launch.report.runs import recorded

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


def curves(browser: webdriver.Chrome, title: str) -> int:
    """How many lines the chart of this title has drawn."""
    (chart,) = [f for f in browser.find_elements(By.TAG_NAME, "figure") if f.text.startswith(title)]
    return len(chart.find_elements(By.CSS_SELECTOR, ".scatterlayer path.js-line"))


def background(browser: webdriver.Chrome, scheme: str) -> str:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))


def test_the_report_of_a_run_draws_its_curves_from_a_file_alone(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "exp" / "run", status="failed")
    writing.of_run(directory)
    with chromium(1300, 900) as browser:
        assert drawn(browser, directory / rundir.REPORT) == []
        assert curves(browser, "Loss") == 2
        assert curves(browser, "Learning rate") == 1
        assert "RuntimeError: loss is not finite" in browser.find_element(By.TAG_NAME, "pre").text
        assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_comparison_of_a_sweep_draws_all_its_jobs_over_what_is_chosen(tmp_path: Path) -> None:
    sweep = tmp_path / "exp" / "sweep"
    names = ("torchtitan", "megatron", "maxtext")
    for n, name in enumerate(names):
        recorded(sweep / str(n), overrides=(f"backend={name}",), backend=name, sweep="sweep", fall=0.1 + n / 50)
    jobs = [{"index": n, "overrides": [f"backend={name}"]} for n, name in enumerate(names)]
    rundir.write_json(sweep / "sweep.json", {"id": "sweep", "experiment": "exp", "jobs": jobs, "status": "FINISHED"})
    writing.of_sweep(sweep)
    with chromium(1300, 900) as browser:
        assert drawn(browser, sweep / rundir.REPORT) == []
        assert curves(browser, "Loss") == 3
        assert {t.text for t in browser.find_elements(By.CSS_SELECTOR, "#chart-0 .legendtext")} == {*names}
        browser.find_element(By.CSS_SELECTOR, "#chart-0 button[data-axis=tokens]").click()
        assert browser.find_element(By.CSS_SELECTOR, "#chart-0 .xtitle").text == "tokens"
        assert background(browser, "light") != background(browser, "dark")

        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        assert drawn(browser, sweep / rundir.REPORT) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE["width"]
