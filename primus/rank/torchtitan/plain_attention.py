"""Attention with a window and sinks in plain operations: for CPUs, in place of TorchTitan's FlexAttention."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torchtitan.protocols.module import Module


class PlainAttention(Module):
    """Causal; it knows a window, but not where documents end. All logits are in memory at once."""

    @dataclass(kw_only=True, slots=True)
    class Config(Module.Config):
        """`window`: positions that a token sees back, itself among them; None: all."""

        window: int | None

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.window = config.window

    def forward(
        self,
        q_BLNH: torch.Tensor,  # the names that TorchTitan's sharding of inner attention goes by
        k_BLNH: torch.Tensor,
        v_BLNH: torch.Tensor,
        *,
        scale: float,
        out_transform: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        **_: Any,
    ) -> torch.Tensor:
        """Queries, keys and values of shape (batch, length, heads, head size); heads share keys and values evenly.

        `out_transform` gets what comes out and the logsumexp of the logits, of shape (batch, length, heads).
        """
        share = q_BLNH.shape[2] // k_BLNH.shape[2]
        keys, values = (part.repeat_interleave(share, dim=2) for part in (k_BLNH, v_BLNH))
        logits = torch.einsum("blnh,bmnh->bnlm", q_BLNH, keys).float() * scale
        place = torch.arange(logits.shape[-1], device=logits.device)
        back = place[:, None] - place[None, :]
        seen = (back >= 0) & (back < (self.window or len(place)))
        logits = logits.masked_fill(~seen, float("-inf"))
        out = torch.einsum("bnlm,bmnh->blnh", logits.softmax(-1).to(values.dtype), values)
        return out_transform(out, logits.logsumexp(-1).transpose(1, 2))
