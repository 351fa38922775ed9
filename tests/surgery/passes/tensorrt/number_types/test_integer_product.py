"""SG113: MatMul of integers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays

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
          t6 = Cast<to = 7>(t5)
          t7 = ReduceSum<keepdims = 0>(t6, t2)
          c = Cast<to = 6>(t7)
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
          t6 = Cast<to = 7>(t5)
          t7 = ReduceSum<keepdims = 0>(t6, t2)
          c = Cast<to = 6>(t7)
        }""",
        opset=13,
    ),
    Case(
        "a free batch of int64",
        "g (int64[N,2,3] a, int64[N,3,4] b) => (int64[N,2,4] c) { c = MatMul(a, b) }",
        opset=13,
        gone=("MatMul",),
    ),
]
LEFT_ALONE = [
    Case(
        "more than 4M products, where a free size counts as 256",
        "g (int64[N,300,10] a, int64[10,60] b) => (int64[N,300,60] c) { c = MatMul(a, b) }",
        opset=13,
    ),
    Case("a vector", "g (int32[3] a, int32[3,2] b) => (int32[2] c) { c = MatMul(a, b) }", opset=13),
    Case("a rank is unknown", "g (int32[] a, int32[3,2] b) => (int32[] c) { c = MatMul(a, b) }", opset=13),
    Case(
        "floating point has a layer", "g (float[2,3] a, float[3,2] b) => (float[2,2] c) { c = MatMul(a, b) }", opset=13
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_products_and_sums_wrap_around(kind: str) -> None:
    text = f"g ({kind}[N,3] a, {kind}[3,1] b) => ({kind}[N,1] c) {{ c = MatMul(a, b) }}"
    top = np.iinfo(kind).max
    same(text, 13, CODE, [{"a": [[top, top - 1, 1], [top, -top, 5]], "b": [[1], [3], [top // 2]]}], exact=True)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
