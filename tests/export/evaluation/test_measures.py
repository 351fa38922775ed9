"""J and F against an implementation by distance transforms, and in the cases where a mask is empty."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from export.evaluation.measures import boundary_measure, region_similarity

ndimage = pytest.importorskip("scipy.ndimage")


def reference_f(mask: np.ndarray, truth: np.ndarray) -> float:
    """F by its definition: shares of boundary pixels whose distance to the other boundary is within the tolerance."""
    height, width = mask.shape
    radius = ceil(0.008 * np.sqrt(height**2 + width**2))

    def edge(one: np.ndarray) -> np.ndarray:
        found = np.zeros_like(one)
        for y in range(height):
            for x in range(width):
                near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
                inside = [(min(j, height - 1), min(i, width - 1)) for j, i in near]
                found[y, x] = any(one[place] != one[y, x] for place in inside)
        return found

    found, wanted = edge(mask), edge(truth)
    if not found.any() and not wanted.any():
        return 1.0
    if not found.any() or not wanted.any():
        return 0.0
    precision = (ndimage.distance_transform_edt(~wanted)[found] <= radius).mean()
    recall = (ndimage.distance_transform_edt(~found)[wanted] <= radius).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("size", [(60, 90), (97, 41), (240, 320)])
@pytest.mark.parametrize("seed", range(6))
def test_f_equals_an_independent_implementation(size: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=(2, *size)), (0, 6, 6))
    smooth[1] = 0.7 * smooth[0] + 0.3 * smooth[1]
    mask, truth = smooth > 0.02 * seed
    assert 0 < boundary_measure(mask, truth) < 1
    assert boundary_measure(mask, truth) == pytest.approx(reference_f(mask, truth), abs=1e-12)
    union, shared = (mask | truth).sum(), (mask & truth).sum()
    assert region_similarity(mask, truth) == shared / union


def test_a_shift_within_the_tolerance_costs_no_f() -> None:
    truth = np.zeros((300, 400), bool)  # a diagonal of 500 pixels: 4 pixels of tolerance
    truth[100:200, 100:250] = True
    assert boundary_measure(np.roll(truth, 4, axis=1), truth) == 1.0
    assert boundary_measure(np.roll(truth, 5, axis=1), truth) < 1.0
    assert region_similarity(np.roll(truth, 5, axis=1), truth) == 145 / 155


def test_empty_masks() -> None:
    nothing, something = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    something[5:9, 5:9] = True
    assert (region_similarity(nothing, nothing), boundary_measure(nothing, nothing)) == (1.0, 1.0)
    assert (region_similarity(nothing, something), boundary_measure(nothing, something)) == (0.0, 0.0)
    assert (region_similarity(something, nothing), boundary_measure(something, nothing)) == (0.0, 0.0)
