# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Mask decoder with its prompt encoder: points and image features to mask, object pointer and scores.

Same values as `SAM2Base._forward_sam_heads` with sam2/modeling/sam/mask_decoder.py, and as much of
`SAM2VideoPredictor` as decides between masks. Three arrangements make it cheap:

* attention between some ten tokens and 4096 pixels. In float32 projections of the pixels are moved to the tokens
  (two_way.py), so that no projection of the image is ever made;
* upscaling without copies of the skip features (upscaling.py);
* heads. Object score, mask quality and the four mask embeddings come from MLPs of equal depth and width:
  they run as one stacked MLP. The mask is chosen before masks are made wherever its score allows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules.layers import StackedMLP
from export.modules.two_way import TokensToImage, TwoWayLayer
from export.modules.two_way_fusable import Fusable, FusableTwoWayLayer
from export.modules.upscaling import Upscaler
from verify.errors import SurgeonError

NO_OBJ_SCORE = -1024.0  # sam2/modeling/sam2_base.py
SEMANTICS = ("sam2", "masktracker")


class PromptEncoder(nn.Module):
    """Points [B, N, 2] in pixels and labels [B, N] to tokens [B, N + 1, 256].

    Labels: 1 and 0 are positive and negative clicks, 2 and 3 box corners, -1 no point. The last token is the
    "no point" that stock SAM2 appends when there is no box.
    """

    gaussian: Tensor
    kinds: Tensor
    nothing: Tensor
    labels: Tensor

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        height, width = encoder.input_image_size
        # 2 pi (2 (x + 0.5) / size - 1) G, as one product and one constant
        matrix = encoder.pe_layer.positional_encoding_gaussian_matrix.detach()
        self.register_buffer("gaussian", matrix.clone())
        self.register_buffer("size", torch.tensor([width, height], dtype=torch.float32))
        self.register_buffer("kinds", torch.cat([e.weight.detach() for e in encoder.point_embeddings]))
        self.register_buffer("nothing", encoder.not_a_point_embed.weight.detach().reshape(1, 1, -1).clone())
        self.register_buffer("labels", torch.arange(len(encoder.point_embeddings), dtype=torch.float32))

    def forward(self, coords: Tensor, labels: Tensor) -> Tensor:
        angle = 2 * torch.pi * ((2 * ((coords + 0.5) / self.get_buffer("size")) - 1) @ self.gaussian)
        labels = labels.unsqueeze(-1)
        kind = (labels == self.labels).float() @ self.kinds
        encoded = torch.cat([angle.sin(), angle.cos()], dim=-1) + kind
        tokens = torch.where(labels == -1, self.nothing, encoded)
        return torch.cat([tokens, self.nothing.expand(coords.shape[0], -1, -1)], dim=1)


class MaskDecoder(nn.Module):
    """Inputs and outputs as in the spec.

    semantics "sam2": a frame with at most one real point (label other than -1) takes the best of three masks,
    otherwise the single mask unless it is unstable; `mask_for_mem` is binary on prompted frames.
    semantics "masktracker": always the best of three masks, `mask_for_mem` = sigmoid * 20 - 10.
    `fusable` writes attention as TensorRT fuses it in half precision (two_way_fusable.py).
    """

    image_positions: Tensor
    output_tokens: Tensor
    no_mask: Tensor
    no_obj_ptr: Tensor

    def __init__(self, model: Any, semantics: str, fusable: bool = False) -> None:
        super().__init__()
        _require_known(model)
        if semantics not in SEMANTICS:
            raise SurgeonError(f"semantics {semantics!r} is not known; choose {' or '.join(SEMANTICS)}")
        decoder, prompt = model.sam_mask_decoder, model.sam_prompt_encoder
        layer_form, final_form = (FusableTwoWayLayer, Fusable) if fusable else (TwoWayLayer, TokensToImage)
        self.always_multimask = semantics == "masktracker"
        self.prompt_encoder = PromptEncoder(prompt)
        self.layers = nn.ModuleList(map(layer_form, decoder.transformer.layers))
        self.final = final_form(decoder.transformer.final_attn_token_to_image)
        self.norm = decoder.transformer.norm_final_attn
        self.feature = prompt.image_embedding_size[0]
        self.upscale = Upscaler(decoder, self.feature)
        self.heads = StackedMLP(
            [decoder.pred_obj_score_head, decoder.iou_prediction_head, *decoder.output_hypernetworks_mlps]
        )
        self.pointer = model.obj_ptr_proj
        tokens = [decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens]
        self.register_buffer("output_tokens", torch.cat([t.weight.detach() for t in tokens]).unsqueeze(0))
        self.register_buffer("no_mask", prompt.no_mask_embed.weight.detach().reshape(1, 1, -1).clone())
        pe = prompt.get_dense_pe().detach()
        self.register_buffer("image_positions", pe.flatten(2).transpose(1, 2).contiguous())
        self.register_buffer("no_obj_ptr", model.no_obj_ptr.detach().clone())
        self.register_buffer("choices", torch.arange(decoder.num_multimask_outputs))
        self.delta = decoder.dynamic_multimask_stability_delta
        self.threshold = decoder.dynamic_multimask_stability_thresh
        self.scale, self.offset = model.sigmoid_scale_for_mem_enc, model.sigmoid_bias_for_mem_enc

    def forward(
        self,
        point_coords: Tensor,
        point_labels: Tensor,
        image_embed: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
    ) -> tuple[Tensor, ...]:
        tokens, image = self._transform(point_coords, point_labels, image_embed, self.no_mask)
        outputs, _ = self._decode(tokens, image, point_labels, high_res_feats_0, high_res_feats_1)
        return outputs

    def _decode(
        self,
        tokens: Tensor,
        image: Tensor,
        point_labels: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        mask_given: Tensor | None = None,
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor, Tensor]]:
        """The five outputs; and of all masks the scores [B, 4] and embeddings [B, 4, 32], with the pixels."""
        count = self.output_tokens.shape[1]
        heads = self.heads(tokens[:, :count].transpose(0, 1))
        visible = heads[0, :, :1] > 0
        scores = heads[1, :, : count - 2].sigmoid()
        pixels = self.upscale(image, high_res_feats_0, high_res_feats_1)
        embeddings = heads[2:].transpose(0, 1)
        points = self._count_points(point_labels, mask_given)
        mask, score, token = self._choose(tokens[:, 2:count], scores, embeddings, pixels, points)
        pred_mask = torch.where(visible[..., None, None], self.upscale.raster(mask), NO_OBJ_SCORE)
        pointer = torch.where(visible, self.pointer(token), self.no_obj_ptr)
        outputs = pointer, self._for_memory(pred_mask, points), pred_mask, score, heads[0, :, :1]
        return outputs, (scores, embeddings, pixels)

    def _count_points(self, labels: Tensor, mask_given: Tensor | None) -> Tensor:
        """How many real points each object has: int64 [B, 1]."""
        return (labels != -1).sum(1, keepdim=True)

    def _transform(self, coords: Tensor, labels: Tensor, image_embed: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Output and prompt tokens [B, 6 + N + 1, 256] and image tokens [B, f * f, 256] after the transformer.

        `dense` [B or 1, f * f or 1, 256] is the encoded mask prompt, or what stands for none.
        """
        outputs = self.output_tokens.expand(coords.shape[0], -1, -1)
        prompts = torch.cat([outputs, self.prompt_encoder(coords, labels)], dim=1)
        tokens, image = prompts, image_embed.flatten(2).transpose(1, 2) + dense
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompts, self.image_positions)
        seen = self.final(tokens + prompts, image + self.image_positions, image)
        return self.norm(tokens + seen), image

    def _choose(
        self, tokens: Tensor, scores: Tensor, embeddings: Tensor, pixels: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mask [B, 1, f * f * 16], its score [B, 1] and its output token [B, 256].

        tokens [B, 4, 256], scores [B, 4], embeddings [B, 4, 32]; entry 0 is the single mask, the rest are the
        three of the multi-mask output. points [B, 1] counts real points.
        """
        best = (scores[:, 1:].argmax(1, keepdim=True) == self.get_buffer("choices")).float().unsqueeze(1)
        best_score = scores[:, 1:].amax(1, keepdim=True)
        best_token = (best @ tokens[:, 1:]).squeeze(1)
        best_embedding = best @ embeddings[:, 1:]
        if self.always_multimask:
            return best_embedding @ pixels, best_score, best_token
        multi = points <= 1
        pair = torch.cat([embeddings[:, :1], best_embedding], dim=1) @ pixels
        single, best_mask = pair.split(1, dim=1)
        take_best = multi | (self._stability(single) < self.threshold)
        mask = torch.where(take_best.unsqueeze(-1), best_mask, single)
        token = torch.where(multi, best_token, tokens[:, 0])
        return mask, torch.where(take_best, best_score, scores[:, :1]), token

    def _stability(self, mask: Tensor) -> Tensor:
        """Area above +delta over area above -delta, 1 where the latter is empty: [B, 1]."""
        logits = mask.flatten(1)
        inner = (logits > self.delta).float().sum(1, keepdim=True)
        outer = (logits > -self.delta).float().sum(1, keepdim=True)
        return torch.where(outer > 0, inner / outer.clamp(min=1.0), 1.0)

    def _for_memory(self, pred_mask: Tensor, points: Tensor) -> Tensor:
        """The mask as the memory encoder takes it, in [-10, 10]: [B, 1, S, S]."""
        logits = nn.functional.interpolate(pred_mask, scale_factor=4.0, mode="bilinear", align_corners=False)
        soft = logits.sigmoid()
        if self.always_multimask:
            return soft * self.scale + self.offset
        prompted = (points > 0)[..., None, None]
        return torch.where(prompted, (logits > 0).float(), soft) * self.scale + self.offset


def _require_known(model: Any) -> None:
    """Refuse a configuration whose branches this decoder does not have."""
    wanted = {
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "use_mlp_for_obj_ptr_proj": True,
        "fixed_no_obj_ptr": True,
        "soft_no_obj_ptr": False,
        "iou_prediction_use_sigmoid": True,
        "use_high_res_features_in_sam": True,
        "use_multimask_token_for_obj_ptr": True,
        "multimask_output_in_sam": True,
        "multimask_output_for_tracking": True,
        "multimask_min_pt_num": 0,
        "multimask_max_pt_num": 1,
        "directly_add_no_mem_embed": True,
        "non_overlap_masks_for_mem_enc": False,
    }
    for name, value in wanted.items():
        if getattr(model, name) != value:
            raise SurgeonError(f"configuration has {name}={getattr(model, name)}; only {value} can be exported")
