"""Track objects through a video with the ONNX files alone: the loop to port to C++.

For each frame: encode the image once; condition it on each object's memory (or on none, for an object that is
prompted in this frame); decode a mask, a pointer and two scores for each object. The mask is encoded into memory when
the next frame comes, so that it can be corrected first, and so that a single image needs no memory at all.
The values are those of `SAM2VideoPredictor` for frames in order: every prompted frame is remembered, and a prompt on
an object that is tracked already adds a prompted frame (export/tracking/bank.py says where the distances differ).

Objects share a call where the module takes several. Nothing is padded to make them fit: objects share memory
attention when they have equally many memories and pointers and were first prompted in the same frame (the scalar
`cond_frame_id_diff` is one for a call), and the decoder when they have equally many points. Where a file has a fixed
batch, the last object is repeated to fill it.

    tracker = Tracker(modules.load(folder))
    for frame in frames:                                  # uint8 RGB [height, width, 3]
        results = tracker.step(frame, {1: Prompt(box=(40, 50, 200, 220))} if first else {})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from export.tracking.bank import Bank, attention_inputs
from export.tracking.decoding import (
    Call,
    correction_call,
    decode,
    mask_call,
    mask_outputs,
    require_prompts,
    share_calls,
)
from export.tracking.images import bounding_box, preprocess, resize_logits
from export.tracking.modules import Array, Modules
from export.tracking.prompts import Prompt, check_positive, decoder_points
from verify.errors import SurgeonError

CURRENT = {"current_vision_feat": "vision_feats", "current_vision_pos_embed": "vision_pos_embed"}


@dataclass(frozen=True)
class Result:
    """One object in one frame.

    logits       float32 [S / 4, S / 4], the decoder's `pred_mask`; the object is where they are above zero
    iou          the mask quality that the decoder predicts
    score        the occlusion logit: the object is in view when above zero (else the mask is empty)
    candidates   float32 [3, S / 4, S / 4], the decoder's three masks; of prompted frames with the decoder for prompts
    qualities    float32 [3], the predicted quality of each candidate
    """

    logits: Array
    iou: float
    score: float
    height: int
    width: int
    candidates: Array | None = None
    qualities: Array | None = None

    @cached_property
    def mask(self) -> Array:
        """bool [height, width] at the video's size."""
        return self.resized(self.logits)

    def resized(self, logits: Array) -> Array:
        """The mask of logits [S / 4, S / 4] at the video's size: bool [height, width]."""
        mask: Array = resize_logits(logits, self.height, self.width) > 0
        return mask

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """x0, y0, x1, y1 around the mask, the last two exclusive; None when the object is out of view."""
        return bounding_box(self.mask)


@dataclass(frozen=True)
class _Latest:
    """A frame that is not in memory yet: the encoder's outputs, and each object's prompt, embedding and outputs."""

    index: int
    features: Mapping[str, Array]
    height: int
    width: int
    prompted: set[int]
    embeds: Mapping[int, Array]
    prompts: dict[int, Prompt]
    decoded: dict[int, dict[str, Array]]

    def result(self, object_id: int) -> Result:
        """One object as a caller gets it."""
        out = self.decoded[object_id]
        scores = float(out["iou"][0]), float(out["occ_logit"][0])
        candidates = out.get("low_res_masks"), out.get("iou_predictions")
        return Result(out["pred_mask"][0], *scores, self.height, self.width, *candidates)


class Tracker:
    """State: the frame number, one memory bank for each object, and the latest frame."""

    def __init__(self, modules: Modules, *, most: int = 2, storage: str = "bfloat16") -> None:
        """`most` objects share a call at most; `storage` is the type of stored mask memories
        (the stock predictor: bfloat16; DeepStream: float32)."""
        self.modules = modules
        self.most = most
        self.storage = storage
        self.index = 0
        self.banks: dict[int, Bank] = {}
        self.constants: tuple[Array, Array] | None = None
        self.latest: _Latest | None = None

    def remove(self, object_id: int) -> None:
        """Forget an object; SurgeonError when there is none of that id."""
        if self.banks.pop(object_id, None) is None:
            raise SurgeonError(f"no object {object_id} to remove; there are {sorted(self.banks) or 'none'}")

    def step(self, frame: Array, prompts: Mapping[int, Prompt] | None = None) -> dict[int, Result]:
        """Track every known object into the next frame, uint8 RGB [height, width, 3].

        `prompts` adds objects by id; for an object that is tracked already, this frame becomes a further prompted frame
        (`remove` it first to start it afresh). Raises SurgeonError for a prompt that marks no object, and for a mask
        prompt without mask_decoder_prompts.onnx.
        """
        prompts = prompts or {}
        height, width = frame.shape[:2]
        for object_id, prompt in prompts.items():
            check_positive(object_id, prompt)
            if prompt.mask is not None:
                require_prompts(self.modules)
        self._remember_latest()
        for object_id in prompts:
            self.banks.setdefault(object_id, Bank(self.storage))
        if not self.banks:
            self.index += 1
            return {}
        features = self.modules.image_encoder({"image": preprocess(frame, self.modules.image_size)})
        embeds = self._condition(features, prompts)
        calls = {i: self._call(features, embeds[i], prompts.get(i), height, width) for i in self.banks}
        decoded = decode(self.modules, features, calls, self.most)
        for object_id, prompt in prompts.items():
            if prompt.mask is not None:
                pointer = decoded[object_id]["obj_ptr"]
                decoded[object_id] = mask_outputs(prompt.mask, self.modules.image_size, pointer)
        self.latest = _Latest(self.index, features, height, width, set(prompts), embeds, dict(prompts), decoded)
        self.index += 1
        return {object_id: self.latest.result(object_id) for object_id in decoded}

    def correct(self, corrections: Mapping[int, Prompt]) -> dict[int, Result]:
        """Correct objects in the frame of the latest `step` by further clicks; needs mask_decoder_prompts.onnx.

        As `SAM2VideoPredictor` does when points are added to a frame that has a mask: its logits and the clicks of
        before go into the decoder as well. Raises SurgeonError for an object that is not tracked and for prompts other
        than clicks.
        """
        if self.latest is None:
            raise SurgeonError("no frame to correct; call step first, with an object to track")
        latest, calls = self.latest, {}
        require_prompts(self.modules)
        for object_id, correction in corrections.items():
            if object_id not in latest.decoded or object_id not in self.banks:
                raise SurgeonError(f"no object {object_id} to correct; there are {sorted(self.banks) or 'none'}")
            if correction.box is not None or correction.mask is not None or not correction.points:
                raise SurgeonError(f"object {object_id}: a correction is one or more clicks, without a box or a mask")
        for object_id, correction in corrections.items():
            before = latest.prompts.get(object_id, Prompt())
            clicks = Prompt(before.box, [*before.points, *correction.points])
            logits = latest.decoded[object_id]["pred_mask"][0]
            args = latest.embeds[object_id], logits, latest.height, latest.width
            calls[object_id] = correction_call(self.modules, clicks, *args)
            latest.prompts[object_id] = clicks
        latest.decoded.update(decode(self.modules, latest.features, calls, self.most))
        return {object_id: latest.result(object_id) for object_id in calls}

    def _condition(self, features: Mapping[str, Array], prompts: Mapping[int, Prompt]) -> dict[int, Array]:
        """The decoder's `image_embed` [256, f, f] of each object."""
        embeds = dict.fromkeys(prompts, features["vision_feats"][0])
        tracked = [object_id for object_id in self.banks if object_id not in prompts]
        current = {name: features[source] for name, source in CURRENT.items()}
        fixed = self.modules.batch.get("memory_attention")
        for group in share_calls(tracked, fixed, self.most, lambda i: self.banks[i].layout(self.index)):
            assert self.constants is not None
            memory = attention_inputs([self.banks[i] for i in group], self.index, *self.constants)
            conditioned = self.modules.memory_attention({**current, **memory})["image_embed"]
            embeds.update(zip(group, conditioned, strict=True))
        return embeds

    def _call(
        self, features: Mapping[str, Array], embed: Array, prompt: Prompt | None, height: int, width: int
    ) -> Call:
        if prompt is not None and prompt.mask is not None:
            return mask_call(self.modules, prompt.mask, features["pix_feat"][0])
        coords, labels = decoder_points(prompt, height, width, self.modules.image_size)
        return Call(coords, labels, embed, prompted=prompt is not None)

    def _remember_latest(self) -> None:
        """Encode the masks of the latest frame into the banks of the objects that are still tracked."""
        latest, self.latest = self.latest, None
        if latest is None:
            return
        ids = [object_id for object_id in latest.decoded if object_id in self.banks]
        for group in share_calls(ids, self.modules.batch.get("memory_encoder"), self.most, lambda i: None):
            outputs = self.modules.memory_encoder(
                {
                    "mask_for_mem": np.stack([latest.decoded[i]["mask_for_mem"] for i in group]),
                    "pix_feat": latest.features["pix_feat"],
                    "occ_logit": np.stack([latest.decoded[i]["occ_logit"] for i in group]),
                }
            )
            self.constants = outputs["maskmem_pos_enc"][0], outputs["temporal_code"]
            for row, object_id in enumerate(dict.fromkeys(group)):
                memory, pointer = outputs["maskmem_features"][row], latest.decoded[object_id]["obj_ptr"]
                prompted = object_id in latest.prompted
                self.banks[object_id].remember(latest.index, memory, pointer, prompted=prompted)
