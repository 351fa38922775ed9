"""SG194: ConvTranspose with both a stride and a dilation."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG194"
REWRITES = [
    Case(
        "in groups, with pads",
        """g (float[N,2,5,6] x) => (float[N,2,H,W] y) <float[2,1,2,2] w = {1, -2, 3, 4, 5, 6, -7, 8}> { y =
          ConvTranspose<dilations = [2, 3], group = 2, pads = [0, 1, 1, 0], strides = [1, 2], kernel_shape =
          [2, 2]>(x, w) }""",
    ),
    Case(
        "with a bias and padding of the output",
        """g (float[1,2,5,6] x, float[1] b) => (float[1,1,H,W] y) <float[2,1,2,2] w = {1, -2, 3, 4, 5, 6, -7,
          8}> { y = ConvTranspose<dilations = [2, 2], strides = [2, 2], output_padding = [1, 0]>(x, w, b) }""",
    ),
    Case(
        "a computed kernel",
        """g (float[1,2,5,6] x, float[2,1,2,3] v) => (float[1,1,H,W] y) { w = Neg(v)  y = ConvTranspose<strides =
          [2, 1], dilations = [3, 2]>(x, w) }""",
    ),
    Case(
        "a quantized kernel",
        """g (float[1,2,5,6] x) => (float[1,2,H,W] y) <int8[2,2,1,2] q = {1, -2, 3, 4, 5, 6, -7, 8}, float[2] s = {0.5,
          0.25}, int8[2] z = {0, 0}> { w = DequantizeLinear<axis = 1>(q, s, z)  y = ConvTranspose<strides = [2, 2],
          dilations = [2, 2]>(x, w) }""",
    ),
    Case(
        "a kernel that is quantized around another number",
        """g (float[1,2,5] x) => (float[1,1,L] y) <int8[2,1,3] q = {1, -2, 3, 4, 5, 6}, float s = {0.5}, int8 z = {3}> {
          w = DequantizeLinear(q, s, z)  y = ConvTranspose<strides = [2], dilations = [2]>(x, w) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "no stride",
        """g (float[1,2,5,6] x) => (float[1,1,H,W] y) <float[2,1,2,2] w = {1, -2, 3, 4, 5, 6, -7, 8}> { y =
          ConvTranspose<dilations = [2, 2]>(x, w) }""",
    ),
    Case(
        "no dilation",
        """g (float[1,2,5,6] x) => (float[1,1,H,W] y) <float[2,1,2,2] w = {1, -2, 3, 4, 5, 6, -7, 8}> { y =
          ConvTranspose<strides = [2, 2]>(x, w) }""",
    ),
    Case(
        "a kernel of unknown size",
        """g (float[1,2,5,6] x, float[2,1,2,K] w) => (float[1,1,H,W] y) { y = ConvTranspose<strides = [2, 2],
          dilations = [2, 2]>(x, w) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
