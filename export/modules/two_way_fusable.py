# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""The decoder's two-way attention as query, key and value of equal width by heads: the form TensorRT fuses.

In float32 nothing is fused and two_way.py needs fewer kernels and less memory; in half precision every attention
written like this runs as one kernel. Signatures are those of two_way.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.layers import attend, join_heads, scaled, split_heads, stack_rows


class Fusable(nn.Module):
    """Projections of one stock attention over `heads` heads."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.query = scaled(attention.q_proj, (attention.internal_dim // self.heads) ** -0.5)
        self.key, self.value, self.out = attention.k_proj, attention.v_proj, attention.out_proj

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Projected query, key and value [B, tokens, C] to [B, tokens, 256]."""
        return self.out(join_heads(attend(*(split_heads(x, self.heads) for x in (query, key, value)))))

    def forward(self, tokens: Tensor, image_positioned: Tensor, image: Tensor) -> Tensor:
        """tokens [B, n, 256]; image [B, T, 256], without and with positions; returns [B, n, 256]."""
        return self.attend(self.query(tokens), self.key(image_positioned), self.value(image))


class FusableTwoWayLayer(nn.Module):
    """One block of sam2/modeling/sam/transformer.py: tokens look at themselves, at the image, and it at them."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.own, self.to_image = Fusable(layer.self_attn), Fusable(layer.cross_attn_token_to_image)
        self.from_image = Fusable(layer.cross_attn_image_to_token)
        self.own_query_key = stack_rows(self.own.query, self.own.key)
        self.image_projection = stack_rows(self.to_image.key, self.from_image.query)
        self.norm1, self.norm2, self.norm3, self.norm4 = layer.norm1, layer.norm2, layer.norm3, layer.norm4
        self.mlp_in, self.mlp_out = layer.mlp.layers
        self.first = layer.skip_first_layer_pe

    def forward(self, tokens: Tensor, image: Tensor, prompts: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        query, key = self.own_query_key(tokens if self.first else tokens + prompts).chunk(2, dim=-1)
        seen = self.own.attend(query, key, self.own.value(tokens))
        tokens = self.norm1(seen if self.first else tokens + seen)
        image_key, image_query = self.image_projection(image + positions).chunk(2, dim=-1)
        seen = self.to_image.attend(self.to_image.query(tokens + prompts), image_key, self.to_image.value(image))
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp_out(torch.relu(self.mlp_in(tokens))))
        key, value = self.from_image.key(tokens + prompts), self.from_image.value(tokens)
        return tokens, self.norm4(image + self.from_image.attend(image_query, key, value))
