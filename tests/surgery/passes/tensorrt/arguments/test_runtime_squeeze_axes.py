"""SG108: Squeeze and Unsqueeze with axes that are known only at run time, and Squeeze without axes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays

CODE = "SG108"
REWRITES = [
    Case(
        "unsqueeze unsorted",
        "g (float[2,3] x, int64[2] a) => (float[p,q,r,s] y) { y = Unsqueeze(x, a) }",
        inputs={"a": [-1, 1]},
    ),
    Case(
        "squeeze",
        "g (float[2,1,3] x, int64[1] a) => (float[p,q] y) { y = Squeeze(x, a) }",
        gone=("Squeeze",),
        inputs={"a": [-2]},
    ),
]
LEFT_ALONE = [
    Case("axes are constant", "g (float[2] x) => (float[1,2] y) <int64[1] a = {0}> { y = Unsqueeze(x, a) }"),
    Case("how many axes is not known", "g (float[2] x, int64[k] a) => (float[p,q] y) { y = Unsqueeze(x, a) }"),
    Case("Squeeze without axes of an unknown size", "g (float[1,n] x) => (float[] y) { y = Squeeze(x) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_dims_of_zero_stay_zero(shape: tuple[int, int]) -> None:
    text = (
        "g (float[N,M] x, int64[1] ax) => (float[a,b,c] y, float[d,e] z) { y = Unsqueeze(x, ax)  z = Squeeze(y, ax) }"
    )
    sets = [{"x": np.ones(shape, np.float32), "ax": np.array([axis])} for axis in (0, 1, 2, -1)]
    same(text, 18, "SG108", sets, exact=True)
