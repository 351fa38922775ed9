"""SG176: operators of com.microsoft on eight-bit numbers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, stays
from tests.surgery.passes.contrib import accepted, contrib, keeps_plain

CODE = "SG176"
REWRITES = [
    contrib(
        "sum",
        """g (int8[B,4] a, int8[B,4] b) => (int8[B,4] y) <float s = {0.05}, int8 z = {3}, float t = {0.1}, int8
          o = {-5}, float p = {0.00390625}> { y = com.microsoft.QLinearAdd(a, s, z, b, t, o, t, z) }""",
    ),
    contrib(
        "product",
        """g (int8[B,4] a, int8[B,4] b) => (int8[B,4] y) <float s = {0.05}, int8 z = {3}, float t = {0.1}, int8
          o = {-5}, float p = {0.00390625}> { y = com.microsoft.QLinearMul(a, s, z, b, t, o, t, z) }""",
    ),
    contrib(
        "sigmoid",
        """g (uint8[B,4] a) => (uint8[B,4] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04}, uint8 o =
          {100}, float p = {0.00390625}> { y = com.microsoft.QLinearSigmoid(a, s, z, p, o) }""",
    ),
    contrib(
        "leaky",
        """g (int8[B,4] a) => (int8[B,4] y) <float s = {0.05}, int8 z = {3}, float t = {0.1}, int8 o = {-5},
          float p = {0.00390625}> { y = com.microsoft.QLinearLeakyRelu<alpha = 0.2>(a, s, o, t, z) }""",
    ),
    contrib(
        "softmax",
        """g (uint8[B,4] a) => (uint8[B,4] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04}, uint8 o =
          {100}, float p = {0.00390625}> { y = com.microsoft.QLinearSoftmax<axis = -1, opset = 13>(a, s, z, p,
          o) }""",
    ),
    contrib(
        "joined",
        """g (uint8[B,4] a, uint8[B,2] b) => (uint8[B,6] y) <float s = {0.02}, uint8 z = {128}, float t =
          {0.04}, uint8 o = {100}, float p = {0.00390625}> { y = com.microsoft.QLinearConcat<axis = 1>(t, o,
          a, s, z, b, t, o) }""",
    ),
    contrib(
        "mean of windows",
        """g (uint8[B,2, 6, 6] a) => (uint8[B,2, 3, 3] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04},
          uint8 o = {100}, float p = {0.00390625}> { y = com.microsoft.QLinearAveragePool<kernel_shape = [2,
          2], strides = [2, 2]>(a, s, z, t, o) }""",
    ),
    contrib(
        "mean of windows, channels last",
        """g (uint8[B,6, 6, 2] a) => (uint8[B,3, 3, 2] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04},
          uint8 o = {100}, float p = {0.00390625}> { y = com.microsoft.QLinearAveragePool<kernel_shape = [2,
          2], strides = [2, 2], channels_last = 1>(a, s, z, t, o) }""",
    ),
    contrib(
        "mean of all",
        """g (uint8[B,2, 6, 6] a) => (uint8[B,2, 1, 1] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04},
          uint8 o = {100}, float p = {0.00390625}> { y = com.microsoft.QLinearGlobalAveragePool(a, s, z, t, o)
          }""",
    ),
    contrib(
        "convolution with the channels last",
        """g (uint8[B,5, 5, 2] a, int32[2] c) => (uint8[B,5, 5, 2] y) <float s = {0.02}, uint8 z = {128}, float
          t = {0.04}, uint8 o = {100}, int8[2, 2, 1, 1] w = {3, -20, 40, -7}, float[2] f = {0.1, 0.2}, int8[2]
          i = {0, 0}> { y = com.microsoft.QLinearConv<channels_last = 1>(a, s, z, w, f, i, t, o, c) }""",
    ),
    contrib(
        "there and back",
        """g (float[B,4] a) => (float[B,4] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04}, uint8 o =
          {100}, float p = {0.00390625}> { q = com.microsoft.QuantizeLinear(a, s, z)  y =
          com.microsoft.DequantizeLinear(q, s, z) }""",
    ),
]
LEFT_ALONE = [
    contrib(
        "a softmax over two dims",
        """g (uint8[2, 3, 4] a) => (uint8[2, 3, 4] y) <float s = {0.02}, uint8 z = {128}, float t = {0.04},
          uint8 o = {100}, float p = {0.00390625}> { y = com.microsoft.QLinearSoftmax<axis = 1, opset = 11>(a,
          s, z, p, o) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_plain(CODE, case, atol=1.01)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
