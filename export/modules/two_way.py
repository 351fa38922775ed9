# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""The decoder's two-way attention (sam2/modeling/sam/transformer.py) between some ten tokens and 4096 pixels.

Projections of every pixel are replaced by projections of the tokens: the same products in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.layers import Affine, attend, join_heads, scaled, split_heads, stack_rows


class SelfAttention(nn.Module):
    """Attention among the few tokens; queries and keys share an input.

    Written as products and sums over all pairs: for ten tokens that is less work, and far fewer kernels, than
    matrix products by heads.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads = attention.num_heads
        query = scaled(attention.q_proj, (attention.internal_dim // self.heads) ** -0.5)
        self.query_key = stack_rows(query, attention.k_proj)
        self.value, self.out = attention.v_proj, attention.out_proj

    def forward(self, positioned: Tensor, tokens: Tensor) -> Tensor:
        """positioned [B, n, 256] (tokens plus positions) give queries and keys, tokens [B, n, 256] the values."""
        query, key = self.query_key(positioned).chunk(2, dim=-1)
        query, key, value = (x.unflatten(-1, (self.heads, -1)) for x in (query, key, self.value(tokens)))
        weights = (query.unsqueeze(2) * key.unsqueeze(1)).sum(-1, keepdim=True).softmax(2)
        return self.out((weights * value.unsqueeze(1)).sum(2).flatten(2))


class Heads(nn.Module):
    """One projection split by heads: [B, heads, n, width] @ [heads, width, 256] and so on."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class TokensToImage(nn.Module):
    """Tokens look at the image. Key and value projections are applied to the tokens instead of the 4096 pixels.

    q (W_k x + b_k) = (W_k^T q) x + a number that is the same for all x, which softmax ignores; and the weighted
    sum of W_v x + b_v is W_v of the weighted sum, plus b_v.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
        self.query = scaled(attention.q_proj, width**-0.5)
        self.key = Heads(attention.k_proj.weight.unflatten(0, (self.heads, width)))
        self.value = Heads(attention.v_proj.weight.unflatten(0, (self.heads, width)).transpose(1, 2))
        bias = attention.out_proj.bias + attention.out_proj.weight @ attention.v_proj.bias
        self.out = Affine(attention.out_proj.weight, bias)

    def forward(self, tokens: Tensor, image_positioned: Tensor, image: Tensor) -> Tensor:
        """tokens [B, n, 256]; image [B, T, 256], without and with positions; returns [B, n, 256]."""
        query = self.key(split_heads(self.query(tokens), self.heads))
        seen = attend(query.flatten(1, 2), image_positioned, image).reshape(query.shape)
        return self.out(join_heads(self.value(seen)))


class ImageToTokens(nn.Module):
    """The image looks at the tokens; as in `TokensToImage`, the projections of pixels are applied to the tokens."""

    query_bias: Tensor
    bias: Tensor

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
        query = scaled(attention.q_proj, width**-0.5)
        self.key, self.value = attention.k_proj, attention.v_proj
        self.query = Heads(query.weight.unflatten(0, (self.heads, width)))
        self.register_buffer("query_bias", query.bias.reshape(1, self.heads, width, 1).clone())
        self.out = Heads(attention.out_proj.weight.T.unflatten(0, (self.heads, width)))
        self.register_buffer("bias", attention.out_proj.bias.detach().clone())

    def forward(self, image_positioned: Tensor, positioned: Tensor, tokens: Tensor) -> Tensor:
        """image with positions [B, T, 256]; tokens [B, n, 256] with and without positions; returns [B, T, 256]."""
        key, value = (split_heads(x, self.heads) for x in (self.key(positioned), self.value(tokens)))
        # [B, heads, n, T]: rows of pixels, as `TokensToImage` has them, spare TensorRT a copy of the image
        scores = self.query(key).flatten(1, 2) @ image_positioned.transpose(1, 2) + (key @ self.query_bias).flatten(
            1, 2
        )
        weights = scores.unflatten(1, (self.heads, -1)).softmax(2).flatten(1, 2)
        return weights.transpose(1, 2) @ self.out(value).flatten(1, 2) + self.bias


class TwoWayLayer(nn.Module):
    """One block of sam2/modeling/sam/transformer.py: tokens look at themselves, at the image, and it at them."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.own = SelfAttention(layer.self_attn)
        self.to_image = TokensToImage(layer.cross_attn_token_to_image)
        self.from_image = ImageToTokens(layer.cross_attn_image_to_token)
        self.norm1, self.norm2, self.norm3, self.norm4 = layer.norm1, layer.norm2, layer.norm3, layer.norm4
        self.mlp_in, self.mlp_out = layer.mlp.layers
        self.first = layer.skip_first_layer_pe

    def forward(self, tokens: Tensor, image: Tensor, prompts: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        image_positioned = image + positions
        if self.first:
            tokens = self.norm1(self.own(tokens, tokens))
        else:
            tokens = self.norm1(tokens + self.own(tokens + prompts, tokens))
        tokens = self.norm2(tokens + self.to_image(tokens + prompts, image_positioned, image))
        tokens = self.norm3(tokens + self.mlp_out(torch.relu(self.mlp_in(tokens))))
        return tokens, self.norm4(image + self.from_image(image_positioned, tokens + prompts, tokens))
