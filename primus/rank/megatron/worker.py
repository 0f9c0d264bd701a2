"""One rank of Megatron: its own `pretrain` from start to end."""

import importlib.util
import sys
from functools import partial
from typing import Any

from primus.rank.problems import UNFIT, Refused
from primus.rank.progress import beat


def run(rank: dict[str, Any]) -> None:
    """Train as `rank` says, the content of `rank.json`. Raises Refused when this environment or a file does not fit."""
    for package in ("torch", "megatron"):
        if importlib.util.find_spec(package) is None:
            raise Refused(
                f"{sys.executable} cannot import {package}. Mend it with: primus task=setup backend=megatron", UNFIT
            )
    beat("importing Megatron")
    import torch

    from primus.rank.megatron import compatibility, cpu

    compatibility.check_version()
    compatibility.ignore_warnings()
    if not torch.cuda.is_available():
        cpu.before_import()
    compatibility.leave_out_the_compiler()
    compatibility.load_sharded_adam()
    _train(rank)


def _train(rank: dict[str, Any]) -> None:
    import torch
    from megatron.core.enums import ModelType
    from megatron.training import pretrain
    from megatron.training.argument_utils import pretrain_cfg_container_from_args

    from primus.rank import checkpoints as places
    from primus.rank.megatron import arguments, checkpoints, cpu, data, metrics, model, profile, stopping
    from primus.rank.megatron.evaluation import Evaluation
    from primus.rank.throughput import Throughput

    own = places.directory(rank)
    args = arguments.parse(rank, checkpoints.state(rank, own, arguments.directory() / "loaded"))
    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name(args.local_rank) if on_gpu else "cpu"
    file = metrics.file(args)
    beat("reading the data set")
    provider = data.Provider(data.files(rank, args), rank["steps"])
    if rank["profile"]["steps"]:
        profile.install(rank["profile"]["steps"])
    throughput = Throughput(rank["throughput"], args.world_size, device, metrics.precision(args))
    metrics.Steps(file, throughput).install()
    Evaluation(file, provider).install()
    saving = checkpoints.Saving(own, rank["checkpoint"]["keep"])
    saving.install()
    stopping.Asked(own, saving).install()
    if not on_gpu:
        cpu.before_pretrain()
    beat("building the model, loading the checkpoint")
    config = pretrain_cfg_container_from_args(args, model.model_config(args, rank["frequencies"]))
    try:
        pretrain(config, provider, ModelType.encoder_or_decoder, forward_step)
    except SystemExit as early:  # as Megatron ends when it ends before its last step
        if early.code:
            raise
    torch.distributed.destroy_process_group()


def forward_step(batches: Any, model: Any, return_schedule_plan: bool = False) -> tuple[Any, Any]:
    """One micro batch through the model: the loss of each token, and the function that makes one loss of them."""
    import torch
    from megatron.core import mpu
    from megatron.core.utils import get_batch_on_this_cp_rank

    beat("computing")
    device = torch.cuda.current_device()
    batch = {name: tensor.to(device, non_blocking=True) for name, tensor in next(batches).items()}
    if mpu.get_context_parallel_world_size() > 1:
        batch = get_batch_on_this_cp_rank(batch, is_hybrid_cp=False, cp_group=mpu.get_context_parallel_group())
    losses = model(batch["tokens"], batch["position_ids"], batch.get("attention_mask"), labels=batch["labels"])
    return losses, partial(_loss, batch["loss_mask"])


def _loss(mask: Any, losses: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The sum, the number of tokens, and both to be logged: Megatron divides by the tokens of the global batch."""
    import torch

    from primus.rank.megatron.metrics import LOSS

    mask = mask.view(-1).float()
    loss = (losses.view(-1).float() * mask).sum()
    count = mask.sum().detach().to(torch.int)
    return loss, count, {LOSS: torch.cat([loss.detach().view(1), count.view(1)])}
