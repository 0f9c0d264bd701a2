"""The neutral terms in those of TorchTitan 0.3: what `rank.json` holds and the rank worker makes a `Trainer.Config` of.

Pure; TorchTitan need not be installed where this runs.
"""

from typing import Any

from primus.launch.backend.settings import Settings as Settings
from primus.launch.backend.torchtitan import training as trainings
from primus.launch.backend.torchtitan.model import dimensions
from primus.launch.config.terms.data import Data, HubData, TextData
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.typed import Problem

EXTRA = "primus[torchtitan]"  # what to install for the ranks
PACKAGES = ("torch", "torchtitan")  # whose versions say what ran


def lacks(model: Model, data: Data, training: Training) -> list[Problem]:
    """What TorchTitan cannot express: the key and the part that it lacks."""
    return trainings.lacks(model, training)


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """What `rank.json` has of the neutral terms: the model and the trainer by TorchTitan's names, and the data."""
    return {
        "model": dimensions(model, training.sequence_length),
        "data": _data(data),
        "trainer": trainings.trainer(training),
    }


def _data(data: Data) -> dict[str, Any]:
    if isinstance(data, TextData):
        files = [data.files] if isinstance(data.files, str) else data.files and list(data.files)
        return {"name": data.name, "files": files, "tokenizer": data.tokenizer}
    if isinstance(data, HubData):
        return {
            "name": data.name,
            "path": data.dataset,
            "subset": data.subset,
            "split": data.split,
            "text_key": data.text_key,
            "streaming": data.streaming,
            "tokenizer": data.tokenizer,
        }
    return {"name": data.name, "tokenizer": data.tokenizer}
