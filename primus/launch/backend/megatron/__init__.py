"""The neutral terms in those of Megatron-LM (megatron-core 0.19): what `rank.json` holds.

Pure; Megatron need not be installed where this runs.
"""

from typing import Any

from primus.launch.backend.megatron.lacking import lacks as lacks
from primus.launch.backend.megatron.model import architecture, frequencies
from primus.launch.backend.megatron.training import course
from primus.launch.backend.settings import Settings as Settings
from primus.launch.config.terms.data import Data
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training

PACKAGES = ("torch", "megatron-core")  # whose versions say what ran


def rank_config(model: Model, data: Data, training: Training) -> dict[str, Any]:
    """The content of `rank.json`. `arguments` are those of Megatron by the names that its parser gives them.

    Beside them is what the rank decides by its device and the number of ranks: the precision (`auto`), sequence
    parallelism (null) and how the optimizer's state is spread; what no argument says; and `steps`, the length of the
    data order.
    """
    parallel = training.parallel
    return {
        "arguments": {**architecture(model, training), **course(training, model.layers)},
        "frequencies": frequencies(model),
        "precision": training.precision,
        "sequence_parallel": parallel.sequence,
        "replicate": parallel.replicate,
        "steps": max(training.steps, training.schedule_steps),
    }
