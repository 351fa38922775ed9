"""SG195: loops that append to a sequence."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG195"
REWRITES = [
    Case(
        "stacked in front",
        """g (float[T,8] x, float[8] h) => (float[A,B] y, float[8] hn) <bool on = {1}> { n1 = Shape<start = 0,
          end = 1>(x) n = Squeeze(n1) e = SequenceEmpty<dtype = 1>() hn, q = Loop(n, on, h, e)<body = b (int64
          i, bool c, float[8] hi, seq(float[8]) s) => (bool co, float[8] a, seq(float[8]) so) { t =
          Gather<axis = 0>(x, i) u = Add(t, hi) a = Tanh(u) so = SequenceInsert(s, a) co = Identity(c) }> y =
          ConcatFromSequence<axis = 0, new_axis = 1>(q) }""",
    ),
    Case(
        "stacked behind",
        """g (float[T,8] x, float[8] h) => (float[A,B] y, float[8] hn) <bool on = {1}> { n1 = Shape<start = 0,
          end = 1>(x) n = Squeeze(n1) e = SequenceEmpty<dtype = 1>() hn, q = Loop(n, on, h, e)<body = b (int64
          i, bool c, float[8] hi, seq(float[8]) s) => (bool co, float[8] a, seq(float[8]) so) { t =
          Gather<axis = 0>(x, i) u = Add(t, hi) a = Tanh(u) so = SequenceInsert(s, a) co = Identity(c) }> y =
          ConcatFromSequence<axis = -1, new_axis = 1>(q) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "joined along a dim",
        """g (float[T,8] x, float[8] h) => (float[A] y, float[8] hn) <bool on = {1}> { n1 = Shape<start = 0,
          end = 1>(x) n = Squeeze(n1) e = SequenceEmpty<dtype = 1>() hn, q = Loop(n, on, h, e)<body = b (int64
          i, bool c, float[8] hi, seq(float[8]) s) => (bool co, float[8] a, seq(float[8]) so) { t =
          Gather<axis = 0>(x, i) u = Add(t, hi) a = Tanh(u) so = SequenceInsert(s, a) co = Identity(c) }> y =
          ConcatFromSequence<axis = 0, new_axis = 0>(q) }""",
    ),
    Case(
        "the sequence has an element before",
        """g (float[T,8] x, float[8] h) => (float[A,B] y, float[8] hn) <bool on = {1}> { n1 = Shape<start = 0,
          end = 1>(x) n = Squeeze(n1) e = SequenceConstruct(h) hn, q = Loop(n, on, h, e)<body = b (int64 i,
          bool c, float[8] hi, seq(float[8]) s) => (bool co, float[8] a, seq(float[8]) so) { t = Gather<axis =
          0>(x, i) u = Add(t, hi) a = Tanh(u) so = SequenceInsert(s, a) co = Identity(c) }> y =
          ConcatFromSequence<axis = 0, new_axis = 1>(q) }""",
    ),
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
