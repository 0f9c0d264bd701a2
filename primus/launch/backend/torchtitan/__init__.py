"""The neutral terms in those of TorchTitan 0.3: what `rank.json` holds and the rank worker makes a `Trainer.Config` of.

Pure; TorchTitan need not be installed where this runs.
"""

from typing import Any

from primus.launch.backend.settings import Settings as Settings
from primus.launch.backend.torchtitan import model as models
from primus.launch.backend.torchtitan import training as trainings
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.typed import Problem

PACKAGES = ("torch", "torchtitan")  # distributions that the ranks need


def lacks(model: Model, data: Data, training: Training, world_size: int | None) -> list[Problem]:
    """What TorchTitan cannot express: the key and the part that it lacks. `world_size` None: the nodes know it."""
    return [*models.lacks(model), *trainings.lacks(model, training, world_size)]


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The content of `rank.json`: the model and `trainer`, by the field names of TorchTitan's `Trainer.Config`."""
    return {"model": models.dimensions(model, training.sequence_length), "trainer": trainings.trainer(training)}
