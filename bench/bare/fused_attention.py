"""Attention by PyTorch's kernels for a bare Megatron without Transformer Engine, whose own fills a square matrix.

What a user would write to have it: with it, a comparison is of all but the attention, which Primus brings along.
"""

import torch
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.transformer.module import MegatronModule


class Attention(MegatronModule):
    """In the place of `DotProductAttention`: [sequence, batch, heads, head size] to [sequence, batch, all of it]."""

    def __init__(self, config, *_, **__):
        super().__init__(config=config)

    def forward(self, query, key, value, *_, **__):
        query, key, value = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return attended.permute(2, 0, 1, 3).flatten(2)


def layers(model, vp_stage=None):
    """For `GPTModelConfig.transformer_layer_spec`."""
    config = model.transformer
    block = get_gpt_decoder_block_spec(
        config, use_transformer_engine=False, normalization=config.normalization, vp_stage=vp_stage
    )
    for layer in block.layer_specs:
        layer.submodules.self_attention.submodules.core_attention = Attention
    return block
