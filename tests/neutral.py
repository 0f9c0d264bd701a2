"""The neutral terms as conf/ has them, with changes: what tests of backends and of consistency begin with."""

from pathlib import Path
from typing import Any

import yaml

from primus.launch.backend.settings import Settings as Backend
from primus.launch.config.terms.data import DATA, Data
from primus.launch.config.terms.model import Model, RopeScaling
from primus.launch.config.terms.training import Checkpoint, Evaluation, Optimizer, Parallel, Schedule
from primus.launch.task.train.pretrain import Settings as Pretrain
from primus.node.typed import read

CONF = Path(__file__).parents[1] / "conf"


def _conf(group: str, name: str) -> Any:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


def model(preset: str = "tiny", /, **changes: Any) -> Model:
    """A preset."""
    return read(Model, _conf("model", preset) | changes)


def llama3_scaling(factor: float = 8.0, low: float = 1.0, high: float = 4.0, original: int = 8192) -> RopeScaling:
    """How Llama 3.1 stretches positions."""
    return RopeScaling(
        kind="llama3",
        factor=factor,
        low_frequency_factor=low,
        high_frequency_factor=high,
        original_context=original,
    )


def training(**changes: Any) -> Pretrain:
    """`task=train/pretrain`."""
    return read(Pretrain, _conf("task", "train/pretrain") | changes)


def _part(key: str, changes: dict[str, Any]) -> Any:
    return _conf("task", "train/pretrain")[key] | changes


def optimizer(**changes: Any) -> Optimizer:
    """`task.optimizer`."""
    return read(Optimizer, _part("optimizer", changes))


def schedule(**changes: Any) -> Schedule:
    """`task.schedule`."""
    return read(Schedule, _part("schedule", changes))


def parallel(**changes: Any) -> Parallel:
    """`task.parallel`."""
    return read(Parallel, _part("parallel", changes))


def checkpoint(**changes: Any) -> Checkpoint:
    """`task.checkpoint`."""
    return read(Checkpoint, _part("checkpoint", changes))


def evaluation(**changes: Any) -> Evaluation:
    """`task.eval`."""
    return read(Evaluation, _part("eval", changes))


def data(preset: str, /, **changes: Any) -> Data:
    """One of `conf/data`."""
    return read(DATA[preset], _conf("data", preset) | changes)


def backend(preset: str, /, **changes: Any) -> Backend:
    """One of `conf/backend`."""
    return read(Backend, _conf("backend", preset) | changes)
