"""What TorchTitan 0.3.0 expects of a PyTorch newer than 2.13, on GPUs and CPUs alike. A newer one stays as it is."""

import os
import warnings
from typing import Any

import torch.distributed

OLD = tuple(int(part) for part in torch.__version__.split(".")[:2]) <= (2, 13)


def before_import() -> None:
    """Apply what must be in place before TorchTitan runs."""
    _name_set_timeout()
    _ignore_deprecation()
    if OLD:
        _take_micro_batches()


def adapt(config: Any) -> None:
    """Change a `Trainer.Config` to what this PyTorch can do."""
    _take_dtensor(config)


def _name_set_timeout() -> None:
    """TorchTitan sets the timeout of process groups after the first step by a name that PyTorch made public later.

    Upstream: torchtitan 0.3.0 (`set_pg_timeouts` in `distributed/utils.py`), torch 2.13. Can go with torch 2.13.
    """
    if not hasattr(torch.distributed, "set_timeout"):
        from torch.distributed.distributed_c10d import _set_pg_timeout

        vars(torch.distributed)["set_timeout"] = _set_pg_timeout


def _take_dtensor(config: Any) -> None:
    """With more than one rank the default SPMD backend gives plain tensors to `fully_shard`, which torch 2.13 refuses.

    Upstream: torchtitan 0.3.0 (`spmd_backend` in `config/configs.py`), torch 2.13 (`_init_sharding_spec` of FSDP: "all
    parameters must be DTensors"). Can go with torch 2.13.
    """
    if OLD and int(os.environ["WORLD_SIZE"]) > 1:
        config.parallelism.spmd_backend = "partial_dtensor"


def _take_micro_batches() -> None:
    """TorchTitan hands a pipeline its micro batches one by one; the pipelines of torch 2.13 cut up a whole batch.

    Upstream: torchtitan 0.3.0 (`arg_mbs`, `kwarg_mbs` and `target_mbs` in `pp_forward_backward_step` of `trainer.py`
    and in `components/validate.py`), torch 2.13 (`step` in `distributed/pipelining/schedules.py`, which would pass
    those names on to the model). Can go with torch 2.13. What is left of `step` is what comes after the cutting.
    """
    from torch.distributed.pipelining.schedules import PipelineScheduleMulti, PipelineScheduleSingle

    def step(
        self: Any,
        *,
        arg_mbs: list[Any] | None = None,
        kwarg_mbs: list[Any] | None = None,
        target_mbs: list[Any] | None = None,
        losses: list[Any] | None = None,
        return_outputs: bool = False,
        loss_kwargs: dict[str, Any] | None = None,
        target: None = None,
    ) -> None:
        for stage in self._stages if isinstance(self, PipelineScheduleMulti) else [self._stage]:
            stage.has_backward = self._has_backward
            stage.clear_runtime_states()
        self._step_microbatches(arg_mbs, kwarg_mbs, target_mbs, losses, return_outputs, loss_kwargs=loss_kwargs)

    for schedule in (PipelineScheduleSingle, PipelineScheduleMulti):
        schedule.step = step  # type: ignore[assignment]  # fewer arguments: TorchTitan passes no others


def _ignore_deprecation() -> None:
    """A warning in every log about something that no user of Primus calls.

    Upstream: torchdata 0.11, `torch.set_vital` in `stateful_dataloader.py`. Can go with a torchdata that leaves it out.
    """
    warnings.filterwarnings("ignore", message="'set_vital' is deprecated")
