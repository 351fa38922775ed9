"""SG134: Sequences at positions known only at run time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG134"
REWRITES = [
    Case(
        "read at run time",
        """g (float[2] a, float[2] b, int64 p) => (float[2] y) {
          s = SequenceConstruct(a, b)
          y = SequenceAt(s, p)
        }""",
        gone=("SequenceConstruct", "SequenceAt"),
        inputs={"p": -1},
    ),
]


HEAD = "g (float[2] a, float[2] b, float[2] c, int64 p, int64 q) => (float[2] y) "
VALUES = {name: np.array([place, -place], np.float32) for place, name in enumerate("abc", 1)}


@pytest.mark.parametrize(
    ("body", "positions"),
    [
        ("{ s = SequenceConstruct(a, b, c) y = SequenceAt(s, p) z = Add(p, q) }", [(0, 0), (2, 0), (-1, 0), (-3, 0)]),
        ("{ s = SequenceConstruct(a, b, c) t = SequenceErase(s, p) y = SequenceAt(t, q) }", [(0, 1), (-1, -1), (1, 1)]),
        ("{ s = SequenceConstruct(a, b) t = SequenceInsert(s, c, p) y = SequenceAt(t, q) }", [(0, 0), (2, -1)]),
        ("{ s = SequenceConstruct(a, b) t = SequenceInsert(s, c) u = SequenceErase(t) v = SequenceErase(u, p)"
         " y = SequenceAt(v, q) }", [(0, 0), (1, -1)]),
        ("{ e = SequenceEmpty() s = SequenceInsert(e, a) t = SequenceInsert(s, b, p) y = SequenceAt(t, q) }",
         [(0, 0), (1, 0), (-1, 1)]),
    ],
)  # fmt: skip
def test_elements(body: str, positions: list[tuple[int, int]]) -> None:
    sets = [VALUES | {"p": np.array(p), "q": np.array(q)} for p, q in positions]
    fixed = same(HEAD + body, 17, "SG134", sets, exact=True)
    assert not any("Sequence" in operator for operator in operators(fixed))


@pytest.mark.parametrize("opset", [11, 13])
def test_split_and_read(opset: int) -> None:
    text = (
        "g (float[3,2] x, int64 p) => (float[2] y)"
        " { s = SplitToSequence<axis = 0, keepdims = 0>(x) y = SequenceAt(s, p) }"
    )
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    same(text, opset, "SG134", [{"x": values, "p": np.array(p)} for p in (0, 2, -2)], exact=True)


def test_the_number_of_parts_is_known() -> None:
    text = "g (float[n] x, int64[3] k) => (int64 y) { s = SplitToSequence(x, k) y = SequenceLength(s) }"
    sets = [{"x": np.zeros(6, np.float32), "k": np.array([1, 2, 3])}]
    assert operators(same(text, 12, "SG130", sets, exact=True)) == {"Constant"}


def test_left_alone() -> None:
    other = "g (float[2] a, float[3] b, int64 p) => (float[n] y) { s = SequenceConstruct(a, b) y = SequenceAt(s, p) }"
    left_alone(other, 17, "SG134")
    left_alone(HEAD + "<int64 one = {1}> { s = SequenceConstruct(a, b) y = SequenceAt(s, one) }", 17, "SG134")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
