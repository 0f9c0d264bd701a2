"""`task.precision=fp8`: TorchTitan's own converter of a model's matrices to float8, which needs torchao and a GPU."""

import importlib.util
import sys
from dataclasses import replace

from torchtitan.components.quantization import Float8LinearConverter
from torchtitan.protocols.model_spec import ModelSpec

from primus.rank.problems import UNFIT, Refused

_KEEP = ["lm_head", "router.gate", "auto_filter_small_kn"]
"""Not converted: the head and the routers, as in TorchTitan's own configs (llama3_405b and those of DeepSeek), and what
torchao finds too small to gain (TorchTitan's docs/float8.md)."""


def quantize(spec: ModelSpec, kind: str | None, compiled: bool) -> ModelSpec:
    """The model with float8 matrix products; None leaves it as it is. Raises Refused where this cannot run."""
    if kind is None:
        return spec
    if importlib.util.find_spec("torchao") is None:
        raise Refused(
            f"task.precision=fp8: TorchTitan's float8 needs torchao, which {sys.executable} cannot import. "
            f"Mend it with: {sys.executable} -m pip install torchao",
            UNFIT,
        )
    try:
        converter = Float8LinearConverter.Config(filter_fqns=_KEEP, model_compile_enabled=compiled).build()
    except ValueError as error:  # an older GPU, or none
        raise Refused(f"task.precision=fp8: {error}", UNFIT) from None
    return replace(spec, model=converter.convert(spec.model))
