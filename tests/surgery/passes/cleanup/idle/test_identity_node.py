"""SG001: Identity nodes that only rename a tensor."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, stays

CODE = "SG001"
REWRITES = [
    Case(
        "between nodes",
        "g (float[2] x) => (float[2] y) { a = Identity(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "before an output",
        "g (float[2] x) => (float[2] y) { a = Relu(x)  y = Identity(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "a chain",
        """g (float[2] x) => (float[2] y) {
          a = Identity(x)
          b = Identity(a)
          c = Relu(b)
          y = Identity(c)
        }""",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "two outputs of one tensor keep both names",
        "g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x)  y = Identity(a)  z = Identity(a) }",
        after="g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Identity(y) }",
    ),
    Case(
        "inside a branch",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { p = Identity(x)  a = Relu(p) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
        after="""g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
    Case(
        "read by a branch",
        """g (float[2] x, bool c) => (float[2] y) {
          p = Identity(x)
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(p) },
            else_branch = e () => (float[2] b) { b = Neg(p) }
          >
        }""",
        after="""g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
]
LEFT_ALONE = [
    Case("it stands between an input and an output", "g (float[2] x) => (float[2] y) { y = Identity(x) }"),
    Case(
        "a constant is an output",
        """g (float[2] x) => (float[2] y, float[2] z) <float[2] w = {1, 2}> {
          y = Neg(x)
          z = Identity(w)
        }""",
    ),
    Case(
        "a branch returns a tensor of the graph around it",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Identity(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
    Case(
        "it is of another domain",
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[2] x) => (float[2] y) { a = own.Identity(x)  y = Relu(a) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_skipped_nodes_stay() -> None:
    text = "g (float[2] x) => (float[2] y) { [keep] a = Identity(x)  [drop] b = Identity(a)  [r] y = Relu(b) }"
    fixed, _ = surgery.fix_model(parse(text, 17), skip_nodes=frozenset({"keep"}))
    assert [node.name for node in fixed.graph.node] == ["keep", "r"]
