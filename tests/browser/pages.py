"""A real MLflow server and a real headless Chromium, for tests and for the README's pictures."""

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ..conftest import port


@contextlib.contextmanager
def mlflow_ui(outputs: Path) -> Iterator[str]:
    """The address of an MLflow server on the records under `outputs`, while it runs."""
    given = port()
    store = f"sqlite:///{outputs.resolve()}/mlflow.db"
    argv = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--port",
        str(given),
        "--workers",
        "1",
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await(f"http://127.0.0.1:{given}/health")
            yield f"http://127.0.0.1:{given}"
        finally:
            server.terminate()


def _await(address: str) -> None:
    for _ in range(120):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=1).close()
            return
        time.sleep(0.5)
    raise TimeoutError(address)


@contextlib.contextmanager
def chromium(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """A headless browser that reaches this machine alone."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield browser
    finally:
        browser.quit()


def drawn(browser: webdriver.Chrome, report: Path, seconds: float = 60) -> list[str]:
    """Open a report and wait until its charts are drawn; what the browser's console then says."""
    browser.get(report.resolve().as_uri())
    script = "return document.documentElement.dataset.charts === 'drawn'"
    WebDriverWait(browser, seconds).until(lambda b: b.execute_script(script), f"charts of {report}")
    return [entry["message"] for entry in browser.get_log("browser")]


def shows(browser: webdriver.Chrome, address: str, words: tuple[str, ...], seconds: float = 60) -> None:
    """Open a page and wait until it shows all these words; raises TimeoutException."""
    browser.get(address)
    WebDriverWait(browser, seconds).until(
        lambda b: all(word in b.find_element(By.TAG_NAME, "body").text for word in words), f"{words} on {address}"
    )
