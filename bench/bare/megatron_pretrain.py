"""Megatron as its own users start it, for `bench/training.py`: what its `pretrain_gpt.py` does, which its wheel lacks.

    torchrun --nproc_per_node 1 megatron_pretrain.py --num-layers 16 ... --mock-data

Every setting is an argument of Megatron's own parser, but for `BARE_ATTENTION=fused` in the environment. Nothing of
Primus is imported.
"""

import os
from functools import partial

import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDatasetConfig, MockGPTDataset
from megatron.core.enums import ModelType
from megatron.training import get_args, get_tokenizer, initialize, pretrain
from megatron.training.argument_utils import gpt_config_from_args, pretrain_cfg_container_from_args
from megatron.training.arguments import parse_and_validate_args

# The wheel of 0.19.2 ships the compiled helpers and no Makefile: `make` there would end the run.
initialize._compile_dependencies = lambda: torch.distributed.barrier()


def datasets(samples, vp_stage=None):
    """Training, validation and test data of Megatron's own mock."""
    args = get_args()
    config = GPTDatasetConfig(
        random_seed=args.seed,
        sequence_length=args.seq_length,
        split=args.split,
        tokenizer=get_tokenizer(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
        mid_level_dataset_surplus=0.005,
    )
    return BlendedMegatronDatasetBuilder(MockGPTDataset, samples, lambda: True, config).build()


datasets.is_distributed = True


def loss(mask, output):
    """Summed loss, tokens, and both for the log."""
    mask = mask.view(-1).float()
    total, count = (output.view(-1).float() * mask).sum(), mask.sum().detach().to(torch.int)
    return total, count, {"lm loss": torch.cat([total.detach().view(1), count.view(1)])}


def forward_step(batches, model, return_schedule_plan=False):
    """One micro batch."""
    batch = {name: tensor.cuda(non_blocking=True) for name, tensor in next(batches).items() if torch.is_tensor(tensor)}
    output = model(batch["tokens"], batch["position_ids"], None, labels=batch["labels"])
    return output, partial(loss, batch["loss_mask"])


if __name__ == "__main__":
    arguments = parse_and_validate_args()
    model = gpt_config_from_args(arguments)
    if os.environ.get("BARE_ATTENTION") == "fused":
        from fused_attention import layers

        model.transformer_layer_spec = layers
    container = pretrain_cfg_container_from_args(arguments, model)
    pretrain(container, datasets, ModelType.encoder_or_decoder, forward_step)
    torch.distributed.destroy_process_group()
