"""SG107: Reductions over axes that are known only at run time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays

CODE = "SG107"
REWRITES = [
    Case(
        "one axis kept",
        "g (float[2,3,4] x, int64[1] a) => (float[p,q,r] y) { y = ReduceMean(x, a) }",
        opset=18,
        inputs={"a": [1]},
    ),
    Case(
        "two axes gone, one negative",
        "g (float[2,3,4] x, int64[2] a) => (float[p] y) { y = ReduceL2<keepdims = 0>(x, a) }",
        opset=18,
        inputs={"a": [-1, 0]},
    ),
    Case(
        "nothing to sum",
        "g (float[2,0,4] x, int64[1] a) => (float[p,q,r] y) { y = ReduceSum(x, a) }",
        opset=18,
        gone=("ReduceSum",),
        inputs={"a": [1]},
    ),
    Case(
        "all axes",
        "g (float[2,3] x, int64[2] a) => (float y) { y = ReduceMax<keepdims = 0>(x, a) }",
        after="g (float[2,3] x, int64[2] a) => (float y) { y = ReduceMax<keepdims = 0>(x) }",
        opset=18,
        inputs={"a": [1, 0]},
    ),
    Case(
        "the logarithm of the sum of exponentials of one large number is that number",
        "g (float[2] x, int64[0] a) => (float[p] y) { y = ReduceLogSumExp<noop_with_empty_axes = 1>(x, a) }",
        opset=18,
        gone=("ReduceLogSumExp",),
        inputs={"a": np.zeros(0, np.int64), "x": [8550, -200]},
    ),
    Case(
        "booleans", "g (bool[2,3] x, int64[1] a) => (bool[p,q] y) { y = ReduceMin(x, a) }", opset=20, inputs={"a": [0]}
    ),
    Case(
        "no axes mean nothing to reduce",
        """g (float[2,3] x, int64[1] a) => (float[p,q] y) {
          y = ReduceSum<noop_with_empty_axes = 1>(x, a)
        }""",
        opset=18,
        inputs={"a": [-1]},
    ),
    Case(
        "a dim of one",
        "g (float[2,1,3] x, int64[2] a) => (float[p] y) { y = ReduceMean<keepdims = 0>(x, a) }",
        opset=18,
        inputs={"a": [1, -1]},
    ),
    Case(
        "largest of integers",
        "g (int32[2,3] x, int64[1] a) => (int32[p] y) { y = ReduceMax<keepdims = 0>(x, a) }",
        opset=18,
        inputs={"a": [0]},
    ),
]
LEFT_ALONE = [
    Case(
        "axes are constant", "g (float[2,3] x) => (float[2,1] y) <int64[1] a = {1}> { y = ReduceSum(x, a) }", opset=18
    ),
    Case("a dim might be zero", "g (float[n,3] x, int64[1] a) => (float[p,q] y) { y = ReduceSum(x, a) }", opset=18),
    Case(
        "how many axes is not known", "g (float[2,3] x, int64[k] a) => (float[p,q] y) { y = ReduceSum(x, a) }", opset=18
    ),
    Case("the rank is unknown", "g (float[] x, int64[1] a) => (float[] y) { y = ReduceSum(x, a) }", opset=18),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_a_mean_of_integers_is_cut_off_once(kind: str) -> None:
    text = f"g ({kind}[2,3,5] x, int64[2] ax) => ({kind}[a,b,c] y) {{ y = ReduceMean(x, ax) }}"
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 5)).astype(kind)
    full = np.full((2, 3, 5), 2**30).astype(kind)
    sets = [{"x": data, "ax": np.array(axes)} for data in (x, full) for axes in ([0, 2], [1, 2], [0, 1])]
    same(text, 18, "SG107", sets, exact=True)
