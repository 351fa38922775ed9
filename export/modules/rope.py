"""Rotary position encoding in real numbers, as SAM2's memory attention uses it.

Stock SAM2 pairs channels (0, 1), (2, 3), ... as complex numbers and multiplies them by `freqs_cis`
(sam2/modeling/position_encoding.py: `apply_rotary_enc`). A dot product does not change when both vectors are
permuted alike, so the rows of the query and key projections are permuted once, real parts first, and the
product becomes [a, b] * cos + [-b, a] * sin on the two halves: RoFormer, Su et al. 2021, section 3.4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def evens_then_odds(channels: int) -> Tensor:
    """The permutation that brings even channels before odd ones: int64 [channels]."""
    index = torch.arange(channels)
    return torch.cat([index[0::2], index[1::2]])


def permute_rows(linear: nn.Linear, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Weight [out, in] and bias [out] of a projection whose output has its real parts first, times `scale`."""
    order = evens_then_odds(linear.out_features)
    return linear.weight.detach()[order] * scale, linear.bias.detach()[order] * scale


def rotary_table(freqs_cis: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine for `rotate`, float32 [tokens, channels], from complex [tokens, channels / 2]."""
    cos, sin = freqs_cis.real.float(), freqs_cis.imag.float()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate [..., tokens, channels], real parts first, by the table of `rotary_table`."""
    real, imaginary = x.chunk(2, dim=-1)
    return x * cos + torch.cat([imaginary, real], dim=-1) * sin
