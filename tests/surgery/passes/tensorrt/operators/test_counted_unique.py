"""SG149: Unique of which only the number of values is read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, operators, same, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG149"
NUMBERS = np.random.default_rng(0)
REWRITES = [
    Case(
        "shape of the values",
        "g (int64[50] x) => (int64[1] n) { u = Unique(x) n = Shape(u) }",
        inputs={"x": NUMBERS.integers(-5, 5, 50)},
    ),
    Case(
        "number of the counts, of several dims",
        "g (float[4,9] x) => (int64 n) { u, i, r, c = Unique<sorted = 0>(x) n = Size(c) }",
        inputs={"x": NUMBERS.integers(-2, 2, (4, 9))},
    ),
    Case(
        "both zeros are one value",
        "g (float[4] x) => (int64[1] n) { u = Unique(x) n = Shape(u) }",
        inputs={"x": [0.0, -0.0, np.inf, -np.inf]},
    ),
    Case(
        "it sizes a tensor",
        "g (int64[N] x) => (float[n] y) { u = Unique(x) n = Shape(u) y = ConstantOfShape(n) }",
        inputs={"x": NUMBERS.integers(-5, 5, 30)},
    ),
    Case(
        "the whole shape by its places",
        "g (int64[N] x) => (int64[1] n) { u = Unique(x) n = Shape<start = 0, end = 1>(u) }",
        inputs={"x": NUMBERS.integers(-5, 5, 30)},
    ),
    Case(
        "more elements than TensorRT sorts at once",
        "g (int64[4000] x) => (int64 n) { u = Unique(x) n = Size(u) }",
        inputs={"x": NUMBERS.integers(-1500, 1500, 4000)},
    ),
]
LEFT_ALONE = [
    Case("the values are read", "g (int64[50] x) => (int64[n] u, int64[1] n) { u = Unique(x) n = Shape(u) }"),
    Case("an axis", "g (int64[5,2] x) => (int64[2] n) { u = Unique<axis = 0>(x) n = Shape(u) }"),
    Case("a part of the shape", "g (int64[5] x) => (int64[m] n) { u = Unique(x) n = Shape<start = 1>(u) }"),
    Case("the places of all elements", "g (int64[5] x) => (int64 n) { u, i, r = Unique(x) n = Size(r) }"),
    Case("more than large-topk takes", "g (int64[61441] x) => (int64[1] n) { u = Unique(x) n = Shape(u) }"),
    Case("eight bits", "g (int8[5] x) => (int64[1] n) { u = Unique(x) n = Shape(u) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_counts_the_same_values(case: Case) -> None:
    fixed = same(case.text, case.opset, CODE, [dict(case.inputs)], exact=True)
    assert "Unique" not in operators(fixed)


@pytest.mark.parametrize("kind", ["int64", "float"])
def test_nothing_has_no_values(kind: str) -> None:
    same(
        f"g ({kind}[N] x) => (int64[1] n) {{ u = Unique(x) n = Shape(u) }}", 17, CODE, [{"x": np.zeros(0)}], exact=True
    )


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
