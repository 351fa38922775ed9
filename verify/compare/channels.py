"""Errors of each channel of a tensor, so that large channels (boxes in pixels) do not hide small ones (scores).

Channels are the slices along axis 1 of a tensor of three or more axes, and along the last axis of one of two or more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from verify.inputs.seeded import words

Array = np.ndarray[Any, np.dtype[Any]]

MOST_CHANNELS = 4096
MOST_ELEMENTS = 1 << 20  # of one channel
# A channel whose RMS is below this share of the tensor's is measured against this share.
SMALLEST = 1e-6


def axes(shape: tuple[int, ...]) -> list[int]:
    """The axes along which a tensor of this shape has channels."""
    wanted = ([1] if len(shape) > 2 else []) + ([len(shape) - 1] if len(shape) > 1 else [])
    size = math.prod(shape)
    return [axis for axis in wanted if 1 < shape[axis] <= MOST_CHANNELS and 1 < size // shape[axis] <= MOST_ELEMENTS]


def _rows(array: Array, axis: int) -> Array:
    """One row for each channel: float64 [channels, elements]."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)


def _weights(size: int) -> Array:
    """Two rows of fixed random signs, the same for every channel."""
    bits = words("verify.channels", size)
    rows: Array = np.stack([np.where(bits >> np.uint64(k) & np.uint64(1), 1.0, -1.0) for k in (0, 1)])
    return rows


def sums(array: Array, axis: int) -> Array:
    """The stored sums of each channel: of its squares and of two random projections, float32 [channels, 3]."""
    rows = _rows(array, axis)
    packed: Array = np.column_stack([np.square(rows).sum(1), rows @ _weights(rows.shape[1]).T]).astype(np.float32)
    return packed


def errors_of_sums(actual: Array, axis: int, stored: Array) -> Array:
    """RMS error of each channel over its RMS, estimated from `sums` of the expected tensor: float64 [channels]."""
    rows = _rows(actual, axis)
    change = rows @ _weights(rows.shape[1]).T - stored[:, 1:]
    error = np.sqrt(np.square(change).sum(1) / 2 / rows.shape[1])
    return _over(error, np.sqrt(stored[:, 0].astype(np.float64) / rows.shape[1]))


def errors(actual: Array, expected: Array, axis: int) -> Array:
    """RMS error of each channel over its RMS: float64 [channels]."""
    wanted = _rows(expected, axis)
    error = np.sqrt(np.square(_rows(actual, axis) - wanted).mean(1))
    return _over(error, np.sqrt(np.square(wanted).mean(1)))


def _over(error: Array, rms: Array) -> Array:
    scale = np.maximum(rms, SMALLEST * math.sqrt(float(np.mean(np.square(rms)))))
    relative: Array = np.where(error == 0.0, 0.0, error / np.where(scale > 0.0, scale, 1.0))
    return relative


def worst(found: Mapping[int, Array], allowed: Mapping[int, Array]) -> dict[str, Any]:
    """The channel furthest beyond its tolerance: `channel` (error over tolerance), `channel_error`, `channel_at`."""
    result: dict[str, Any] = {}
    for axis, error in found.items():
        if axis not in allowed:
            continue
        ratio = error / allowed[axis]
        index = int(np.argmax(ratio))
        if float(ratio[index]) > result.get("channel", 0.0):
            result = {"channel": float(ratio[index]), "channel_error": float(error[index])}
            result["channel_at"] = f"axis {axis}, index {index}"
    return result
