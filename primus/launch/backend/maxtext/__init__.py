"""The neutral terms in those of MaxText 0.2.5: what `rank.json` holds and the rank worker gives MaxText's own trainer.

Pure; MaxText need not be installed where this runs.
"""

from typing import Any

from primus.launch.backend.maxtext import model as model_terms
from primus.launch.backend.maxtext import training as training_terms
from primus.launch.backend.settings import Settings as Settings
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.typed import Problem

PACKAGES = ("maxtext", "jax", "flax", "orbax-checkpoint", "grain")  # whose versions say what ran


def lacks(model: Model, data: Data, training: Training, world_size: int | None) -> list[Problem]:
    """What MaxText cannot express: the key and the part that it lacks. `world_size` None: the nodes know it."""
    return [*model_terms.lacks(model), *training_terms.lacks(training, world_size)]


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The content of `rank.json`.

    `options` are MaxText's, by its own names; `dtype` is `auto` where the rank is to choose by its device. `batch` and
    `stretch` are what the rank makes options or changes of, once it knows how many ranks there are.
    """
    return {
        "options": {**model_terms.options(model), **training_terms.options(training)},
        "batch": {
            "micro": training.micro_batch,
            "global": training.global_batch,
            "per_sequence": training.parallel.per_sequence,
            "pipeline": training.parallel.pipeline,
        },
        "precision": training.precision,
        "stretch": model_terms.stretch(model.rope_scaling),
    }
