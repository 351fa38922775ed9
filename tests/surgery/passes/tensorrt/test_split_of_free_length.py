"""SG135: single pieces of a tensor that is split along an axis of free length."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

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
]
LEFT_ALONE = [
    Case(
        "pieces of two",
        """g (float[n,4] x) => (float[m,4] y) <int64 two = {2}, int64 i = {0}> {
          s = SplitToSequence<axis = 0>(x, two)
          y = SequenceAt(s, i)
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


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
