"""Axes that are known only at run time."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.passes.ops import axes
from tests.surgery.passes.ops.running import computed


@pytest.mark.parametrize(("shape", "removed"), [((1, 3, 1, 2), [0, 2]), ((1, 3, 1, 2), [-2]), ((4, 1), [1])])
def test_axes_given_at_run_time_are_squeezed_and_put_back(shape: tuple[int, ...], removed: list[int]) -> None:
    data, places = np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.array(removed)
    rank, left = len(shape), len(shape) - len(removed)
    squeezed = computed({"x": data, "a": places}, lambda build, t: axes.squeeze(build, t[0], t[1], rank, left))
    assert np.array_equal(squeezed, np.squeeze(data, tuple(removed)))
    spread = computed({"x": squeezed, "a": places}, lambda build, t: axes.unsqueeze(build, t[0], t[1], rank))
    assert np.array_equal(spread, data)
