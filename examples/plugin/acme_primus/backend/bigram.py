"""The neutral terms in those of the bigram trainer. Pure; it need not be installed where this runs."""

from typing import Any

from primus.launch.backend.settings import Settings as Settings
from primus.launch.config.terms.data import Data, TextData
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.typed import Problem

PACKAGES = ("acme-primus",)


def lacks(model: Model, data: Data, training: Training, world_size: int | None) -> list[Problem]:
    """What it cannot express."""
    return [] if isinstance(data, TextData) else [Problem("data", "bigram reads text: data=text")]


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The content of rank.json."""
    return {"steps": training.steps, "bytes_per_step": training.micro_batch * training.sequence_length}
