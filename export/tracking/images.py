"""Resizes frames and masks exactly as the stock predictor does (sam2/utils/misc.py, sam2_video_predictor.py)."""

from __future__ import annotations

import numpy as np

from export.tracking.modules import Array

# ImageNet statistics of an RGB image scaled to 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def resize_frame(frame: Array, size: int) -> Array:
    """uint8 RGB [H, W, 3] to uint8 [size, size, 3]: Pillow's bicubic filter, aspect ratio not kept."""
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize((size, size)))


def preprocess(frame: Array, size: int) -> Array:
    """uint8 RGB [H, W, 3] to the encoder's `image`: float32 [1, 3, size, size], (pixel / 255 - mean) / std."""
    return normalise((resize_frame(frame, size) / 255.0).astype(np.float32).transpose(2, 0, 1))


def normalise(image: Array) -> Array:
    """float32 RGB [3, S, S] in 0..1 to the encoder's `image` [1, 3, S, S]."""
    image = image - np.array(MEAN, np.float32)[:, None, None]
    image /= np.array(STD, np.float32)[:, None, None]
    return np.ascontiguousarray(image[None])


def resize_logits(logits: Array, height: int, width: int) -> Array:
    """Bilinear resize of float32 [h, w] with pixel centres aligned (align_corners=False), edges repeated."""
    top, bottom, row = _taps(logits.shape[0], height)
    left, right, column = _taps(logits.shape[1], width)
    row, column = row[:, None], column[None, :]
    upper = logits[top][:, left] * (1 - column) + logits[top][:, right] * column
    lower = logits[bottom][:, left] * (1 - column) + logits[bottom][:, right] * column
    resized: Array = upper * (1 - row) + lower * row
    return resized


def resize_antialias(image: Array, height: int, width: int) -> Array:
    """Bilinear resize of float32 [h, w] with a filter as wide as the step, as torch's `antialias=True` does."""
    rows, columns = _filter(image.shape[0], height), _filter(image.shape[1], width)
    resized: Array = rows @ image.astype(np.float32) @ columns.T
    return resized


def _filter(source: int, target: int) -> Array:
    """Weights of each source pixel in each target pixel: float32 [target, source], rows of sum 1.

    In float32 throughout, as torch computes them: a mask is cut at one half, where the last bit decides.
    """
    step = np.float32(source) / np.float32(target)
    support, half = max(step, np.float32(1)), np.float32(0.5)
    centre = step * (np.arange(target, dtype=np.float32)[:, None] + half)
    first = np.floor(np.maximum(centre - support + half, np.float32(0)))
    last = np.floor(np.minimum(centre + support + half, np.float32(source)))
    pixel = np.arange(source, dtype=np.float32)[None, :]
    inside = (pixel >= first) & (pixel < last)
    distance = np.abs((pixel - centre + half) * (np.float32(1) / support))
    weights = np.maximum(np.float32(1) - distance, np.float32(0)) * inside
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _taps(source: int, target: int) -> tuple[Array, Array, Array]:
    """For each target pixel: its two source pixels and the weight of the second, float32."""
    centre = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * np.float32(source / target) - np.float32(0.5)
    centre = np.maximum(centre, 0)
    first = np.minimum(centre.astype(np.int64), source - 1)
    second = np.minimum(first + 1, source - 1)
    return first, second, (centre - first).astype(np.float32)


def bounding_box(mask: Array) -> tuple[int, int, int, int] | None:
    """The tight box of a bool mask [H, W] as x0, y0, x1, y1 (x1 and y1 exclusive); None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
