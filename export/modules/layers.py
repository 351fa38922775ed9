# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Small pieces that the four wrappers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from verify.errors import SurgeonError


class Affine(nn.Module):
    """x @ weight.T + bias with weights that were folded at export: weight [out, in], bias [out]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone().contiguous())
        self.register_buffer("bias", bias.detach().clone().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


def stack_rows(*linears: nn.Linear | Affine) -> Affine:
    """One projection that returns the outputs of several side by side."""
    return Affine(torch.cat([x.weight for x in linears]), torch.cat([x.bias for x in linears]))


def scaled(linear: nn.Linear | Affine, factor: float) -> Affine:
    """A projection times `factor` (the softmax scale goes into the query projection)."""
    return Affine(linear.weight * factor, linear.bias * factor)


def fold(first: nn.Linear | nn.Conv2d, second: nn.Linear | nn.Conv2d) -> Affine:
    """`second` after `first` (both linear or 1x1 convolutions) as one projection; multiplied in float64."""
    a, b = matrix(first).double(), matrix(second).double()
    assert first.bias is not None
    assert second.bias is not None
    return Affine((b @ a).float(), (b @ first.bias.double() + second.bias.double()).float())


def matrix(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """Weight of a linear layer or a 1x1 convolution as [out, in]."""
    return layer.weight.detach().flatten(1)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention over the last two dims, [..., tokens, channels]; the query is already scaled."""
    return torch.softmax(query @ key.transpose(-1, -2), dim=-1) @ value


def attend_in_chunks(query: Tensor, key: Tensor, value: Tensor, rows: int = 512) -> Tensor:
    """The values of `attend`, `rows` queries at a time.

    Without a fused kernel every score is written and read again. 4096 queries over the 28,736 keys of seven frames are
    471 MB of scores; 512 at a time are 59 MB, which stay nearer to the processor and are used again by the next chunk.
    """
    if query.shape[-2] <= rows:
        return attend(query, key, value)
    return torch.cat([attend(chunk, key, value) for chunk in query.split(rows, dim=-2)], dim=-2)


class Gelu(nn.Module):
    """Exact GELU, in the order of products that onnxruntime recognises and runs as one kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.0 + torch.erf(x / math.sqrt(2.0))) * 0.5


def exact_gelu(act: Any) -> Gelu:
    """`Gelu` in place of the stock activation; SurgeonError when that is another one."""
    if not isinstance(act, nn.GELU) or act.approximate != "none":
        raise SurgeonError(f"activation {act} is not known; stock SAM2 has the exact GELU here")
    return Gelu()


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, tokens, channels] to [batch, heads, tokens, channels / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


class StackedMLP(nn.Module):
    """Several ReLU MLPs of equal depth and hidden width run as one: x [n, batch, in] to [n, batch, widest out].

    Outputs of narrower MLPs are padded with zeros on the right.
    """

    def __init__(self, mlps: Sequence[Any]) -> None:
        super().__init__()
        self.depth = len(mlps[0].layers)
        for level in range(self.depth):
            layers = [mlp.layers[level] for mlp in mlps]
            width = max(layer.out_features for layer in layers)
            weight = torch.zeros(len(mlps), layers[0].in_features, width)
            bias = torch.zeros(len(mlps), 1, width)
            for index, layer in enumerate(layers):
                weight[index, :, : layer.out_features] = layer.weight.detach().T
                bias[index, 0, : layer.out_features] = layer.bias.detach()
            self.register_buffer(f"weight{level}", weight)
            self.register_buffer(f"bias{level}", bias)

    def forward(self, x: Tensor) -> Tensor:
        for level in range(self.depth):
            x = x @ self.get_buffer(f"weight{level}") + self.get_buffer(f"bias{level}")
            if level + 1 < self.depth:
                x = torch.relu(x)
        return x
