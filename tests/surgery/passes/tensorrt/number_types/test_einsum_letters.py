"""SG191: Einsum with upper-case letters."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.passes.tensorrt.number_types.einsum_letters import lower_case
from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG191"
REWRITES = [
    Case(
        "attention",
        """g (float[2,4,3] a, float[2,5,3] b) => (float[2,4,5] y) { y = Einsum<equation = "BTC,BSC->BTS">(a, b)
          }""",
    ),
    Case(
        "both cases",
        """g (float[2,4,3] a, float[2,3,5] b) => (float[2,4,5] y) { y = Einsum<equation = "abA, aAc -> abc">(a,
          b) }""",
    ),
]
LEFT_ALONE = [
    Case("lower case", 'g (float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation = "ij,jk->ik">(a, b) }'),
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


def test_a_result_that_is_not_written_down_has_the_letters_in_the_order_of_the_alphabet() -> None:
    left, right = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(np.einsum(lower_case("aB,BA"), left, right), np.einsum("aB,BA", left, right))


def test_more_letters_than_the_alphabet_has_stay() -> None:
    assert lower_case("abcdefghijklmnopqrstuvwxyzA->A") == ""
