"""What the wheel megatron-core 0.19 needs to train as it is, on GPUs and CPUs alike."""

import importlib.util
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from primus.rank.problems import UNFIT, Refused

SERIES = (0, 19)
"""`pretrain` takes other arguments in each of 0.17, 0.18 and 0.19."""


def version() -> tuple[int, int, int]:
    """Of the Megatron that would be imported, read from its file: importing it starts git."""
    spec = importlib.util.find_spec("megatron")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    path = next((found for folder in folders if (found := folder / "core/package_info.py").is_file()), None)
    if path is None:
        raise Refused(f"{sys.executable} finds no megatron/core in {', '.join(map(str, folders)) or 'its path'}", UNFIT)
    numbers = dict(re.findall(r"^(MAJOR|MINOR|PATCH) = (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return int(numbers["MAJOR"]), int(numbers["MINOR"]), int(numbers["PATCH"])


def check_version() -> None:
    """Raise Refused for a Megatron that the worker was not written for."""
    found = version()
    if found[:2] != SERIES:
        raise Refused(
            f"Megatron {'.'.join(map(str, found))} is not the one that Primus runs: that is "
            f"{SERIES[0]}.{SERIES[1]}. Mend it with: primus task=setup backend=megatron, or a checkout of core_v0.19.x",
            UNFIT,
        )
    os.environ.setdefault("NO_VCS_VERSION", "1")  # else every rank starts git to know its own version


def ignore_warnings() -> None:
    """Lines in every log that ask nothing of the user: optional packages that are not there, names that change.

    Upstream: megatron-core 0.19.2 with torch 2.13. Can go when Megatron says it once and takes torch's new names.
    """
    for message in (
        ".*Apex (is|are) not installed",
        "Transformer Engine and Apex are not installed",
        "absl.logging is not installed",
        "Only transformer-engine>=1.7.0 supports MoE experts",
        "MimoModelConfig is experimental",
        "`torch.distributed.* is deprecated",
        "torch.distributed is disabled, unavailable or uninitialized",
        "The argument order of load has been changed",
        "Please use DTensor instead",
        "The .grad attribute of a Tensor that is not a leaf Tensor",
    ):
        warnings.filterwarnings("ignore", message=message)


def leave_out_the_compiler() -> None:
    """Megatron runs `make` for its index of samples at each start. The wheel has the result and no Makefile: it exits.

    Upstream: megatron-core 0.19.2, `_compile_dependencies` in training/initialize.py. Can go when the wheel starts as
    it is. A checkout has the Makefile and stays as it is.
    """
    import torch
    from megatron.core import datasets
    from megatron.training import initialize

    if not (Path(datasets.__path__[0]) / "Makefile").exists():
        vars(initialize)["_compile_dependencies"] = lambda: torch.distributed.barrier()


def load_sharded_adam() -> None:
    """Without Transformer Engine and Apex, a sharded PyTorch Adam cannot be loaded: its step counts are not there yet.

    Upstream: megatron-core 0.19.2, `state_dict` and `load_state_dict` of `DistributedOptimizer`
    (core/optimizer/distrib_optimizer.py): the first wants every parameter's step before there is one, the second gives
    all parameters one tensor, which then counts once for each, and in fp32 it writes into weights that autograd
    watches. Can go when a checkpoint loads with PyTorch's Adam.
    """
    import torch
    from megatron.core.optimizer import distrib_optimizer

    if distrib_optimizer.HAVE_APEX_OR_TE:
        return
    optimizer = distrib_optimizer.DistributedOptimizer
    state_dict, load_state_dict = optimizer.state_dict, optimizer.load_state_dict

    def with_state(self: Any) -> Any:
        if not self.optimizer.state:
            _make_state(self.optimizer)
        return state_dict(self)

    def with_own_steps(self: Any, state: Any) -> None:
        with torch.no_grad():
            load_state_dict(self, state)
        _count_apart(self.optimizer)

    optimizer.state_dict, optimizer.load_state_dict = with_state, with_own_steps


def _make_state(adam: Any) -> None:
    """Zeros, every one of which the checkpoint replaces."""
    import torch

    for parameter in (parameter for group in adam.param_groups for parameter in group["params"]):
        adam.state[parameter] = {
            "step": torch.tensor(0.0),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }


def _count_apart(adam: Any) -> None:
    import torch

    for group in adam.param_groups:
        for parameter in group["params"]:
            adam.state[parameter]["step"] = torch.tensor(float(group["step"]))
