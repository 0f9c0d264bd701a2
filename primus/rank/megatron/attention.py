"""Attention by PyTorch's own kernels (flash, memory-efficient, cuDNN), where Megatron has none without NVIDIA's."""

from typing import Any

import torch
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.enums import AttnBackend, AttnMaskType
from megatron.core.transformer.identity_op import IdentityOp
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.multi_latent_attention import MLASelfAttention, MLASelfAttentionSubmodules
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules
from megatron.core.transformer.transformer_config import TransformerConfig
from megatron.training.models.gpt import GPTModelConfig, default_layer_spec


class FusedAttention(MegatronModule):
    """Causal attention by `torch.nn.functional.scaled_dot_product_attention`, in the place of `DotProductAttention`.

    That one fills a matrix of sequence length squared for every head. This never does; it has no dropout.
    """

    def __init__(
        self,
        config: TransformerConfig,
        layer_number: int,
        attn_mask_type: AttnMaskType,
        attention_type: str,
        softmax_scale: float | None = None,
        k_channels: int | None = None,
        v_channels: int | None = None,
        cp_comm_type: str | None = None,
        pg_collection: ProcessGroupCollection | None = None,
    ) -> None:
        super().__init__(config=config)
        assert attn_mask_type == AttnMaskType.causal
        self._scale = softmax_scale  # None: 1 / sqrt(size of a query head)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **_: Any,
    ) -> torch.Tensor:
        """From [sequence, batch, heads, head size] to [sequence, batch, heads x head size of values]."""
        shared = query.size(2) != key.size(2)
        query, key, value = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        attended = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=self._scale, enable_gqa=shared
        )
        return attended.permute(2, 0, 1, 3).flatten(2)


class PartlyNormedAttention(SelfAttention):
    """Llama 4: queries and keys that are normed without weights are so only in layers with rotary positions.

    The norm comes before the rotation here and after it there, which is the same: a rotation keeps the length.
    """

    def __init__(self, config: TransformerConfig, *arguments: Any, layer_number: int, **rest: Any) -> None:
        super().__init__(config, *arguments, layer_number=layer_number, **rest)
        if config.no_rope_freq and config.no_rope_freq[layer_number - 1]:
            self.q_layernorm = self.k_layernorm = None


class PartlyCompressedAttention(MLASelfAttention):
    """DeepSeek V2 Lite: latent attention whose queries are projected at once, without a norm.

    Megatron 0.19.2 has a norm for both queries and keys and values, or for none (`QKNormConfigResolver`).
    """

    def _resolve_qk_norm_config(self, submodules: MLASelfAttentionSubmodules) -> Any:
        return {
            "linear_q_proj": submodules.linear_q_proj,
            "linear_q_up_proj": IdentityOp,
            "linear_kv_up_proj": submodules.linear_kv_up_proj,
            "q_layernorm": IdentityOp,
            "kv_layernorm": submodules.kv_layernorm,
        }


def layers(model: GPTModelConfig, vp_stage: int | None = None) -> ModuleSpec | TransformerBlockSubmodules:
    """Megatron's own layers, with what it lacks: given to it as `transformer_layer_spec`."""
    config = model.transformer
    if config.transformer_impl == "local":
        block = get_gpt_decoder_block_spec(
            config,
            use_transformer_engine=False,
            normalization=config.normalization,
            qk_l2_norm=config.qk_l2_norm,
            vp_stage=vp_stage,
        )
    else:
        block = default_layer_spec(model, vp_stage)
    for layer in [block] if isinstance(block, ModuleSpec) else block.layer_specs:
        attention = layer.submodules.self_attention
        if config.transformer_impl == "local" and _has_kernel(config):
            attention.submodules.core_attention = FusedAttention
        if config.multi_latent_attention and config.q_lora_rank is None:
            attention.module = PartlyCompressedAttention
        if config.qk_l2_norm:
            attention.module = PartlyNormedAttention
    return block


def _has_kernel(config: TransformerConfig) -> bool:
    """Plain causal attention, unless `backend.args.attention_backend` asks for Megatron's own."""
    own = config.attention_backend in (AttnBackend.unfused, AttnBackend.local)
    plain = config.softmax_type == "vanilla" and config.window_size is None and config.attention_dropout == 0
    return plain and not own
