"""Bytes per token that one layer of TorchTitan's own model, in bf16 on the CPU, leaves behind after its forward pass.

A program: cases as JSON on standard input, [dimensions, recomputation] each; one number a line.
"""

import gc
import json
import sys
import weakref
from typing import Any

from primus.rank.torchtitan import cpu

cpu.before_import()

import torch  # noqa: E402  (TorchTitan must find the CPU as its device)
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402
from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC  # noqa: E402
from torchtitan.models.common.attention import ScaledDotProductAttention  # noqa: E402

from primus.node.typed import read  # noqa: E402
from primus.rank.torchtitan.model import Dimensions, model_spec  # noqa: E402

BATCH, LENGTH = 2, 256
RECOMPUTATION = {"none": None, "selective": SelectiveAC.Config, "full": FullAC.Config}


class Alive(TorchDispatchMode):
    """The size of every storage that an operation made and that is still there."""

    def __init__(self, before: set[int]) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self._before = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if storage.data_ptr() not in self._before and key not in self.sizes:
                    self.sizes[key] = storage.nbytes()
                    weakref.finalize(storage, self.sizes.pop, key, None)
        return made


def kept(dimensions: dict[str, Any], layers: int, recomputation: str) -> int:
    """Bytes after the forward pass of a model of so many layers, all of the same kind."""
    sparse = dimensions["moe"] and {**dimensions["moe"], "layers": list(range(layers))}
    config = model_spec(read(Dimensions, {**dimensions, "n_layers": layers, "moe": sparse})).model
    for layer in config.layers:
        layer.attention.inner_attention = ScaledDotProductAttention.Config()  # flex attention is for GPUs
    model = config.build()
    model.init_states(buffer_device=torch.device("cpu"))
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    policy = RECOMPUTATION[recomputation]
    if policy:
        policy().build(dump_folder="").apply(model)
    model._skip_lm_head = True
    before = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    tokens, positions = torch.randint(0, 250, (BATCH, LENGTH)), torch.arange(LENGTH).repeat(BATCH, 1)
    with Alive(before) as alive:
        hidden = model(tokens, positions)
    gc.collect()
    assert hidden.requires_grad
    return sum(alive.sizes.values())


for dimensions, recomputation in json.load(sys.stdin):
    print((kept(dimensions, 3, recomputation) - kept(dimensions, 2, recomputation)) / (BATCH * LENGTH), flush=True)
