"""SG027: Reshape, Transpose and Reshape in a row."""

from __future__ import annotations

from itertools import permutations, product
from math import prod

import numpy as np
import pytest

from surgery.passes.cleanup.stacked.reshape_around_transpose import shorter
from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG027"
REWRITES = [
    Case(
        "the last Reshape splits a dim",
        """g (float[4,2,3] x) => (float[1,3,2,4] y) <int64[2] a = {8, 3}, int64[4] b = {1, 3, 2, 4}> {
          r = Reshape(x, a)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
        after="""g (float[4,2,3] x) => (float[1,3,2,4] y) <int64[4] a = {1, 2, 4, 3}> {
          r = Reshape(x, a)
          y = Transpose<perm = [0, 3, 1, 2]>(r)
        }""",
    ),
    Case(
        "the last Reshape merges dims that were apart",
        """g (float[4,2,3] x) => (float[24] y) <int64[2] a = {8, 3}, int64[1] b = {24}> {
          r = Reshape(x, a)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
        after="""g (float[4,2,3] x) => (float[24] y) <int64[1] b = {24}> {
          t = Transpose<perm = [2, 0, 1]>(x)
          y = Reshape(t, b)
        }""",
    ),
    Case(
        "the last Reshape drops a dim of one",
        """g (float[1,6,8] x) => (float[2,6,4] y) <int64[4] a = {1, 6, 2, 4}, int64[3] b = {2, 6, 4}> {
          r = Reshape(x, a)
          t = Transpose<perm = [0, 2, 1, 3]>(r)
          y = Reshape(t, b)
        }""",
        after="""g (float[1,6,8] x) => (float[2,6,4] y) <int64[3] a = {6, 2, 4}> {
          r = Reshape(x, a)
          y = Transpose<perm = [1, 0, 2]>(r)
        }""",
    ),
    Case(
        "a Flatten in front",
        """g (float[2,3,4] x) => (float[3,4,2] y) <int64[3] b = {3, 4, 2}> {
          r = Flatten(x)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
        after="""g (float[2,3,4] x) => (float[3,4,2] y) { y = Transpose<perm = [1, 2, 0]>(x) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "it needs all three",
        """g (float[4,6] x) => (float[4,6] y) <int64[2] a = {8, 3}, int64[2] b = {4, 6}> {
          r = Reshape(x, a)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
    ),
    Case(
        "a free dim",
        """g (float[n,2,3] x) => (float[3,k] y) <int64[2] a = {-1, 3}, int64[2] b = {3, -1}> {
          r = Reshape(x, a)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
    ),
    Case(
        "another node reads what is in between",
        """g (float[4,2,3] x) => (float[1,3,2,4] y, float[8,3] z) <int64[2] a = {8, 3}, int64[4] b = {1, 3, 2, 4}> {
          r = Reshape(x, a)
          z = Neg(r)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
    ),
    Case(
        "what is in between is an output",
        """g (float[4,2,3] x) => (float[1,3,2,4] y, float[3,8] t) <int64[2] a = {8, 3}, int64[4] b = {1, 3, 2, 4}> {
          r = Reshape(x, a)
          t = Transpose<perm = [1, 0]>(r)
          y = Reshape(t, b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_every_plan_moves_the_same_elements() -> None:
    """All shapes of 24 elements with at most three dims, in all orders."""
    shapes = [
        dims for rank in (1, 2, 3) for dims in product((1, 2, 3, 4, 6, 8, 12, 24), repeat=rank) if prod(dims) == 24
    ]
    data, plans = np.arange(24), 0
    for source, between, after in product(shapes[::3], shapes, shapes[::2]):
        for order in permutations(range(len(between))):
            plan = shorter(source, between, order, after)
            if plan is None:
                continue
            plans += 1
            shape, axes, reshape_first = plan
            x = data.reshape(source)
            made = x.reshape(shape).transpose(axes) if reshape_first else x.transpose(axes).reshape(shape)
            np.testing.assert_array_equal(made, x.reshape(between).transpose(order).reshape(after))
    assert plans > 1000
