"""A model of TorchTitan's with dimensions of one's own, in place of a flavor from its list."""

import importlib

from torchtitan.components.optimizer import register_moe_load_balancing_hook
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.protocols.model_spec import ModelSpec

from primus.rank.torchtitan.dimensions import Dimensions as Dimensions


def model_spec(d: Dimensions) -> ModelSpec:
    """What `model_registry` of TorchTitan's folder returns for a flavor, for these dimensions."""
    family = importlib.import_module(f"primus.rank.torchtitan.models.{d.name}")  # one: each takes time to import
    return ModelSpec(
        name=d.name,
        flavor=d.flavor,
        model=family.decoder(d),
        parallelize_fn=family.PARALLELIZE,
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=register_moe_load_balancing_hook if d.moe else None,
        state_dict_adapter=None,  # to and from Hugging Face's weights: nothing is loaded or exported
    )
