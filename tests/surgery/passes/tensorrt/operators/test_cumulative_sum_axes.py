"""SG180: cumulative sums over several axes or in both directions."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, mends_fault, not_at_work, parse

CODE = "SG180"
TARGET = "tensorrt-11"
REWRITES = [
    Case(
        "axes",
        "g (float[2,3,4] x) => (float[2,3,4] a, float[2,3,4] b) { zero = Constant<value = int64 {0}>()"
        " last = Constant<value = int64 {-1}>() a = CumSum(x, zero) b = CumSum(x, last) }",
        opset=17,
        inputs={"x": [[[1.5, 2, 3, 0.1]] * 3] * 2},
    ),
    Case(
        "directions",
        "g (float[5] x) => (float[5] a, float[5] b) { zero = Constant<value = int64 {0}>()"
        " a = CumSum(x, zero) b = CumSum<reverse = 1>(x, zero) }",
        opset=17,
        inputs={"x": [0.1, 0.2, 0.3, 1e6, 0.7]},
    ),
    Case(
        "exclusive and free dims",
        "g (float[n,3] x) => (float[n,3] a, float[n,3] b) { zero = Constant<value = int64 {0}>()"
        " one = Constant<value = int64 {1}>()"
        " a = CumSum(x, zero) b = CumSum<reverse = 1, exclusive = 1>(x, one) }",
        opset=17,
        inputs={"x": [[1, 2, 3], [4, 5, 6]]},
    ),
]
LEFT_ALONE = [
    Case(
        "one axis, spelled twice",
        "g (float[2,3] x) => (float[2,3] a, float[2,3] b) { one = Constant<value = int64 {1}>()"
        " last = Constant<value = int64 {-1}>() a = CumSum(x, one) y = Neg(x) b = CumSum(y, last) }",
        opset=17,
    ),
    Case(
        "axis that is fed",
        "g (float[2,3] x, int64 k) => (float[2,3] a, float[2,3] b) { zero = Constant<value = int64 {0}>()"
        " a = CumSum(x, zero) b = CumSum(x, k) }",
        opset=17,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    mends_fault(CODE, case, TARGET)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    not_at_work(CODE, parse(case.text, case.opset), TARGET)


def test_versions_without_the_fault_keep_it() -> None:
    not_at_work(CODE, parse(REWRITES[0].text, REWRITES[0].opset), "tensorrt-rtx", "onnxruntime", "tensorrt-10.7")
