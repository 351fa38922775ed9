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
LOOP = """g (float[N,3] x, int64[K] dims) => (OUT) <bool on = {1}, int64 two = {2}> {
  n = Size(dims)
  e = SequenceEmpty<dtype = 1>()
  q = Loop(n, on, e) <body = b (int64 i, bool c, seq(float) s) => (bool d, seq(float) r) {
    d = Identity(c)
    k = Cast<to = 1>(i)
    v = Mul(x, k)
    w = Reshape(x, dims)
    r = SequenceInsert(s, v) }>
  READ }"""


def loop(out: str, read: str, element: str = "v") -> str:
    """A loop that appends one element an iteration."""
    return LOOP.replace("OUT", out).replace("READ", read).replace("(s, v)", f"(s, {element})")


INPUTS = {"dims": [-1, 3, 1]}
JOINED = "y = ConcatFromSequence<axis = -1>(q)"
REWRITES += [
    Case("joined along a dim of known length", loop("float[N,M] y", JOINED), inputs=INPUTS),
    Case(
        "joined along the first dim",
        loop("float[M,8] y", "y = ConcatFromSequence<axis = 0>(q)").replace("[N,3]", "[2,8]"),
        inputs=INPUTS | {"dims": [-1]},
    ),
    Case(
        "joined, counted and read",
        loop("float[N,M] y, int64 m, float[N,3] z", f"{JOINED} m = SequenceLength(q) z = SequenceAt(q, two)"),
        inputs=INPUTS,
    ),
    Case(
        "read from the end",
        loop("float[2,3] y", "y = SequenceAt(q, m)").replace("[N,3]", "[2,3]").replace("two = {2}", "m = {-1}"),
        inputs=INPUTS,
    ),
    Case(
        "a tensor from outside the loop",
        loop("float[N,T,3] y", "y = ConcatFromSequence<axis = 1, new_axis = 1>(q)", "x"),
        inputs=INPUTS,
    ),
    Case(
        "elements of unknown rank, stacked in front",
        loop("float[T,A,B,C] y", "y = ConcatFromSequence<axis = 0, new_axis = 1>(q)", "w"),
        inputs=INPUTS,
    ),
]
LEFT_ALONE = [
    Case("joined along a dim that may change", loop("y", "y = ConcatFromSequence<axis = 0>(q)")),
    Case("elements that may differ in size are counted", loop("y", "y = SequenceLength(q)")),
    Case(
        "elements of unknown rank, stacked elsewhere",
        loop("y", "y = ConcatFromSequence<axis = 1, new_axis = 1>(q)", "w"),
    ),
    Case(
        "the sequence is read in a branch too",
        loop(
            "y, z",
            """y = ConcatFromSequence<axis = 0, new_axis = 1>(q)
      z = If(on) <then_branch = p () => (m) { m = SequenceLength(q) }, else_branch = o () => (l) { l = Size(x) }>""",
        )
        .replace("<bool on = {1}, int64", "<int64")
        .replace("int64[K] dims", "int64[K] dims, bool on"),
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


# A shape that is an input needs values in the profile.
@pytest.mark.parametrize("case", [case for case in REWRITES if "unknown rank" not in case.name], ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
