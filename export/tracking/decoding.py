"""Calls of the mask decoder: points, masks and corrections as its inputs, and objects that share a call."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from export.tracking.images import resize_antialias, resize_logits
from export.tracking.modules import Array, Modules
from export.tracking.prompts import Prompt, decoder_points
from verify.errors import SurgeonError

# As in SAM2: logits of before are clamped, and a mask prompt has logits of +10 and -10.
LOGIT_LIMIT = 32.0
MASK_LOGIT = 10.0

PROMPTS_FILE = "mask_decoder_prompts.onnx"


@dataclass(frozen=True)
class Call:
    """One object's inputs of the mask decoder.

    coords, labels   float32 [points, 2] and [points]
    embed            float32 [256, f, f], `image_embed`
    mask             float32 [S / 4, S / 4], `mask_input`; None where there is none
    prompted         whether the object is prompted in this frame
    """

    coords: Array
    labels: Array
    embed: Array
    mask: Array | None = None
    prompted: bool = False


def mask_call(modules: Modules, mask: Array, pix_feat: Array) -> Call:
    """The call that gives a mask prompt its object pointer (`SAM2Base._use_mask_as_output`).

    mask       bool [height, width] at the video's size
    pix_feat   float32 [256, f, f], the encoder's features without `no_mem_embed`
    """
    require_prompts(modules)
    assert modules.mask_downsample is not None
    weights, bias = modules.mask_downsample[:16], modules.mask_downsample[16]
    blocks = square_mask(mask, modules.image_size).astype(np.float32)
    side = modules.image_size // 4
    blocks = blocks.reshape(side, 4, side, 4).transpose(0, 2, 1, 3).reshape(side, side, 16)
    coords, labels = decoder_points(None, 1, 1, modules.image_size)
    return Call(coords, labels, pix_feat, blocks @ weights + bias, prompted=True)


def mask_outputs(mask: Array, size: int, pointer: Array) -> dict[str, Array]:
    """The decoder's outputs where a mask prompt is the result: the mask itself, and the pointer of `mask_call`."""
    logits = np.where(square_mask(mask, size), MASK_LOGIT, -MASK_LOGIT).astype(np.float32)
    low = resize_antialias(logits, size // 4, size // 4)
    for_memory = np.where(resize_logits(low, size, size) > 0, MASK_LOGIT, -MASK_LOGIT).astype(np.float32)
    return {
        "obj_ptr": pointer,
        "mask_for_mem": for_memory[None],
        "pred_mask": low[None],
        "iou": np.ones(1, np.float32),
        "occ_logit": np.full(1, MASK_LOGIT, np.float32),
    }


def square_mask(mask: Array, size: int) -> Array:
    """bool [height, width] to bool [size, size], aspect ratio not kept."""
    if mask.shape == (size, size):
        return mask
    resized: Array = resize_antialias(mask.astype(np.float32), size, size) >= 0.5
    return resized


def correction_call(modules: Modules, prompt: Prompt, embed: Array, before: Array, height: int, width: int) -> Call:
    """All clicks of a frame beside the logits of before, float32 [S / 4, S / 4]."""
    require_prompts(modules)
    coords, labels = decoder_points(prompt, height, width, modules.image_size)
    return Call(coords, labels, embed, np.clip(before, -LOGIT_LIMIT, LOGIT_LIMIT), prompted=True)


def require_prompts(modules: Modules) -> None:
    """SurgeonError unless the decoder with mask prompts is among the files."""
    if modules.mask_decoder_prompts is None:
        raise SurgeonError(
            f"corrections and masks need {PROMPTS_FILE} beside the other files; surgeon export --prompts writes it"
        )


def decode(
    modules: Modules, features: Mapping[str, Array], calls: Mapping[int, Call], most: int
) -> dict[int, dict[str, Array]]:
    """The decoder's outputs of each object by id, without the batch axis.

    Prompted objects go through the decoder with mask prompts where there is one, which also gives their candidates.
    """

    def module_of(object_id: int) -> str:
        with_prompts = calls[object_id].prompted and modules.mask_decoder_prompts is not None
        return "mask_decoder_prompts" if with_prompts else "mask_decoder"

    decoded: dict[int, dict[str, Array]] = {}
    for module in ("mask_decoder", "mask_decoder_prompts"):
        ids = [object_id for object_id in calls if module_of(object_id) == module]
        for group in share_calls(ids, modules.batch.get(module), most, lambda i: len(calls[i].labels)):
            run = getattr(modules, module)
            outputs = run(_decoder_inputs(features, [calls[object_id] for object_id in group]))
            for row, object_id in enumerate(group):
                decoded[object_id] = {name: value[row] for name, value in outputs.items()}
    return {object_id: decoded[object_id] for object_id in calls}


def _decoder_inputs(features: Mapping[str, Array], calls: list[Call]) -> dict[str, Array]:
    blank = np.zeros(features["high_res_feat0"].shape[-2:], np.float32)
    return {
        "point_coords": np.stack([call.coords for call in calls]),
        "point_labels": np.stack([call.labels for call in calls]),
        "image_embed": np.stack([call.embed for call in calls]),
        "high_res_feats_0": features["high_res_feat0"],
        "high_res_feats_1": features["high_res_feat1"],
        "mask_input": np.stack([blank if call.mask is None else call.mask for call in calls])[:, None],
        "has_mask_input": np.array([call.mask is not None for call in calls], np.float32),
    }


def share_calls(ids: list[int], fixed: int | None, most: int, alike: Callable[[int], Hashable]) -> Iterator[list[int]]:
    """Ids that may share one call of a module: equal under `alike`, and no more than `fixed`, or else `most`.

    A fixed batch is filled up by repeating the last id; rows do not affect each other, so that changes nothing.
    """
    most = fixed or most
    kinds: dict[Hashable, list[int]] = {}
    for object_id in ids:
        kinds.setdefault(alike(object_id), []).append(object_id)
    for kind in kinds.values():
        for start in range(0, len(kind), most):
            group = kind[start : start + most]
            yield group + group[-1:] * ((fixed or 0) - len(group))
