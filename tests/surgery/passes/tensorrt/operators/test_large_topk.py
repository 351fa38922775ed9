"""SG148: TopK of more than 3840 elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, operators, same, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG148"
NUMBERS = np.random.default_rng(0)
TIES = NUMBERS.integers(0, 50, (2, 6000))
REWRITES = [
    Case(
        "many equal elements",
        """g (float[2,6000] x) => (float[2,5000] v, int64[2,5000] i) <int64[1] k = {5000}> { v, i = TopK(x, k) }""",
        inputs={"x": TIES},
    ),
    Case(
        "the smallest, all of them, of integers",
        """g (int64[2,6000] x) => (int64[2,6000] v, int64[2,6000] i) <int64[1] k = {6000}> {
          v, i = TopK<largest = 0>(x, k) }""",
        inputs={"x": TIES},
    ),
    Case(
        "three blocks along the first axis",
        """g (float[8000,B] x) => (float[7700,B] v, int64[7700,B] i) <int64[1] k = {7700}> {
          v, i = TopK<axis = 0>(x, k) }""",
        inputs={"x": NUMBERS.integers(0, 3000, (8000, 2))},
    ),
    Case(
        "infinite elements",
        """g (float[4000] x) => (float[4000] v, int64[4000] i) <int64[1] k = {4000}> { v, i = TopK(x, k) }""",
        inputs={"x": np.where(np.arange(4000) % 3 == 0, -np.inf, np.where(np.arange(4000) % 7, 1, np.inf))},
    ),
    Case(
        "free sizes",
        """g (float[B,N] x) => (float[B,4000] v, int64[B,4000] i) <int64[1] k = {4000}> { v, i = TopK(x, k) }""",
        inputs={"x": TIES[:, :4500]},
    ),
]
LEFT_ALONE = [
    Case("few", "g (float[5000] x) => (float[3840] v, int64[3840] i) <int64[1] k = {3840}> { v, i = TopK(x, k) }"),
    Case("a computed number", "g (float[5000] x, int64[1] k) => (float[K] v, int64[K] i) { v, i = TopK(x, k) }"),
    Case(
        "without order",
        """g (float[5000] x) => (float[4000] v, int64[4000] i) <int64[1] k = {4000}> {
          v, i = TopK<sorted = 0>(x, k) }""",
    ),
    Case(
        "more than 16 blocks",
        """g (float[70000] x) => (float[61441] v, int64[61441] i) <int64[1] k = {61441}> { v, i = TopK(x, k) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_same_values_and_places(case: Case) -> None:
    sets: list[dict[str, Any]] = [dict(case.inputs)]
    fixed = same(case.text, case.opset, CODE, sets, exact=True)
    assert "ScatterElements" in operators(fixed)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
