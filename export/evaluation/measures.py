"""The measures of video object segmentation as DAVIS 2017 defines them: region similarity J and boundary measure F.

Definitions: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016,
with the conventions of the DAVIS 2017 and SA-V evaluation programs for empty masks and for the tolerance.
"""

from __future__ import annotations

from math import ceil, hypot, isqrt

import numpy as np

from export.tracking.modules import Array

TOLERANCE = 0.008  # of the picture's diagonal, rounded up to whole pixels


def region_similarity(mask: Array, truth: Array) -> float:
    """J: intersection over union of two bool masks [height, width]; 1 where both are empty."""
    union = int(np.count_nonzero(mask | truth))
    return int(np.count_nonzero(mask & truth)) / union if union else 1.0


def boundary_measure(mask: Array, truth: Array) -> float:
    """F: harmonic mean of precision and recall of the boundary pixels of two bool masks [height, width].

    A boundary pixel is matched when one of the other boundary lies within the tolerance. F is 1 where neither mask has
    a boundary, and 0 where only one has.
    """
    radius = ceil(TOLERANCE * hypot(*mask.shape))
    found, wanted = boundary(mask), boundary(truth)
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    precision, recall = _matched(found, wanted, radius), _matched(wanted, found, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: Array) -> Array:
    """bool [height, width]: pixels that differ from the pixel to their right, below, or below to the right."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    edges: Array = (mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:])
    return edges


def _matched(pixels: Array, other: Array, radius: int) -> float:
    """Share of the True pixels of `pixels` that have a True pixel of `other` within `radius`."""
    height, width = other.shape
    before = np.zeros((height, width + 1), np.int32)  # how many pixels of `other` lie to the left, row by row
    np.cumsum(other, axis=1, out=before[:, 1:])
    rows, columns = np.nonzero(pixels)
    matched = np.zeros(len(rows), bool)
    for step in range(-radius, radius + 1):
        half = isqrt(radius * radius - step * step)
        row = np.clip(rows + step, 0, height - 1)
        last, first = np.minimum(columns + half + 1, width), np.maximum(columns - half, 0)
        matched |= (row == rows + step) & (before[row, last] > before[row, first])
    return int(np.count_nonzero(matched)) / len(rows)
