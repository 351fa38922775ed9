"""SG113: MatMul of integers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG113"
REWRITES = [
    Case(
        "in a batch",
        "g (int32[2,2,3] a, int32[3,4] b) => (int32[2,2,4] c) { c = MatMul(a, b) }",
        after="""g (int32[2,2,3] a, int32[3,4] b) => (int32[2,2,4] c)
        <int64[1] t0 = {3}, int64[1] t1 = {0}, int64[1] t2 = {2}> {
          t3 = Unsqueeze(a, t0)
          t4 = Unsqueeze(b, t1)
          t5 = Mul(t3, t4)
          c = ReduceSum<keepdims = 0>(t5, t2)
        }""",
        opset=13,
        gone=("MatMul",),
    ),
    Case(
        "a row times a column",
        "g (int32[1,3] a, int32[3,1] b) => (int32[1,1] c) { c = MatMul(a, b) }",
        after="""g (int32[1,3] a, int32[3,1] b) => (int32[1,1] c)
        <int64[1] t0 = {2}, int64[1] t1 = {0}, int64[1] t2 = {1}> {
          t3 = Unsqueeze(a, t0)
          t4 = Unsqueeze(b, t1)
          t5 = Mul(t3, t4)
          c = ReduceSum<keepdims = 0>(t5, t2)
        }""",
        opset=13,
    ),
]
LEFT_ALONE = [
    Case(
        "onnxruntime sums int64 in floating point",
        "g (int64[2,3] a, int64[3,4] b) => (int64[2,4] c) { c = MatMul(a, b) }",
        opset=13,
    ),
    Case("a vector", "g (int32[3] a, int32[3,2] b) => (int32[2] c) { c = MatMul(a, b) }", opset=13),
    Case("a size is unknown", "g (int32[n,3] a, int32[3,2] b) => (int32[n,2] c) { c = MatMul(a, b) }", opset=13),
    Case(
        "floating point has a layer", "g (float[2,3] a, float[3,2] b) => (float[2,2] c) { c = MatMul(a, b) }", opset=13
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
