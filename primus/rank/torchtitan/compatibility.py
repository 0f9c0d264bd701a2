"""What TorchTitan 0.3.0 expects of a PyTorch newer than 2.13, on GPUs and CPUs alike. A newer one stays as it is."""

import os
import warnings
from typing import Any

import torch.distributed

OLD = tuple(int(part) for part in torch.__version__.split(".")[:2]) <= (2, 13)


def name_set_timeout() -> None:
    """TorchTitan sets the timeout of process groups after the first step by a name that PyTorch made public later.

    Upstream: torchtitan 0.3.0 (`set_pg_timeouts` in `distributed/utils.py`), torch 2.13. Can go with torch 2.13.
    """
    if not hasattr(torch.distributed, "set_timeout"):
        from torch.distributed.distributed_c10d import _set_pg_timeout

        vars(torch.distributed)["set_timeout"] = _set_pg_timeout


def take_dtensor(config: Any) -> None:
    """With more than one rank the default SPMD backend gives plain tensors to `fully_shard`, which torch 2.13 refuses.

    Upstream: torchtitan 0.3.0 (`spmd_backend` in `config/configs.py`), torch 2.13 (`_init_sharding_spec` of FSDP: "all
    parameters must be DTensors"). Can go with torch 2.13.
    """
    if OLD and int(os.environ["WORLD_SIZE"]) > 1:
        config.parallelism.spmd_backend = "partial_dtensor"


def ignore_deprecation() -> None:
    """A warning in every log about something that no user of Primus calls.

    Upstream: torchdata 0.11, `torch.set_vital` in `stateful_dataloader.py`. Can go with a torchdata that leaves it out.
    """
    warnings.filterwarnings("ignore", message="'set_vital' is deprecated")
