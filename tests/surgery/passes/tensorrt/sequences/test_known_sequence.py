"""SG130: Sequences whose elements are known tensors."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG130"
REWRITES = [
    Case(
        "split where only the dim of the parts is known",
        """g (float[N,5,2] x) => (float[N,2,2] y) <int64[2] k = {3, 2}, int64 i = {1}> {
          s = SplitToSequence<axis = 1>(x, k)
          y = SequenceAt(s, i)
        }""",
        gone=("SplitToSequence", "SequenceAt"),
    ),
    Case(
        "parts of one length where only their dim is known",
        """g (float[N,5,2] x) => (float[N,T,2] y) <int64 k = {2}, int64 i = {0}> {
          s = SplitToSequence<axis = -2>(x, k)
          t = SequenceErase(s, i)
          y = ConcatFromSequence<axis = 1>(t)
        }""",
        gone=("SplitToSequence", "SequenceErase"),
    ),
    Case(
        "constructed and read",
        """g (float[2] a, float[2] b) => (float[2] y) <int64 k = {-1}> {
          s = SequenceConstruct(a, b)
          y = SequenceAt(s, k)
        }""",
        after="g (float[2] a, float[2] b) => (float[2] y) { y = Identity(b) }",
        gone=("SequenceConstruct", "SequenceAt"),
    ),
    Case(
        "split, inserted and stacked",
        """g (float[2,3] x, float[1,3] z) => (float[3,1,3] y) <int64 k = {1}> {
          s = SplitToSequence<axis = 0>(x, k)
          t = SequenceInsert(s, z, k)
          y = ConcatFromSequence<axis = 0, new_axis = 1>(t)
        }""",
        after="""g (float[2,3] x, float[1,3] z) => (float[3,1,3] y)
        <int64[2] t0 = {1, 1}, int64[1] t1 = {0}, int64[1] t2 = {0}, int64[1] t3 = {0}> {
          t4, t5 = Split<axis = 0>(x, t0)
          t6 = Unsqueeze(t4, t1)
          t7 = Unsqueeze(z, t2)
          t8 = Unsqueeze(t5, t3)
          y = Concat<axis = 0>(t6, t7, t8)
        }""",
        gone=("SplitToSequence", "SequenceInsert", "ConcatFromSequence"),
    ),
    Case(
        "inserted before the last, erased from the back",
        """g (float[2] a, float[2] b, float[2] c) => (float[4] y) <int64 k = {-1}, int64 m = {-3}> {
          s = SequenceConstruct(a, b)
          t = SequenceInsert(s, c, k)
          u = SequenceErase(t, m)
          y = ConcatFromSequence<axis = 0>(u)
        }""",
        after="g (float[2] a, float[2] b, float[2] c) => (float[4] y) { y = Concat<axis = 0>(c, b) }",
        gone=("SequenceErase",),
    ),
    Case(
        "the length",
        """g (float[2] a, float[2] b) => (int64 y) {
          s = SequenceConstruct(a, b)
          y = SequenceLength(s)
        }""",
        after="g (float[2] a, float[2] b) => (int64 y) <int64 t0 = {2}> { y = Identity(t0) }",
    ),
    Case(
        "empty, inserted at the end",
        """g (float[2] a, float[3] b) => (float[5] y) {
          e = SequenceEmpty()
          s = SequenceInsert(e, a)
          t = SequenceInsert(s, b)
          y = ConcatFromSequence<axis = 0>(t)
        }""",
        after="g (float[2] a, float[3] b) => (float[5] y) { y = Concat<axis = 0>(a, b) }",
    ),
    Case(
        "the last is erased",
        """g (float[2] a, float[3] b) => (float[2] y) <int64 k = {0}> {
          s = SequenceConstruct(a, b)
          t = SequenceErase(s)
          y = SequenceAt(t, k)
        }""",
        after="g (float[2] a, float[3] b) => (float[2] y) { y = Identity(a) }",
    ),
    Case(
        "inserted before the first",
        """g (float[2] a, float[3] b) => (float[5] y) <int64 k = {0}> {
          s = SequenceConstruct(a)
          t = SequenceInsert(s, b, k)
          y = ConcatFromSequence<axis = 0>(t)
        }""",
        after="g (float[2] a, float[3] b) => (float[5] y) { y = Concat<axis = 0>(b, a) }",
    ),
    Case(
        "through an Identity, at a negative position",
        """g (float[2] a, float[3] b) => (float[2] y) <int64 k = {-2}> {
          s = SequenceConstruct(a, b)
          t = Identity(s)
          y = SequenceAt(t, k)
        }""",
        after="g (float[2] a, float[3] b) => (float[2] y) { y = Identity(a) }",
    ),
    Case(
        "split by given sizes",
        """g (float[5] x) => (float[3] y) <int64[2] z = {2, 3}, int64 k = {1}> {
          s = SplitToSequence<axis = 0>(x, z)
          y = SequenceAt(s, k)
        }""",
        after="""g (float[5] x) => (float[3] y) <int64[2] t0 = {2, 3}> {
          t1, t2 = Split<axis = 0>(x, t0)
          y = Identity(t2)
        }""",
        gone=("SplitToSequence", "SequenceAt"),
    ),
]
LEFT_ALONE = [
    Case(
        "the position is not known",
        """g (float[2] a, float[2] b, int64 k) => (float[2] y) {
          s = SequenceConstruct(a, b)
          y = SequenceAt(s, k)
        }""",
    ),
    *(
        Case(
            "onnxruntime drops the dim that ONNX keeps",
            f"""g (float[4,2] x) => (float[2] y) <{sizes}, int64 k = {{-1}}> {{
              s = SplitToSequence<axis = 0, keepdims = 0>(x, z)
              y = SequenceAt(s, k)
            }}""",
        )
        for sizes in ("int64 z = {1}", "int64[4] z = {1, 1, 1, 1}")
    ),
    Case("the sequence is an input", "g (seq(float[2]) s) => (float[2] y) <int64 k = {0}> { y = SequenceAt(s, k) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
