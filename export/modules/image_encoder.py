# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Image encoder: Hiera trunk (Ryali et al. 2023, sam2/modeling/backbones/hieradet.py), neck, decoder's 1x1 convs.

The trunk runs on tokens [height * width, channels] of the one image, so that every projection is a plain
matrix product; splitting into heads and into windows is one transposition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.layers import Affine, attend, attend_in_chunks, exact_gelu, fold, matrix, scaled, stack_rows


class Windows:
    """How a map of `size` x `size` tokens is split into windows of `window` (0: the whole map), padded at the end."""

    def __init__(self, size: int, window: int) -> None:
        self.size = size
        self.window = window or size
        self.count = -(-size // self.window)
        self.padded = self.count * self.window

    def pad(self, x: Tensor) -> Tensor:
        """[size * size, C] to [padded * padded, C], zeros behind."""
        extra = self.padded - self.size
        if not extra:
            return x
        grid = x.unflatten(0, (self.size, self.size))
        return nn.functional.pad(grid, (0, 0, 0, extra, 0, extra)).flatten(0, 1)

    def split(self, x: Tensor, tensors: int, heads: int) -> tuple[Tensor, ...]:
        """[padded * padded, tensors * C] to a tuple of tensors [windows * heads, window * window, C / heads]."""
        n, w = self.count, self.window
        x = x.reshape(n, w, n, w, tensors, heads, -1).permute(4, 0, 2, 5, 1, 3, 6)
        return x.reshape(tensors * n * n * heads, w * w, -1).split(n * n * heads)

    def join(self, x: Tensor, heads: int) -> Tensor:
        """[windows * heads, window * window, C / heads] to [size * size, C], padding cut off."""
        n, w = self.count, self.window
        x = x.reshape(n, n, heads, w, w, -1).permute(0, 3, 1, 4, 2, 5).reshape(self.padded, self.padded, -1)
        return x[: self.size, : self.size].flatten(0, 1) if self.padded != self.size else x.flatten(0, 1)


def max_pool(x: Tensor, size: int) -> Tensor:
    """2x2 maximum over a map of tokens: [size * size, C] to [size * size / 4, C]."""
    channels = x.shape[-1]
    rows = x.reshape(size // 2, 2, size * channels).amax(1)
    return rows.reshape(size // 2 * size // 2, 2, channels).amax(1)


class Block(nn.Module):
    """One transformer block of the trunk on a map of `size` x `size` tokens."""

    def __init__(self, block: Any, size: int, chunked: bool) -> None:
        super().__init__()
        self.attend = attend_in_chunks if chunked else attend
        self.norm1, self.norm2 = block.norm1, block.norm2
        (self.mlp_in, self.mlp_out), self.act = block.mlp.layers, exact_gelu(block.mlp.act)
        self.heads, self.size = block.attn.num_heads, size
        self.pooled = block.q_stride is not None
        self.keys = Windows(size, block.window_size)
        self.queries = Windows(size // 2, self.keys.window // 2) if self.pooled else self.keys
        self.out = block.attn.proj
        width = block.dim_out
        weight, bias = block.attn.qkv.weight, block.attn.qkv.bias
        query, key, value = (
            Affine(weight[i * width : (i + 1) * width], bias[i * width : (i + 1) * width]) for i in range(3)
        )
        query = scaled(query, (width // self.heads) ** -0.5)
        if self.pooled:
            self.query_and_skip = stack_rows(query, block.proj)
            self.key_value = stack_rows(key, value)
        else:
            self.query_key_value = stack_rows(query, key, value)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.pooled:
            query, x = max_pool(self.query_and_skip(normed), self.size).chunk(2, dim=-1)
            (query,) = self.queries.split(self.queries.pad(query), 1, self.heads)
            key, value = self.keys.split(self.key_value(self.keys.pad(normed)), 2, self.heads)
        else:
            query, key, value = self.keys.split(self.query_key_value(self.keys.pad(normed)), 3, self.heads)
        x = x + self.out(self.queries.join(self.attend(query, key, value), self.heads))
        return x + self.mlp_out(self.act(self.mlp_in(self.norm2(x))))


class PatchPositions(nn.Module):
    """The trunk's table of positions [1, C, size, size]: a small one enlarged plus a window repeated over the map.

    With `compact` the file stores the two and the graph computes the table (`Hiera._get_pos_embed`), otherwise it is
    stored at its full size: 25 MB for 96 channels at 1024 pixels.
    """

    table: Tensor
    background: Tensor
    window: Tensor

    def __init__(self, trunk: Any, size: int, compact: bool) -> None:
        super().__init__()
        self.size, self.compact = size, compact
        if compact:
            self.register_buffer("background", trunk.pos_embed.detach().clone())
            self.register_buffer("window", trunk.pos_embed_window.detach().clone())
        else:
            self.register_buffer("table", trunk._get_pos_embed((size, size)).permute(0, 3, 1, 2).detach().contiguous())

    def forward(self) -> Tensor:
        if not self.compact:
            return self.table
        table = nn.functional.interpolate(self.background, size=(self.size, self.size), mode="bicubic")
        return table + self.window.tile(1, 1, *(self.size // n for n in self.window.shape[2:]))


class ImageEncoder(nn.Module):
    """image [1, 3, S, S] to the five outputs of the spec.

    compact   see `PatchPositions`; without it the blocks that attend to the whole map do so for 512 queries at a time
    """

    feature_positions: Tensor  # named unlike the output it becomes
    no_mem_embed: Tensor

    def __init__(self, model: Any, compact: bool = False) -> None:
        super().__init__()
        trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
        self.patch = trunk.patch_embed.proj
        self.size = model.image_size // self.patch.stride[0]
        blocks, size, taps = [], self.size, []
        for index, block in enumerate(trunk.blocks):
            blocks.append(Block(block, size, chunked=not compact))
            size = blocks[-1].queries.size
            if index in trunk.stage_ends:
                taps.append(index)
        self.blocks, self.taps = nn.ModuleList(blocks), taps
        coarse, middle, lower, fine = (conv.conv for conv in neck.convs)
        decoder = model.sam_mask_decoder
        self.lateral = Affine(matrix(middle), middle.bias)
        self.top = Affine(matrix(coarse), coarse.bias)
        self.level0, self.level1 = fold(fine, decoder.conv_s0), fold(lower, decoder.conv_s1)
        self.position = PatchPositions(trunk, self.size, compact)
        self.feature = self.size // 4
        pos = neck.position_encoding._pe(1, torch.device("cpu"), self.feature, self.feature)
        self.register_buffer("feature_positions", pos[0].flatten(1).T.contiguous())
        self.register_buffer("no_mem_embed", model.no_mem_embed.detach().reshape(1, -1, 1, 1).clone())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = (self.patch(image) + self.position()).flatten(2)[0].T
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                taps.append(x)
        fine, lower, middle, coarse = taps
        pix_feat = self._map(self._add_upsampled(self.lateral(middle), self.top(coarse)), self.feature)
        return (
            pix_feat,
            self._map(self.level0(fine), 4 * self.feature),
            self._map(self.level1(lower), 2 * self.feature),
            pix_feat + self.no_mem_embed,
            self.feature_positions.unsqueeze(1),
        )

    def _add_upsampled(self, x: Tensor, coarse: Tensor) -> Tensor:
        """x [f * f, C] plus the map of half its size, each value repeated 2x2 (nearest neighbour)."""
        coarse_size = self.feature // 2
        total = x.reshape(coarse_size, 2, coarse_size, 2, -1) + coarse.reshape(coarse_size, 1, coarse_size, 1, -1)
        return total.reshape(self.feature * self.feature, -1)

    @staticmethod
    def _map(x: Tensor, size: int) -> Tensor:
        """[size * size, C] to [1, C, size, size]."""
        return x.T.reshape(1, -1, size, size)
