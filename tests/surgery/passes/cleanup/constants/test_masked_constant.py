"""SG029: a mask that is cast to numbers to be multiplied by a constant."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, run, stays

CODE = "SG029"
REWRITES = [
    Case(
        "a row for each mask",
        """g (bool[n,1] m) => (float[n,2] y) <float[1,2] c = {0.5, 2}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
        after="g (bool[n,1] m) => (float[n,2] y) <float[1,2] c = {0.5, 2}, float z = {0}> { y = Where(m, c, z) }",
    ),
    Case(
        "the constant comes first",
        """g (bool[n] m) => (int64[n] y) <int64 c = {-3}> {
          a = Cast<to = 7>(m)
          y = Mul(c, a)
        }""",
        after="g (bool[n] m) => (int64[n] y) <int64 c = {-3}, int64 z = {0}> { y = Where(m, c, z) }",
    ),
]
LEFT_ALONE = [
    Case(
        "a constant of -0",
        """g (bool[n] m) => (float[n] y) <float[2] c = {1, -0.0}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
        inputs={"m": np.array([True, False])},
    ),
    Case(
        "an infinite constant",
        """g (bool[n] m) => (float[n] y) <float c = {inf}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
    ),
    Case(
        "whole numbers are no mask",
        """g (int64[n] m) => (float[n] y) <float c = {0.5}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
    ),
    Case(
        "the cast is an output",
        """g (bool[n] m) => (float[n] y, float[n] a) <float c = {0.5}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
    ),
    Case(
        "before opset 9, Where is missing",
        """g (bool[n] m) => (float[n] y) <float c = {0.5}> {
          a = Cast<to = 1>(m)
          y = Mul(a, c)
        }""",
        opset=8,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def masked(value: np.ndarray) -> onnx.ModelProto:
    model = parse("g (bool[m,1] b) => (float[m,k] y) { a = Cast<to = 1>(b)  y = Mul(a, c) }", 17)
    model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), "c"))
    return model


def test_zeros_keep_their_sign() -> None:
    model = masked(np.array([[-1.5, 2.0, 0.0]]))
    fixed, _ = surgery.fix_model(model, select=(CODE,))
    feeds = {"b": np.array([[True], [False]])}
    before, after = run(model, feeds)[0], run(fixed, feeds)[0]
    assert [node.op_type for node in fixed.graph.node if node.op_type != "Cast"] == ["Where"]
    np.testing.assert_array_equal(before.view(np.int32), after.view(np.int32))


@pytest.mark.parametrize(("count", "sign", "op"), [(4096, -1, "Where"), (4097, -1, "Mul"), (4097, 1, "Where")])
def test_zeros_are_not_stored_for_a_large_constant(count: int, sign: int, op: str) -> None:
    model = masked(np.full((1, count), sign * 0.5))
    fixed, _ = surgery.fix_model(model, select=(CODE, "SG002"))
    assert fixed.graph.node[-1].op_type == op
    assert fixed.ByteSize() < model.ByteSize() + 4 * 4096 + 500
