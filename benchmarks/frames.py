"""Inputs for the four modules, taken from a run of the reference files on a photo, so that every tool gets the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULES = ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder")
Feeds = dict[str, dict[str, Any]]


def session(path: Path, threads: int = 0) -> Any:
    """An onnxruntime session on the CPU with its default optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def call(run: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs by name; inputs the model does not have are left out, ranks and types follow the model."""
    given = {}
    for port in run.get_inputs():
        array = np.asarray(feeds[port.name])
        while array.ndim < len(port.shape):
            array = array[None]
        given[port.name] = array.astype(np.int64 if "int64" in port.type else np.float32)
    return dict(zip([port.name for port in run.get_outputs()], run.run(None, given), strict=True))


def photo(side: int = 1024) -> Any:
    """A photo that ships with scikit-image, normalised as SAM2 does: float32 [1, 3, side, side]."""
    from skimage import data, transform

    picture = transform.resize(data.astronaut(), (side, side))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((picture - mean) / deviation).transpose(2, 0, 1)[None].astype(np.float32)


def inputs(folder: Path, frames: int = 7, pointers: int = 16, objects: int = 3) -> Feeds:
    """Inputs of each module for one frame: one image, `objects` boxes, a memory of `frames` frames for one object."""
    feeds: Feeds = {"image_encoder": {"image": photo()}}
    seen = call(session(folder / "image_encoder.onnx"), feeds["image_encoder"])
    boxes = np.array([[[300, 200], [620, 700]], [[100, 80], [480, 500]], [[512, 400], [900, 980]]], np.float32)
    feeds["mask_decoder"] = {
        "point_coords": boxes[np.arange(objects) % 3],
        "point_labels": np.tile(np.array([[2, 3]], np.float32), (objects, 1)),
        "image_embed": seen["pix_feat"].repeat(objects, 0),
        "high_res_feats_0": seen["high_res_feat0"],
        "high_res_feats_1": seen["high_res_feat1"],
    }
    found = call(session(folder / "mask_decoder.onnx"), feeds["mask_decoder"])
    mask = {"mask_for_mem": found["mask_for_mem"][:1], "occ_logit": found["occ_logit"][:1]}
    feeds["memory_encoder"] = {**mask, "pix_feat": seen["pix_feat"]}
    memory = call(session(folder / "memory_encoder.onnx"), feeds["memory_encoder"])
    feeds["memory_attention"] = _bank(seen, found, memory, frames, pointers)
    return feeds


def _bank(seen: Any, found: Any, memory: Any, frames: int, pointers: int) -> dict[str, Any]:
    rng = np.random.Generator(np.random.Philox(1))
    features = memory["maskmem_features"][:1]
    bank = np.concatenate([features * (1 + 0.05 * rng.normal(size=features.shape)) for _ in range(frames)])
    code = memory["temporal_code"].reshape(7, 1, 1, 64)
    places = [memory["maskmem_pos_enc"][:1] + code[index % 7] for index in range(frames)]
    return {
        "current_vision_feat": seen["vision_feats"],
        "current_vision_pos_embed": seen["vision_pos_embed"],
        "memory_0": found["obj_ptr"][:1] * (1 + 0.1 * rng.normal(size=(1, pointers, 256))),
        "memory_1": bank[None],
        "memory_pos_embed": np.concatenate([*places, np.zeros((1, 4 * pointers, 64))], 1),
        "cond_frame_id_diff": np.float32(3),
    }
