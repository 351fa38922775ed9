"""The same inputs through stock SAM2: the reference of the exported files.

Everything is computed by methods of stock `SAM2Base`; nothing comes from this package's wrappers. Where stock
code has no seam, a forward hook of torch reads or replaces an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from verify.errors import SurgeonError

Tensors = Mapping[str, Tensor]


def run_stock(module: str, model: Any, inputs: Tensors, semantics: str = "sam2") -> dict[str, Tensor]:
    """Outputs of one module by stock code, named and shaped as in the spec.

    `model` is a stock video predictor (`export.weights.sam2_model.build`), `inputs` are the module's inputs by name.
    Objects run one at a time, as the video predictor runs them.
    """
    runners = {
        "image_encoder": _image_encoder,
        "mask_decoder": _mask_decoder,
        "mask_decoder_prompts": _mask_decoder,
        "memory_attention": _memory_attention,
        "memory_encoder": _memory_encoder,
    }
    if module not in runners:
        raise SurgeonError(f"{module!r} is no SAM2 module; choose {', '.join(runners)}")
    with torch.inference_mode(), _double_sigmoid(model, semantics):
        return runners[module](model, inputs, semantics)


@contextmanager
def _double_sigmoid(model: Any, semantics: str) -> Iterator[None]:
    """MaskTracker's exporter builds the image model, which does not binarise prompted masks."""
    before = model.binarize_mask_from_pts_for_mem_enc
    model.binarize_mask_from_pts_for_mem_enc = before and semantics == "sam2"
    try:
        yield
    finally:
        model.binarize_mask_from_pts_for_mem_enc = before


def _image_encoder(model: Any, inputs: Tensors, semantics: str) -> dict[str, Tensor]:
    backbone = model.forward_image(inputs["image"])
    _, features, positions, sizes = model._prepare_backbone_features(backbone)
    maps = [x.permute(1, 2, 0).reshape(1, -1, *size) for x, size in zip(features, sizes, strict=True)]
    with_embedding = (features[-1] + model.no_mem_embed).permute(1, 2, 0).reshape(1, -1, *sizes[-1])
    return {
        "pix_feat": maps[2],
        "high_res_feat0": maps[0],
        "high_res_feat1": maps[1],
        "vision_feats": with_embedding,
        "vision_pos_embed": positions[-1],
    }


def _mask_decoder(model: Any, inputs: Tensors, semantics: str) -> dict[str, Tensor]:
    rows = [_decode_one(model, inputs, index, semantics) for index in range(inputs["point_coords"].shape[0])]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _decode_one(model: Any, inputs: Tensors, index: int, semantics: str) -> dict[str, Tensor]:
    labels = inputs["point_labels"][index : index + 1].int()
    points = {"point_coords": inputs["point_coords"][index : index + 1], "point_labels": labels}
    real = {"point_labels": labels[:, labels[0] != -1]}
    mask = _mask_input(inputs, index)
    prompted = bool((labels != -1).any())
    # `_use_mask_as_output` decodes a mask without points, and asks for one mask.
    multimask = (prompted or mask is None) and (semantics == "masktracker" or model._use_multimask(True, real))
    with _recorded_candidates(model) as candidates:
        _, _, ious, low, high, pointer, score = model._forward_sam_heads(
            backbone_features=inputs["image_embed"][index : index + 1],
            point_inputs=points,
            mask_inputs=mask,
            high_res_features=[inputs["high_res_feats_0"], inputs["high_res_feats_1"]],
            multimask_output=multimask,
        )
    outputs = {
        "obj_ptr": pointer,
        "mask_for_mem": _mask_for_memory(model, high, score, prompted or mask is not None),
        "pred_mask": low,
        "iou": ious.amax(1, keepdim=True),
        "occ_logit": score,
    }
    return {**outputs, **candidates} if "mask_input" in inputs else outputs


def _mask_input(inputs: Tensors, index: int) -> Tensor | None:
    """The mask prompt of one object, None where it has none."""
    given = "mask_input" in inputs and float(inputs["has_mask_input"][index]) > 0
    return inputs["mask_input"][index : index + 1] if given else None


@contextmanager
def _recorded_candidates(model: Any) -> Iterator[dict[str, Tensor]]:
    """The three masks of the multi-mask output and their scores, before stock SAM2 chooses."""
    found: dict[str, Tensor] = {}
    decoder = model.sam_mask_decoder
    predict_masks = decoder.predict_masks

    def recording(*args: Any, **kwargs: Any) -> Any:
        outputs = predict_masks(*args, **kwargs)
        found.update(low_res_masks=outputs[0][:, 1:], iou_predictions=outputs[1][:, 1:])
        return outputs

    decoder.predict_masks = recording
    try:
        yield found
    finally:
        # The instance attribute hides the class's method; removing it restores the method.
        del decoder.predict_masks


def _mask_for_memory(model: Any, logits: Tensor, score: Tensor, prompted: bool) -> Tensor:
    """What `_encode_new_memory` hands to the memory encoder, read by a hook."""
    seen: list[Tensor] = []
    feature = model.image_size // model.backbone_stride
    blank = torch.zeros(feature**2, 1, model.hidden_dim)

    def read(_module: Any, arguments: tuple[Tensor, Tensor]) -> None:
        seen.append(arguments[1])

    handle = model.memory_encoder.register_forward_pre_hook(read)
    try:
        model._encode_new_memory([blank], [(feature, feature)], logits, score, prompted)
    finally:
        handle.remove()
    return seen[0]


def _memory_attention(model: Any, inputs: Tensors, semantics: str) -> dict[str, Tensor]:
    """`SAM2Base._prepare_memory_conditioned_features` from its gathered memories on."""
    from sam2.modeling.sam2_utils import get_1d_sine_pe

    feature = model.image_size // model.backbone_stride
    pointers, frames = inputs["memory_0"], inputs["memory_1"]
    split = model.hidden_dim // model.mem_dim
    count = pointers.shape[1]
    position = torch.zeros(count, model.mem_dim)
    if model.add_tpos_enc_to_obj_ptrs:
        distance = torch.cat([inputs["cond_frame_id_diff"].reshape(1), torch.arange(1.0, count)])
        encoded = get_1d_sine_pe(distance / (model.max_obj_ptrs_in_encoder - 1), dim=model.hidden_dim)
        position = model.obj_ptr_tpos_proj(encoded)
    current = inputs["current_vision_feat"].flatten(2).permute(2, 0, 1) - model.no_mem_embed
    rows = []
    for index in range(pointers.shape[0]):
        spatial = frames[index].flatten(2).transpose(1, 2).reshape(-1, 1, model.mem_dim)
        tokens = pointers[index].reshape(-1, 1, model.mem_dim)
        where = inputs["memory_pos_embed"][index, : spatial.shape[0]].unsqueeze(1)
        out = model.memory_attention(
            curr=[current],
            curr_pos=[inputs["current_vision_pos_embed"]],
            memory=torch.cat([spatial, tokens]),
            memory_pos=torch.cat([where, position.repeat_interleave(split, dim=0).unsqueeze(1)]),
            num_obj_ptr_tokens=tokens.shape[0],
        )
        rows.append(out.permute(1, 2, 0).reshape(1, -1, feature, feature))
    return {"image_embed": torch.cat(rows)}


def _memory_encoder(model: Any, inputs: Tensors, semantics: str) -> dict[str, Tensor]:
    rows = [_encode_one(model, inputs, i, semantics) for i in range(inputs["mask_for_mem"].shape[0])]
    features, positions = (torch.cat([row[i] for row in rows]) for i in range(2))
    return {
        "maskmem_features": features,
        "maskmem_pos_enc": positions.flatten(2).transpose(1, 2),
        "temporal_code": model.maskmem_tpos_enc.detach(),
    }


def _encode_one(model: Any, inputs: Tensors, index: int, semantics: str) -> tuple[Tensor, Tensor]:
    mask = inputs["mask_for_mem"][index : index + 1]
    pix_feat = inputs["pix_feat"]
    size = tuple(pix_feat.shape[-2:])

    def replace(_module: Any, arguments: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return arguments[0], mask

    # The contract's mask is scaled already; MaskTracker's exporter lets stock scale it once more.
    handle = model.memory_encoder.register_forward_pre_hook(replace) if semantics == "sam2" else None
    try:
        features, positions = model._encode_new_memory(
            [pix_feat.flatten(2).permute(2, 0, 1)], [size], mask, inputs["occ_logit"][index : index + 1], False
        )
    finally:
        if handle is not None:
            handle.remove()
    return features, positions[0]
