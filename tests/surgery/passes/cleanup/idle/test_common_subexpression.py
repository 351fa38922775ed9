"""SG009: Nodes that compute the same as an earlier node."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG009"
REWRITES = [
    Case(
        "equal nodes",
        """g (float[2] x) => (float[2] y) {
          a = Relu(x)
          b = Relu(x)
          c = Neg(a)
          d = Neg(b)
          y = Add(c, d)
        }""",
        after="g (float[2] x) => (float[2] y) { a = Relu(x)  c = Neg(a)  y = Add(c, c) }",
    ),
    Case(
        "the later node makes a graph output",
        "g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x)  y = Relu(x)  z = Neg(a) }",
        after="g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Neg(y) }",
    ),
    Case(
        "the earlier node makes a graph output",
        "g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  b = Relu(x)  z = Neg(b) }",
        after="g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Neg(y) }",
    ),
    Case(
        "the same attributes in another order",
        """g (float[1,1,4] x) => (float[1,1,2] y) {
          a = MaxPool<kernel_shape = [2], strides = [2]>(x)
          b = MaxPool<strides = [2], kernel_shape = [2]>(x)
          y = Add(a, b)
        }""",
        after="""g (float[1,1,4] x) => (float[1,1,2] y) {
          a = MaxPool<kernel_shape = [2], strides = [2]>(x)
          y = Add(a, a)
        }""",
    ),
    Case(
        "an input is omitted in both",
        """g (float[2] x, float m) => (float[2] y) {
          a = Clip(x, , m)
          b = Clip(x, , m)
          y = Add(a, b)
        }""",
        after="g (float[2] x, float m) => (float[2] y) { a = Clip(x, , m)  y = Add(a, a) }",
    ),
    Case(
        "the same tensor as an attribute",
        """g (int64[1] n) => (float[k] y) {
          a = ConstantOfShape<value = float[1] {2}>(n)
          b = ConstantOfShape<value = float[1] {2}>(n)
          y = Add(a, b)
        }""",
        after="""g (int64[1] n) => (float[k] y) {
          a = ConstantOfShape<value = float[1] {2}>(n)
          y = Add(a, a)
        }""",
        inputs={"n": [2]},
    ),
    Case(
        "inside a subgraph",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { p = Relu(x)  q = Relu(x)  a = Add(p, q) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
        after="""g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { p = Relu(x)  a = Add(p, p) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
    Case(
        "of a node of another opset domain",
        """<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>
        g (float[2] x) => (float[2] y) {
          a = ai.onnx.ml.Binarizer<threshold = 0.5>(x)
          b = ai.onnx.ml.Binarizer<threshold = 0.5>(x)
          y = Add(a, b)
        }""",
        after="""<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>
        g (float[2] x) => (float[2] y) {
          a = ai.onnx.ml.Binarizer<threshold = 0.5>(x)
          y = Add(a, a)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "two draws of random numbers differ",
        """g (float[2] x) => (float[2] y) {
          a = RandomNormalLike(x)
          b = RandomNormalLike(x)
          y = Add(a, b)
        }""",
    ),
    Case("both make a graph output", "g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Relu(x) }"),
    Case(
        "an attribute differs",
        """g (float[2] x) => (float[2] y) {
          a = Elu<alpha = 1.0>(x)
          b = Elu<alpha = 2.0>(x)
          y = Add(a, b)
        }""",
    ),
    Case(
        "the tensors of an attribute differ",
        """g (int64[1] n) => (float[k] y) {
          a = ConstantOfShape<value = float[1] {2}>(n)
          b = ConstantOfShape<value = float[1] {3}>(n)
          y = Add(a, b)
        }""",
    ),
    Case(
        "the lists of an attribute differ",
        """g (float[2,3,4] x) => (float[2,4,3] y, float[4,3,2] z) {
          y = Transpose<perm = [0, 2, 1]>(x)
          z = Transpose<perm = [2, 1, 0]>(x)
        }""",
    ),
    Case(
        "the inputs are in another order",
        "g (float[2] x, float[2] z) => (float[2] y) { a = Sub(x, z)  b = Sub(z, x)  y = Add(a, b) }",
    ),
    Case(
        "one of them makes an output more",
        """g (float[2] x) => (float[2] y, bool[2] m) {
          a = Dropout(x)
          b, m = Dropout(x)
          y = Add(a, b)
        }""",
    ),
    Case(
        "a Dropout may be in training",
        """g (float[2] x, bool t) => (float[2] y) <float r = {0.5}> {
          a = Dropout(x, r, t)
          b = Dropout(x, r, t)
          y = Add(a, b)
        }""",
    ),
    Case(
        "they hold subgraphs",
        """g (float[2] x, bool c) => (float[2] y) {
          a = If(c)<
            then_branch = t () => (float[2] p) { p = Relu(x) },
            else_branch = e () => (float[2] q) { q = Neg(x) }
          >
          b = If(c)<
            then_branch = t () => (float[2] r) { r = Relu(x) },
            else_branch = e () => (float[2] s) { s = Neg(x) }
          >
          y = Add(a, b)
        }""",
    ),
    Case(
        "their domain is unknown",
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[2] x) => (float[2] y) { a = own.Draw(x)  b = own.Draw(x)  y = Add(a, b) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
