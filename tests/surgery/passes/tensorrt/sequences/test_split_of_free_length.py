"""SG135: single pieces of a tensor that is split along an axis of free length."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG135"
SEQUENCES = ("SplitToSequence", "SequenceAt", "SequenceLength")
REWRITES = [
    Case(
        "unbind along a free batch",
        """g (float[n,4] x) => (float[4] y) <int64 i = {1}> {
          s = SplitToSequence<axis = 0, keepdims = 0>(x)
          y = SequenceAt(s, i)
        }""",
        gone=SEQUENCES,
    ),
    Case(
        "unbind with a size that is left out",
        """g (float[n,4] x) => (float[4] y) <int64 i = {1}> {
          s = SplitToSequence<axis = 0, keepdims = 0>(x, "")
          y = SequenceAt(s, i)
        }""",
        gone=SEQUENCES,
    ),
    Case(
        "pieces that keep their dim, from the end, and how many there are",
        """g (float[2,n,4] x, int64 i) => (float[2,1,4] y, int64 count) {
          s = SplitToSequence<axis = -2>(x)
          y = SequenceAt(s, i)
          count = SequenceLength(s)
        }""",
        inputs={"i": -1},
        gone=SEQUENCES,
    ),
    Case(
        "pieces of one by their size",
        """g (float[n,4] x) => (float[1,4] y) <int64 one = {1}, int64 i = {2}> {
          s = SplitToSequence<axis = 0>(x, one)
          y = SequenceAt(s, i)
        }""",
        gone=SEQUENCES,
    ),
    Case(
        "pieces of two from both ends of a free length",
        """g (float[n,4] x) => (float[p,4] y, float[q,4] z, int64 count)
        <int64 two = {2}, int64 i = {0}, int64 j = {-1}> {
          s = SplitToSequence<axis = 0>(x, two)
          y = SequenceAt(s, i)
          z = SequenceAt(s, j)
          count = SequenceLength(s)
        }""",
        gone=SEQUENCES,
    ),
    Case(
        "chunk along a free dim, whose pieces are half of it",
        """g (float[n,4] x) => (float[p,4] y, float[q,4] z) <int64 two = {2}, int64 i = {0}, int64 j = {1}> {
          shape = Shape(x)
          length = Gather(shape, i)
          more = Add(length, j)
          half = Div(more, two)
          s = SplitToSequence<axis = 0>(x, half)
          y = SequenceAt(s, i)
          z = SequenceAt(s, j)
        }""",
        gone=SEQUENCES,
    ),
    Case(
        "sizes known at run time",
        """g (float[n,6] x, int64[2] sizes, int64 k) => (float[n,p] y, float[n,q] z) <int64 i = {1}> {
          s = SplitToSequence<axis = 1>(x, sizes)
          y = SequenceAt(s, i)
          z = SequenceAt(s, k)
        }""",
        inputs={"sizes": [2, 4], "k": -2},
        gone=SEQUENCES,
    ),
    Case(
        "all pieces are put together again",
        """g (float[n,4] x) => (float[n,4] y) <int64 two = {2}> {
          s = SplitToSequence<axis = 0>(x, two)
          y = ConcatFromSequence<axis = -2>(s)
        }""",
        gone=(*SEQUENCES, "ConcatFromSequence"),
    ),
    Case(
        "all pieces are stacked along another axis",
        """g (float[2,n,4] x) => (float[2,4,n] y) {
          s = SplitToSequence<axis = 1, keepdims = 0>(x)
          y = ConcatFromSequence<axis = -1, new_axis = 1>(s)
        }""",
        gone=(*SEQUENCES, "ConcatFromSequence"),
    ),
]
LEFT_ALONE = [
    Case(
        "pieces are put together along another axis",
        """g (float[n,4] x) => (float[1,m] y) {
          s = SplitToSequence<axis = 0>(x)
          y = ConcatFromSequence<axis = 1>(s)
        }""",
    ),
    Case(
        "a size beside keepdims = 0",
        """g (float[n,4] x) => (float[m,4] y) <int64 one = {1}, int64 i = {0}> {
          s = SplitToSequence<axis = 0, keepdims = 0>(x, one)
          y = SequenceAt(s, i)
        }""",
    ),
    Case(
        "a piece is taken out before",
        """g (float[n,4] x) => (float[4] y) <int64 i = {0}> {
          s = SplitToSequence<axis = 0, keepdims = 0>(x)
          r = SequenceErase(s, i)
          y = SequenceAt(r, i)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_pieces_at_every_length(length: int) -> None:
    text = """g (float[n,4] x, int64 size, int64 at) => (float[m,4] y, int64 count) {
      s = SplitToSequence<axis = 0>(x, size)
      y = SequenceAt(s, at)
      count = SequenceLength(s)
    }"""
    data = np.random.default_rng(0).random((length, 4))
    places = [(size, at) for size in (1, 2, 3) for at in (0, -1)]
    same(text, 17, CODE, [{"x": data, "size": size, "at": at} for size, at in places], exact=True)


# A position that is an input and decides on shapes needs values in the profile.
@pytest.mark.parametrize("case", [case for case in REWRITES if "k" not in case.inputs], ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
