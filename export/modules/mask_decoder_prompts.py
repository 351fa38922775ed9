# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Mask decoder that also takes a mask as a prompt, and also returns the three candidates of the multi-mask output.

Inputs and outputs are those of the mask decoder and four more, named as in SAM's own ONNX export: `mask_input`
[B, 1, S / 4, S / 4] (mask logits), `has_mask_input` [B] (above zero where the mask counts), `low_res_masks`
[B, 3, S / 4, S / 4] and `iou_predictions` [B, 3].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.mask_decoder import MaskDecoder
from export.modules.memory_encoder import exportable_layer


class MaskDecoderWithPrompts(MaskDecoder):
    """A correction is clicks beside the mask logits of before (`SAM2VideoPredictor.add_new_points_or_box`).

    A mask without any point is a mask prompt: stock SAM2 then takes the object pointer of the single mask
    (`SAM2Base._use_mask_as_output`), as it does for several points.
    """

    def __init__(self, model: Any, semantics: str, fusable: bool = False) -> None:
        super().__init__(model, semantics, fusable)
        self.encode_mask = nn.Sequential(*map(exportable_layer, model.sam_prompt_encoder.mask_downscaling))

    def forward(  # type: ignore[override]  # two more inputs than the documented decoder
        self,
        point_coords: Tensor,
        point_labels: Tensor,
        image_embed: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, ...]:
        given = (has_mask_input > 0).unsqueeze(1)
        encoded = self.encode_mask(mask_input).flatten(2).transpose(1, 2)
        dense = torch.where(given.unsqueeze(2), encoded, self.no_mask)
        tokens, image = self._transform(point_coords, point_labels, image_embed, dense)
        outputs, candidates = self._decode(tokens, image, point_labels, high_res_feats_0, high_res_feats_1, given)
        scores, embeddings, pixels = candidates
        return *outputs, self.upscale.raster(embeddings[:, 1:] @ pixels), scores[:, 1:]

    def _count_points(self, labels: Tensor, mask_given: Tensor | None) -> Tensor:
        points = super()._count_points(labels, mask_given)
        assert mask_given is not None
        # A mask alone counts as several points: one more than the multi-mask output is taken for.
        return torch.where((points == 0) & mask_given, 2, points)
