"""SG126: Pooling with dilations, with indices, or with a norm other than 1 and 2."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG126"
REWRITES = [
    Case(
        "dilated maximum",
        """g (float[1,1,5,6] x) => (float[1,1,3,4] y) {
          y = MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(x)
        }""",
        opset=12,
        gone=("MaxPool",),
    ),
    Case(
        "dilated mean with pads",
        """g (float[1,1,5,5] x) => (float[1,1,a,b] y) {
          y = AveragePool<
            kernel_shape = [2, 2], dilations = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1, strides = [2, 2]
          >(x)
        }""",
        opset=19,
        gone=("AveragePool",),
    ),
    Case(
        "indices with pads",
        """g (float[1,2,4,4] x) => (float[1,2,3,3] y, int64[1,2,3,3] i) {
          y, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2], pads = [1, 1, 1, 1]>(x)
        }""",
        opset=12,
        gone=("MaxPool",),
    ),
    Case(
        "norm of order three",
        """g (float[1,1,4,4] x) => (float[1,1,2,2] y) {
          y = LpPool<kernel_shape = [2, 2], strides = [2, 2], p = 3>(x)
        }""",
        opset=18,
        gone=("LpPool",),
    ),
    Case(
        "mean over pads that count",
        """g (float[1,1,4,4] x) => (float[1,1,4,4] y) {
          y = AveragePool<kernel_shape = [2, 2], dilations = [2, 2], pads = [1, 1, 1, 1], count_include_pad = 1>(x)
        }""",
        opset=19,
    ),
    Case(
        "one dim",
        """g (float[1,1,6] x) => (float[1,1,3] y) {
          y = MaxPool<kernel_shape = [2], dilations = [3]>(x)
        }""",
        opset=12,
    ),
    Case(
        "indices column by column",
        """g (float[1,1,3,3] x) => (float[1,1,2,2] y, int64[1,1,2,2] i) {
          y, i = MaxPool<kernel_shape = [2, 2], storage_order = 1>(x)
        }""",
        opset=12,
    ),
]
LEFT_ALONE = [
    Case(
        "the target pools like that",
        """g (float[1,1,4,4] x) => (float[1,1,2,2] y) {
          y = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)
        }""",
        opset=12,
    ),
    Case(
        "sizes are not known",
        """g (float[1,1,n,4] x) => (float[1,1,m,2] y) {
          y = MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(x)
        }""",
        opset=12,
    ),
    Case(
        "before opset 10",
        """g (float[1,1,4,4] x) => (float[1,1,3,3] y, int64[1,1,3,3] i) {
          y, i = MaxPool<kernel_shape = [2, 2]>(x)
        }""",
        opset=8,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
