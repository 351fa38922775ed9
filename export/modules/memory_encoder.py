# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Memory encoder: fuses a frame's mask with its image features into spatial memory.

Same values as `SAM2Base._encode_new_memory` after its sigmoid, with sam2/modeling/memory_encoder.py. The image
features are projected once for all objects; the layer scale of each ConvNeXt block goes into its last projection.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.layers import Affine, exact_gelu


class ChannelNorm(nn.Module):
    """Stock LayerNorm2d over dim 1 of [B, C, H, W], as one LayerNormalization between transpositions."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(norm.weight.shape[0], eps=norm.eps)
        self.norm.load_state_dict(norm.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def exportable_layer(layer: nn.Module) -> nn.Module:
    """The layer itself, or what stands for a stock LayerNorm2d or GELU here."""
    if isinstance(layer, nn.Conv2d):
        return layer
    return ChannelNorm(layer) if type(layer).__name__ == "LayerNorm2d" else exact_gelu(layer)


class FuserBlock(nn.Module):
    """ConvNeXt block (Liu et al. 2022, "A ConvNet for the 2020s")."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.depthwise, self.expand, self.act = block.dwconv, block.pwconv1, exact_gelu(block.act)
        self.norm = ChannelNorm(block.norm).norm
        gamma = block.gamma if block.gamma is not None else torch.ones_like(block.pwconv2.bias)
        self.contract = Affine(gamma[:, None] * block.pwconv2.weight, gamma * block.pwconv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.contract(self.act(self.expand(inner))).permute(0, 3, 1, 2)


class MemoryEncoder(nn.Module):
    """Inputs and outputs as in the spec; "masktracker" applies sigmoid * 20 - 10 to the mask once more."""

    position: Tensor
    temporal_code: Tensor
    absent: Tensor

    def __init__(self, model: Any, semantics: str) -> None:
        super().__init__()
        encoder = model.memory_encoder
        self.twice = semantics == "masktracker"
        self.scale, self.offset = model.sigmoid_scale_for_mem_enc, model.sigmoid_bias_for_mem_enc
        self.downsample = nn.Sequential(*map(exportable_layer, encoder.mask_downsampler.encoder))
        self.project, self.out = encoder.pix_feat_proj, encoder.out_proj
        self.fuser = nn.Sequential(*(FuserBlock(block) for block in encoder.fuser.layers))
        feature = model.image_size // model.backbone_stride
        pos = encoder.position_encoding._pe(1, torch.device("cpu"), feature, feature)
        self.register_buffer("position", pos[0].flatten(1).T.contiguous())
        self.register_buffer("temporal_code", model.maskmem_tpos_enc.detach().clone())
        self.has_absent = model.no_obj_embed_spatial is not None
        absent = model.no_obj_embed_spatial if self.has_absent else torch.zeros(1, model.mem_dim)
        self.register_buffer("absent", absent.detach().clone())

    def forward(self, mask_for_mem: Tensor, pix_feat: Tensor, occ_logit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.twice:
            mask_for_mem = mask_for_mem.sigmoid() * self.scale + self.offset
        features = self.out(self.fuser(self.project(pix_feat) + self.downsample(mask_for_mem)))
        if self.has_absent:
            hidden = (occ_logit <= 0).float()
            features = features + (hidden * self.absent)[..., None, None]
        positions = self.position.unsqueeze(0).expand(mask_for_mem.shape[0], -1, -1)
        return features, positions, self.temporal_code
