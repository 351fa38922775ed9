"""SG019: Reshapes before and after a product with weights, although the product works on the last dim only."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, stays

CODE = "SG019"
REWRITES = [
    Case(
        "a later Reshape sets the shape",
        """g (float[2,6,4] x) => (float[3,4,5] y)
        <int64[2] s = {12, 4}, float[4,5] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2}, float[5]
        b = {1, 2, 3, 4, 5}, int64[3] z = {3, -1, 5}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          a = Add(b, m)
          y = Reshape(a, z)
        }""",
        after="""g (float[2,6,4] x) => (float[3,4,5] y)
        <float[4,5] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2}, float[5] b = {1, 2, 3, 4, 5},
        int64[3] z = {3, -1, 5}> {
          t0 = MatMul(x, w)
          t1 = Add(b, t0)
          y = Reshape(t1, z)
        }""",
    ),
    Case(
        "the last Reshape moves before the product",
        """g (float[2,3,2,2] x) => (float[1,3,2,3] y)
        <int64[3] s = {2, 3, 4}, float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}, int64[4] z = {1, 3, 2, -1}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          y = Reshape(m, z)
        }""",
        after="""g (float[2,3,2,2] x) => (float[1,3,2,3] y)
        <float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}, int64[4] t0 = {1, 3, 2, 4}> {
          t1 = Reshape(x, t0)
          y = MatMul(t1, w)
        }""",
    ),
    Case(
        "a product that is split",
        """g (float[2,3,4] x) => (float[6,1] p, float[3,2] q)
        <int64[2] s = {6, 4}, float[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, int64[2] f = {6, 1}, int64[2] l = {3, 2},
        int64[2] u = {1, 1}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          a, b = Split<axis = 1>(m, u)
          p = Reshape(a, f)
          q = Reshape(b, l)
        }""",
        after="""g (float[2,3,4] x) => (float[6,1] p, float[3,2] q)
        <float[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, int64[2] f = {6, 1}, int64[2] l = {3, 2}, int64[2] u = {1, 1}> {
          t0 = MatMul(x, w)
          t1, t2 = Split<axis = 2>(t0, u)
          p = Reshape(t1, f)
          q = Reshape(t2, l)
        }""",
    ),
    Case(
        "over an activation and a division by one number",
        """g (float[2,3,2] x) => (float[1,6,2] y)
        <int64[2] s = {6, 2}, float[2,2] w = {1, 2, 3, 4}, float d = {2}, int64[3] z = {1, 6, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          k = Relu(m)
          q = Div(k, d)
          y = Reshape(q, z)
        }""",
        after="""g (float[2,3,2] x) => (float[1,6,2] y)
        <float[2,2] w = {1, 2, 3, 4}, float d = {2}, int64[3] z = {1, 6, 2}> {
          t0 = MatMul(x, w)
          t1 = Relu(t0)
          t2 = Div(t1, d)
          y = Reshape(t2, z)
        }""",
    ),
    Case(
        "between two Reshapes, where the first changes the last dim",
        """g (float[2,3,2,2] x) => (float[1,3,2,3] y)
        <int64[3] s = {2, 3, 4}, float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}, int64[4] z = {1, 3, 2, 3}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          k = Tanh(m)
          y = Reshape(k, z)
        }""",
        after="""g (float[2,3,2,2] x) => (float[1,3,2,3] y)
        <float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}, int64[4] t0 = {1, 3, 2, 4}> {
          t1 = Reshape(x, t0)
          t2 = MatMul(t1, w)
          y = Tanh(t2)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "an operand has the old shape",
        """g (float[2,2,2] x) => (float[2,2,2] y)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, float[4,1] b = {1, 2, 3, 4}, int64[3] z = {2, 2, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          a = Add(m, b)
          y = Reshape(a, z)
        }""",
    ),
    Case(
        "the product is an output",
        """g (float[2,2,2] x) => (float[2,2,2] y, float[4,2] m)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, int64[3] z = {2, 2, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "the last Reshape copies a dim",
        """g (float[2,2,2] x) => (float[4,1,2] y)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, int64[3] z = {0, -1, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "no product in between",
        """g (float[2,2,2] x) => (float[1,4,2] y) <int64[2] s = {4, 2}, int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = Relu(r)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "the weights are computed",
        """g (float[2,2,2] x, float[2,2] w) => (float[1,4,2] y) <int64[2] s = {4, 2}, int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "the data is on the right of the product",
        """g (float[2,2,2] x) => (float[1,4,2] y)
        <int64[2] s = {4, 2}, float[4,4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7},
        int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = MatMul(w, r)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "the weights are a batch of matrices",
        """g (float[2,2,2] x) => (float[1,4,2] y)
        <int64[2] s = {4, 2}, float[1,2,2] w = {1, 2, 3, 4}, int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          y = Reshape(m, z)
        }""",
    ),
    Case(
        "a Softmax works on another axis",
        """g (float[2,2,2] x) => (float[1,4,2] y)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          k = Softmax<axis = 0>(m)
          y = Reshape(k, z)
        }""",
    ),
    Case(
        "a split along another axis",
        """g (float[2,2,2] x) => (float[2,2] p, float[2,2] q)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, int64[2] z = {2, 2}, int64[2] u = {2, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          a, b = Split<axis = 0>(m, u)
          p = Reshape(a, z)
          q = Reshape(b, z)
        }""",
    ),
    Case(
        "the product is read twice",
        """g (float[2,2,2] x) => (float[1,4,2] y)
        <int64[2] s = {4, 2}, float[2,2] w = {1, 2, 3, 4}, int64[3] z = {1, 4, 2}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          k = Add(m, m)
          y = Reshape(k, z)
        }""",
    ),
    Case(
        "the last Reshape changes the last dim, and so does the first",
        """g (float[2,2,2] x) => (float[1,2,4] y)
        <int64[2] s = {2, 4}, float[4,4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7},
        int64[3] z = {1, 4, 2}, int64[3] v = {1, 2, 4}> {
          r = Reshape(x, s)
          m = MatMul(r, w)
          k = Reshape(m, z)
          l = Neg(k)
          y = Reshape(l, v)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_types_that_the_file_declares_follow() -> None:
    text = """g (float[N,4,3,2] x) => (float[N,2,2,6] y)
      <int64[3] s = {-1,4,6}, int64[4] t = {-1,2,2,6}, float[6] b = {1,2,3,4,5,6},
       float[N,4,6] r, float[N,4,6] p, float[N,4,6] a, float[N,2,2,6] z> {
        r = Reshape(x, s)
        p = Mul(r, b)
        q = MatMul(p, f)
        a = Add(q, b)
        z = Reshape(a, t)
        y = Transpose<perm = [0,2,1,3]>(z)
      }"""
    model = parse(text, 17)
    model.graph.initializer.append(numpy_helper.from_array(np.eye(6, dtype=np.float32) * 2, "f"))
    fixed, report = surgery.fix_model(model)
    assert "SG019" in {finding.code for finding in report.findings}
    assert [node.op_type for node in fixed.graph.node] == ["Reshape", "Mul", "MatMul", "Add", "Transpose"]
    onnx.checker.check_model(fixed, full_check=True)
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in fixed.graph.value_info}
    assert set(ranks.values()) == {4}
