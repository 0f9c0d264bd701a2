"""All that TorchTitan 0.3.0 needs changed to train without a GPU, on PyTorch 2.13 and gloo. None of it touches a GPU.

TorchTitan has no CPU mode. Each function below names what stops it and when the function can go. `before_import` must
be called before any other part of TorchTitan is imported.
"""

import importlib.metadata
import importlib.util
import math
import os
import resource
import sys
import warnings
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Replicate

from primus.rank.problems import UNFIT, Refused

TORCHTITAN = "0.3.0"


def before_import() -> None:
    """Apply what must be in place when TorchTitan's modules are imported. Raises Refused for another TorchTitan."""
    _check_version()
    _share_cores()
    _leave_out_triton_kernels()
    _make_the_cpu_the_device()


def adapt(config: Any) -> None:
    """Change a `Trainer.Config` to what a CPU can do. Raises Refused for what it cannot."""
    _refuse_context_parallel(config)
    _take_other_attention(config)
    _draw_whole_weights(config)
    _sum_gradients(config)
    config.training.disable_cuda_graphs = True
    config.comm.trace_buf_size = 0  # NCCL's flight recorder: there is none to write a trace


def _check_version() -> None:
    try:
        version = importlib.metadata.version("torchtitan")
    except importlib.metadata.PackageNotFoundError:  # the user's own checkout, which is nowhere installed
        return
    if version != TORCHTITAN:
        raise Refused(
            f"There is no GPU, and TorchTitan {version} is not the one that Primus can run on a CPU: that is "
            f"{TORCHTITAN}. Mend it with: pip install torchtitan=={TORCHTITAN}",
            UNFIT,
        )


def _share_cores() -> None:
    """Ranks of one node share its cores. PyTorch gives each rank all of them, and 2 ranks run slower than 1.

    Upstream: torch 2.13 (torchrun sets OMP_NUM_THREADS=1 for this). Can go when the node agent pins ranks to cores.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0))
        torch.set_num_threads(max(1, cores // int(os.environ["LOCAL_WORLD_SIZE"])))


def _leave_out_triton_kernels() -> None:
    """PyTorch for CPUs comes without triton, which one module for expert parallelism imports at its top.

    Upstream: torchtitan 0.3.0, `distributed/minimal_async_ep/kernels.py`. Can go when that import is lazy. That module
    is left out and no empty `triton` is made up, for PyTorch takes that for the real one.
    """
    if importlib.util.find_spec("triton") is not None:
        return
    name = "torchtitan.distributed.minimal_async_ep.kernels"
    module = ModuleType(name)

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)

        def needs_triton(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"{attribute} needs triton, which this PyTorch came without")

        return needs_triton

    module.__getattr__ = missing  # type: ignore[method-assign] # PEP 562; mypy has it as a method of ModuleType
    sys.modules[name] = module


def _make_the_cpu_the_device() -> None:
    """TorchTitan takes CUDA where it finds no accelerator.

    Upstream: torchtitan 0.3.0, `get_device_info` in `tools/utils.py`; `torch.cpu` of torch 2.13 lacks what it calls of
    a device module. Can go when `get_device_info` knows the CPU. Memory is that of the whole process.
    """
    from torchtitan.tools import utils

    def memory_stats(device: Any = None) -> dict[str, int]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
        return {"active_bytes.all.peak": peak, "reserved_bytes.all.peak": peak, "num_alloc_retries": 0, "num_ooms": 0}

    def nothing(device: Any = None) -> None:
        return None

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    module = ModuleType("cpu")
    module.__dict__.update(
        vars(torch.cpu),
        set_device=nothing,
        device_count=lambda: 1,  # so that every local rank takes cpu:0
        current_device=lambda: 0,
        get_device_name=lambda device=None: "CPU",
        get_device_properties=lambda device=None: SimpleNamespace(total_memory=total),
        reset_peak_memory_stats=nothing,
        empty_cache=nothing,
        memory_stats=memory_stats,
    )
    utils.device_type, utils.device_module = "cpu", module
    utils.get_peak_flops = lambda device_name: math.nan  # unknown; TorchTitan would warn and take that of an A100


def _refuse_context_parallel(config: Any) -> None:
    """Plain attention on a CPU has no rule by which ranks share a sequence.

    Upstream: torch 2.13 (`_scaled_dot_product_flash_attention_for_cpu` is missing in the attention of context parallel,
    `distributed/tensor/experimental/_context_parallel/_attention.py`). Can go when it is there.
    """
    if config.parallelism.context_parallel_degree > 1:
        raise Refused(
            "task.parallel.context: there is no GPU, and PyTorch cannot share a sequence among ranks on a CPU. "
            "Mend it with: task.parallel.context=1",
            UNFIT,
        )


def _take_other_attention(config: Any) -> None:
    """Flex attention has no backward pass on CPUs; what is taken is causal but does not know where documents end.

    Upstream: torch 2.13, `torch/nn/attention/flex_attention.py`. Can go when it trains on CPUs. That of PyTorch knows
    neither windows nor sinks: for gpt-oss one is written out.
    """
    from torchtitan.models.common.attention import ScaledDotProductAttention

    if config.model_spec.name != "gpt_oss":
        for layer in config.model_spec.model.layers:
            layer.attention.inner_attention = ScaledDotProductAttention.Config()
        return
    from primus.rank.torchtitan.plain_attention import PlainAttention

    for layer in config.model_spec.model.layers:
        layer.attention.inner_attention = PlainAttention.Config(window=layer.attention.sliding_window_size)


def _draw_whole_weights(config: Any) -> None:
    """Without this every rank draws the same numbers for its own shard, so that the parts of a matrix are copies.

    Upstream: torch 2.13, `is_rng_supported_mesh` in `distributed/tensor/_random.py`, leaves CPUs without the offsets
    that tell shards apart. Can go when it has them. Each rank draws the whole matrix instead and keeps its shard, as
    TorchTitan does for a fused QKV; the first weights are then the same however many ranks there are.
    """
    from torchtitan.protocols.module import Module

    for _, part, _, _ in config.model_spec.model.traverse(Module.Config, recurse=True):
        if part.param_init is not None:
            part.param_init = {name: partial(_draw_whole, initialize) for name, initialize in part.param_init.items()}
    warnings.filterwarnings("ignore", message="DTensor .* may not have complete support on cpu")


def _draw_whole(initialize: Callable[[torch.Tensor], Any], parameter: torch.Tensor) -> None:
    if not isinstance(parameter, DTensor):
        initialize(parameter)
        return
    whole = torch.empty(parameter.shape, dtype=parameter.dtype)
    initialize(whole)
    mesh = parameter.device_mesh
    with torch.no_grad():
        parameter.copy_(DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False))


def _sum_gradients(config: Any) -> None:
    """FSDP reduces gradients with a scaled sum, which gloo lacks; a sum and then a division come to the same.

    Upstream: torch 2.13, `PREMUL_SUM` in ProcessGroupGloo. Can go when gloo has it.
    """
    from torch.distributed.fsdp import FSDPModule

    spec = config.model_spec
    parallelize = spec.parallelize_fn

    def parallelize_for_gloo(model: Any, **arguments: Any) -> Any:
        model = parallelize(model, **arguments)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_force_sum_reduction_for_comms(True)
        return model

    spec.parallelize_fn = parallelize_for_gloo
