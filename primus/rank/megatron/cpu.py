"""All that Megatron (megatron-core 0.19.2) needs changed to train without a GPU, on gloo. None of it touches a GPU.

Megatron asks for CUDA by name. Each function below names what stops it and when the function can go. `before_import`
must be called before any part of Megatron is imported.
"""

import contextlib
import functools
import os
import warnings
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from primus.rank.megatron import compatibility
from primus.rank.problems import UNFIT, Refused

MEGATRON = (0, 19, 2)


def before_import() -> None:
    """Apply what must be in place when Megatron's modules are imported. Raises Refused for another Megatron."""
    _check_version()
    _share_cores()
    _run_eagerly()  # first: torch._dynamo keeps a table of what the next one replaces
    _stand_in_for_cuda()


def before_pretrain() -> None:
    """Apply what changes Megatron's own modules."""
    _allow_no_cuda()
    _fork_the_cpu_generator()
    _keep_the_generator()
    _count_tokens_of_experts()


def _check_version() -> None:
    found = compatibility.version()
    if found != MEGATRON:
        raise Refused(
            f"There is no GPU, and Megatron {'.'.join(map(str, found))} is not the one that Primus can run on a CPU: "
            f"that is {'.'.join(map(str, MEGATRON))}. Mend it with: primus task=setup backend=megatron",
            UNFIT,
        )


def _share_cores() -> None:
    """Ranks of one node share its cores. PyTorch gives each rank all of them, and 2 ranks run slower than 1.

    Upstream: torch 2.13 (torchrun sets OMP_NUM_THREADS=1 for this). Can go when the node agent pins ranks to cores.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0))
        torch.set_num_threads(max(1, cores // int(os.environ["LOCAL_WORLD_SIZE"])))


class _CudaIsCpu(TorchFunctionMode):
    """Every tensor that is asked for on a GPU is made, or stays, on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.cuda:
            return args[0]
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = "cpu"
        if func is torch.Tensor.to and len(args) > 1 and _is_cuda(args[1]):
            args = (args[0], "cpu", *args[2:])
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:
            # The optimizer knows what to keep in full precision by names such as torch.cuda.BFloat16Tensor.
            return func(*args).replace("torch.", "torch.cuda.", 1)
        return func(*args, **kwargs)


def _is_cuda(device: Any) -> bool:
    return str(device).startswith("cuda") if isinstance(device, str | torch.device) else False


class _Stream:
    """What Megatron does with streams and their events, on a device that does one thing after the other."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def wait_stream(self, stream: Any) -> None: ...

    def record_event(self, event: Any = None) -> Any:
        return self

    def synchronize(self) -> None: ...


def _stand_in_for_cuda() -> None:
    """Megatron makes its tensors on CUDA, on streams of CUDA, with CUDA's generator of random numbers.

    Upstream: megatron-core 0.19.2, all of it. Can go when it has a device of one's choice. The number of devices is
    checked before process groups are made; compute capability 10 is what needs no CUDA_DEVICE_MAX_CONNECTIONS.
    """

    def nothing(*_: Any, **__: Any) -> None:
        return None

    properties = SimpleNamespace(major=10, minor=0, name="cpu", total_memory=0)
    stand_ins: dict[str, Any] = {
        "device_count": lambda: 1,
        "current_device": lambda: torch.device("cpu"),
        "get_device_properties": lambda device=None: properties,
        "synchronize": nothing,
        "set_device": nothing,
        "empty_cache": nothing,
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "manual_seed": torch.manual_seed,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
    }
    for name, stand_in in stand_ins.items():
        setattr(torch.cuda, name, stand_in)
    _CudaIsCpu().__enter__()  # type: ignore[no-untyped-call]  # torch 2.13; for good
    warnings.filterwarnings("ignore", message="'pin_memory' argument is set as true")


def _run_eagerly() -> None:
    """Megatron's fusions are compiled for GPUs; on a CPU compiling takes longer than a small training.

    Upstream: megatron-core 0.19.2, `jit_fuser` in core/jit.py. Can go when that looks at the device.
    """
    torch.compiler.set_stance("force_eager")


def _allow_no_cuda() -> None:
    """`pretrain` starts with "Megatron requires CUDA" and has no argument for the flag that lets it pass.

    Upstream: megatron-core 0.19.2, `initialize_megatron` in training/initialize.py. Can go when `pretrain` has one.
    """
    from megatron.training import training

    training.initialize_megatron = functools.partial(training.initialize_megatron, allow_no_cuda=True)


def _fork_the_cpu_generator() -> None:
    """Megatron keeps a state of the generator for each kind of parallelism, and gets at CUDA's by its own functions.

    Upstream: megatron-core 0.19.2, core/tensor_parallel/random.py. Can go when they take the generator of the device.
    """
    from megatron.core.tensor_parallel import random

    vars(random)["_get_cuda_rng_state"] = lambda device="cuda", clone=False, graph_safe=False: torch.get_rng_state()
    vars(random)["_set_cuda_rng_state"] = lambda state, device=-1, graph_safe=False: torch.set_rng_state(state)


def _keep_the_generator() -> None:
    """Beginning to read data draws a seed for the reader from the generator, which here is also that of the model.

    Upstream: torch 2.13, `_BaseDataLoaderIter`. A resumed training would draw once more than one that was not
    interrupted. Can go with the stand-in for CUDA's generator.
    """
    from megatron.training import training

    build = training.build_train_valid_test_data_iterators

    @functools.wraps(build)
    def build_and_restore(*arguments: Any, **named: Any) -> Any:
        state = torch.get_rng_state()
        try:
            return build(*arguments, **named)
        finally:
            torch.set_rng_state(state)

    training.build_train_valid_test_data_iterators = build_and_restore


def _count_tokens_of_experts() -> None:
    """What goes to which expert is counted on the device; as numbers for gloo only when it comes from a GPU.

    Upstream: megatron-core 0.19.2, `maybe_move_tensor_to_cpu` in core/transformer/moe/moe_utils.py. Can go when that
    makes numbers of what is on the CPU already.
    """
    from megatron.core.transformer.moe import token_dispatcher

    def numbers(tensor: Any, as_numpy: bool = False, record_stream: bool = False) -> Any:
        return tensor.numpy() if as_numpy and torch.is_tensor(tensor) else tensor

    token_dispatcher.maybe_move_tensor_to_cpu = numbers
