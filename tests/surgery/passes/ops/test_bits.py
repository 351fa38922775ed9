"""Integers taken apart into bits, and put together again."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
import pytest

from surgery.passes.ops import bits
from surgery.passes.ops.build import Build
from tests.surgery.passes.ops.running import computed


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_bits_of_integers_and_back(dtype: Any) -> None:
    count = np.dtype(dtype).itemsize * 8 - 1
    span = np.iinfo(dtype)
    values = np.array([0, 1, 5, 2**20 + 3, span.max, span.min + 1, -1, -7], dtype)
    lowest = computed({"x": values}, lambda build, t: bits.bits(build, t[0], 8))
    assert np.array_equal(lowest, values[:, None] >> np.arange(8) & 1)

    def again(build: Build, tensors: list[gs.Tensor]) -> gs.Tensor:
        negative = build.cast(build("Less", tensors[0], 0), dtype)
        return bits.number(build, bits.bits(build, tensors[0], count), negative, count)

    assert np.array_equal(computed({"x": values}, again), values)


def test_floor_division_rounds_down() -> None:
    values = np.array([-7, -6, -1, 0, 1, 6, 7])
    assert np.array_equal(computed({"x": values}, lambda build, t: bits.floor_divide(build, t[0], 3)), values // 3)
