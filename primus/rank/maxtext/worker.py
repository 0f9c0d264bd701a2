"""One rank of MaxText: its own pre-training from start to end."""

import contextlib
import importlib
import importlib.util
import io
import sys
from typing import Any

from primus.rank.problems import UNFIT, Refused
from primus.rank.progress import beat


def run(rank: dict[str, Any]) -> None:
    """Train as `rank` says, the content of `rank.json`. Raises Refused when this environment or a file does not fit."""
    for package in ("jax", "maxtext"):
        if importlib.util.find_spec(package) is None:
            raise Refused(
                f"{sys.executable} cannot import {package}. Mend it with: primus task=setup backend=maxtext", UNFIT
            )
    beat("importing MaxText")
    from primus.rank.maxtext import compatibility

    compatibility.before_import(own_checkout=rank["path"] is not None)
    from primus.rank.maxtext import devices, log

    log.open_log()
    devices.connect()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # a line for every part of Google Cloud that is not there
            importlib.import_module("maxtext.trainers.pre_train.train")
        compatibility.apply(rank)
        _train(rank)
    except BaseException as error:
        devices.abandon(error)
        raise
    devices.disconnect()


def _train(rank: dict[str, Any]) -> None:
    from maxtext.trainers.pre_train import train

    from primus.rank.maxtext import checkpoints, config, data, evaluate, loop, metrics, schedule, store
    from primus.rank.stopping import Stopping

    beat("reading the config")
    start, only = checkpoints.start(rank), rank["evaluation"]["only"]
    hyperparameters, recorder = config.initialize(config.options(rank, start))
    config.place(hyperparameters, rank)
    if start.step >= hyperparameters.steps and not only:
        print(f"INFO nothing to do: {start.step} steps are done, and task.steps is {hyperparameters.steps}", flush=True)
        return
    beat("building the model, loading the checkpoint")
    data.install(rank)
    schedule.install()
    lines = metrics.install(rank, hyperparameters)
    try:
        if only:
            evaluate.evaluate(hyperparameters, recorder, start.step, lines)
        else:
            with Stopping(store.of_ranks()) as stopping:
                loop.install(rank, lines, stopping)
                train.run(hyperparameters, recorder)
    finally:
        lines.close()
