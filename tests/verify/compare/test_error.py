"""The one measure of error, and that guard, precision, goldens and export mean the same by it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surgery.guard.tolerances import difference
from surgery.precision.measure import error as precision_error
from verify.compare.error import largest_float32, measure
from verify.compare.statistics import tensor_statistics

EXPECTED = np.array([3.0, 4.0, 0.0, 0.0], np.float32)
ACTUAL = np.array([3.0, 4.5, 0.0, 0.0], np.float32)


def test_figures_by_hand() -> None:
    found = measure(ACTUAL, EXPECTED)
    assert (found.rms, found.count, found.same_places) == (2.5, 4, True)
    assert found.largest == pytest.approx(0.2)
    assert found.root_mean_square == pytest.approx(math.sqrt(0.25 / 4) / 2.5)
    assert measure(ACTUAL, np.zeros(4)).largest == 4.5  # of zeros the error is absolute


def test_all_rooms_measure_the_same() -> None:
    found = measure(ACTUAL, EXPECTED)
    figures = tensor_statistics(ACTUAL, EXPECTED)
    assert (figures["max_rel"], figures["rms_rel"]) == (found.largest, found.root_mean_square)
    assert difference(EXPECTED, ACTUAL, exact=True)[1] == found.largest
    assert difference(EXPECTED, ACTUAL, exact=False, limit=10.0)[1] == pytest.approx(found.largest, rel=1e-6)
    assert precision_error(EXPECTED, ACTUAL) == found.root_mean_square
    largest, rms = largest_float32(ACTUAL, EXPECTED)
    assert largest / rms == pytest.approx(found.largest, rel=1e-6)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.0])
@pytest.mark.parametrize("right", [np.nan, np.inf, -np.inf, 1.0])
def test_what_is_no_number_must_be_in_the_same_places(right: float, wrong: float) -> None:
    expected, actual = np.array([right, 2.0, 3.0], np.float32), np.array([wrong, 2.0, 3.0], np.float32)
    same = bool(np.array_equal(expected, actual, equal_nan=True))
    assert measure(actual, expected).same_places is same
    assert (precision_error(expected, actual) == 0.0) is same
    assert (difference(expected, actual, exact=True) == ("", 0.0)) is same


def test_empty_tensors_and_those_without_a_number_have_no_error() -> None:
    for empty in (np.zeros((0, 3)), np.full(2, np.nan)):
        found = measure(empty, empty)
        assert (found.largest, found.root_mean_square, found.rms, found.same_places) == (0.0, 0.0, 1.0, True)
