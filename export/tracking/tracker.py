"""Track objects through a video with the four ONNX files alone: the loop to port to C++.

For each frame: encode the image once; condition it on each object's memory (or on none, for an object that is
prompted in this frame); decode a mask, a pointer and two scores for each object; encode the mask into memory.
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

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from export.tracking.bank import Bank, attention_inputs
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
    """

    logits: Array
    iou: float
    score: float
    height: int
    width: int

    @cached_property
    def mask(self) -> Array:
        """bool [height, width] at the video's size."""
        mask: Array = resize_logits(self.logits, self.height, self.width) > 0
        return mask

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """x0, y0, x1, y1 around the mask, the last two exclusive; None when the object is out of view."""
        return bounding_box(self.mask)


class Tracker:
    """State: the frame number, and one memory bank for each object."""

    def __init__(self, modules: Modules, *, most: int = 4, storage: str = "bfloat16") -> None:
        """`most` objects share a call at most; `storage` is the type of stored mask memories
        (the stock predictor: bfloat16; DeepStream: float32)."""
        self.modules = modules
        self.most = most
        self.storage = storage
        self.index = 0
        self.banks: dict[int, Bank] = {}
        self.constants: tuple[Array, Array] | None = None

    def remove(self, object_id: int) -> None:
        """Forget an object; SurgeonError when there is none of that id."""
        if self.banks.pop(object_id, None) is None:
            raise SurgeonError(f"no object {object_id} to remove; there are {sorted(self.banks) or 'none'}")

    def step(self, frame: Array, prompts: Mapping[int, Prompt] | None = None) -> dict[int, Result]:
        """Track every known object into the next frame, uint8 RGB [height, width, 3].

        `prompts` adds objects by id; for an object that is tracked already, this frame becomes a further prompted frame
        (`remove` it first to start it afresh). Raises SurgeonError for a prompt without a box or a positive click.
        """
        prompts = prompts or {}
        height, width = frame.shape[:2]
        for object_id, prompt in prompts.items():
            check_positive(object_id, prompt)
        for object_id in prompts:
            self.banks.setdefault(object_id, Bank(self.storage))
        if not self.banks:
            self.index += 1
            return {}
        features = self.modules.image_encoder({"image": preprocess(frame, self.modules.image_size)})
        embeds = self._condition(features, prompts)
        points = {i: decoder_points(prompts.get(i), height, width, self.modules.image_size) for i in self.banks}
        decoded = self._decode(features, embeds, points)
        self._remember(features, decoded, prompts)
        self.index += 1
        return {
            i: Result(out["pred_mask"][0], float(out["iou"][0]), float(out["occ_logit"][0]), height, width)
            for i, out in decoded.items()
        }

    def _condition(self, features: Mapping[str, Array], prompts: Mapping[int, Prompt]) -> dict[int, Array]:
        """The decoder's `image_embed` [256, f, f] of each object."""
        embeds = dict.fromkeys(prompts, features["vision_feats"][0])
        tracked = [object_id for object_id in self.banks if object_id not in prompts]
        current = {name: features[source] for name, source in CURRENT.items()}
        for group in self._groups("memory_attention", tracked, lambda i: self.banks[i].layout(self.index)):
            assert self.constants is not None
            memory = attention_inputs([self.banks[i] for i in group], self.index, *self.constants)
            conditioned = self.modules.memory_attention({**current, **memory})["image_embed"]
            embeds.update(zip(group, conditioned, strict=True))
        return embeds

    def _decode(
        self, features: Mapping[str, Array], embeds: Mapping[int, Array], points: Mapping[int, tuple[Array, Array]]
    ) -> dict[int, dict[str, Array]]:
        """The decoder's outputs of each object, without the batch axis."""
        decoded: dict[int, dict[str, Array]] = {}
        for group in self._groups("mask_decoder", list(self.banks), lambda i: len(points[i][1])):
            outputs = self.modules.mask_decoder(
                {
                    "point_coords": np.stack([points[i][0] for i in group]),
                    "point_labels": np.stack([points[i][1] for i in group]),
                    "image_embed": np.stack([embeds[i] for i in group]),
                    "high_res_feats_0": features["high_res_feat0"],
                    "high_res_feats_1": features["high_res_feat1"],
                }
            )
            for row, object_id in enumerate(group):
                decoded[object_id] = {name: value[row] for name, value in outputs.items()}
        return {object_id: decoded[object_id] for object_id in self.banks}

    def _remember(
        self,
        features: Mapping[str, Array],
        decoded: Mapping[int, Mapping[str, Array]],
        prompts: Mapping[int, Prompt],
    ) -> None:
        for group in self._groups("memory_encoder", list(self.banks), lambda i: None):
            outputs = self.modules.memory_encoder(
                {
                    "mask_for_mem": np.stack([decoded[i]["mask_for_mem"] for i in group]),
                    "pix_feat": features["pix_feat"],
                    "occ_logit": np.stack([decoded[i]["occ_logit"] for i in group]),
                }
            )
            self.constants = outputs["maskmem_pos_enc"][0], outputs["temporal_code"]
            for row, object_id in enumerate(dict.fromkeys(group)):
                memory, pointer = outputs["maskmem_features"][row], decoded[object_id]["obj_ptr"]
                self.banks[object_id].remember(self.index, memory, pointer, prompted=object_id in prompts)

    def _groups(self, module: str, ids: list[int], alike: Callable[[int], Hashable]) -> Iterator[list[int]]:
        """Ids that may share one call of `module`: equal under `alike`, and no more than it takes.

        A fixed batch is filled up by repeating the last id; rows do not see each other, so that changes nothing.
        """
        fixed = self.modules.batch[module]
        most = fixed or self.most
        kinds: dict[Hashable, list[int]] = {}
        for object_id in ids:
            kinds.setdefault(alike(object_id), []).append(object_id)
        for kind in kinds.values():
            for start in range(0, len(kind), most):
                group = kind[start : start + most]
                yield group + group[-1:] * ((fixed or 0) - len(group))
