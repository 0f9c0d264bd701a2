"""Take the README's pictures of MLflow anew: `python docs/pictures/take.py OUTPUTS` with a run and a sweep recorded there.

Needs chromium, chromium-driver and the `dev` extra. The terminal's picture is an asciinema recording of `primus` at 100 x 26,
drawn by svg-term-cli.
"""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parent


@contextlib.contextmanager
def mlflow_ui(outputs: Path) -> Iterator[str]:
    """The address of an MLflow server on the records under `outputs`, while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{outputs.resolve()}/mlflow.db"
    argv = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(120):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                    break
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@contextlib.contextmanager
def chromium(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """A headless browser that reaches this machine alone."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--window-size={width},{height}")
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield browser
    finally:
        browser.quit()


def shows(browser: webdriver.Chrome, address: str, words: tuple[str, ...], seconds: float = 60) -> None:
    """Open a page and wait until it shows all these words; raises TimeoutException."""
    browser.get(address)
    WebDriverWait(browser, seconds).until(
        lambda b: all(word in b.find_element(By.TAG_NAME, "body").text for word in words), f"{words} on {address}"
    )


def settle(browser: webdriver.Chrome) -> None:
    """Close MLflow's assistant, and let the charts draw: they do so after their titles."""
    time.sleep(3)
    for button in browser.find_elements(By.CSS_SELECTOR, "[aria-label='Close'], [data-component-id*='assistant'][data-component-id*='close']"):
        with contextlib.suppress(Exception):
            button.click()
    time.sleep(3)


def main(outputs: Path) -> None:
    """Write mlflow-run.png and mlflow-sweep.png beside this file."""
    client = MlflowClient(f"sqlite:///{outputs.resolve()}/mlflow.db")
    runs = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])]
    single = next(r for r in runs if "primus.sweep" not in r.data.tags and "loss" in r.data.metrics)
    parent = next(r for r in runs if "loss" not in r.data.metrics and r.data.tags.get("primus.sweep"))
    with mlflow_ui(outputs) as server, chromium(1500, 950) as browser:
        base = f"{server}/#/experiments/{single.info.experiment_id}"
        shows(browser, f"{base}/runs/{single.info.run_id}/model-metrics", ("loss", "grad_norm"))
        settle(browser)
        browser.save_screenshot(str(HERE / "mlflow-run.png"))
        base = f"{server}/#/experiments/{parent.info.experiment_id}"
        shows(browser, f"{base}/runs/{parent.info.run_id}", ("Sweep", "overrides", "Child runs"))
        settle(browser)
        browser.save_screenshot(str(HERE / "mlflow-sweep.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
