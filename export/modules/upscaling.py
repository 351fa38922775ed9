# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""The decoder's upscaling: `output_upscaling` of sam2/modeling/sam/mask_decoder.py with its two skip features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from export.modules.layers import Affine, exact_gelu


class Upscaler(nn.Module):
    """Image tokens [B, f * f, 256] to pixels [B, 32, f * f * 16] in raster order.

    A 2x2 transposed convolution of stride 2 maps each pixel to a block on its own. The first one is a projection of
    the tokens, whose blocks are put in place where the normalisation wants its channels last anyway; the second
    stays a convolution, so that the larger skip feature needs no other order and no copy.
    """

    def __init__(self, decoder: Any, feature: int) -> None:
        super().__init__()
        first, norm, act, self.second, _ = decoder.output_upscaling
        weight, bias = first.weight.detach(), first.bias.detach()
        self.first = Affine(weight.permute(2, 3, 1, 0).flatten(0, 2), bias.repeat(4))
        self.act = exact_gelu(act)
        self.norm = nn.LayerNorm(norm.weight.shape[0], eps=norm.eps)
        self.norm.load_state_dict(norm.state_dict())
        self.feature = feature

    def forward(self, image: Tensor, fine: Tensor, middle: Tensor) -> Tensor:
        f = self.feature
        blocks = self.first(image).reshape(-1, f, f, 2, 2, middle.shape[1]).permute(0, 1, 3, 2, 4, 5)
        x = blocks.reshape(-1, 2 * f, 2 * f, middle.shape[1]) + middle.permute(0, 2, 3, 1)
        x = self.act(self.norm(x)).permute(0, 3, 1, 2)
        return self.act(self.second(x) + fine).flatten(2)

    def raster(self, masks: Tensor) -> Tensor:
        """[B, 1, f * f * 16] to [B, 1, 4 f, 4 f]."""
        return masks.unflatten(2, (4 * self.feature, 4 * self.feature))
