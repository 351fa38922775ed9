"""SG213: products with weights on channels-last data whose result is transposed to channels first."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, becomes, equal_outputs, parse, stays

CODE = "SG213"
FIRST = "perm = [0, 3, 1, 2]"
WEIGHTS = "float[2,3] w = {1, 2, 3, 4, 5, 6}, float[3] b = {7, 8, 9}"
REWRITES = [
    Case(
        "one product",
        f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          y = Transpose<{FIRST}>(s)
        }}""",
        after=f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y)
          <float[3,2,1,1] w = {{1, 4, 2, 5, 3, 6}}, float[3] b = {{7, 8, 9}}> {{
          t = Transpose<{FIRST}>(x)
          y = Conv<kernel_shape = [1, 1]>(t, w, b)
        }}""",
    ),
    Case(
        "what lies in between, read twice, with a factor for each channel",
        f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y) <{WEIGHTS}, float[3] f = {{1, 2, 3}}, float half = {{0.5}}> {{
          p = MatMul(x, w)
          s = Add(b, p)
          e = Erf(s)
          m = Mul(s, e)
          k = Mul(f, m)
          l = Mul(k, half)
          y = Transpose<{FIRST}>(l)
        }}""",
        after=f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y)
          <float[3,2,1,1] w = {{1, 4, 2, 5, 3, 6}}, float[3] b = {{7, 8, 9}}, float[3,1,1] f = {{1, 2, 3}},
           float half = {{0.5}}> {{
          t = Transpose<{FIRST}>(x)
          s = Conv<kernel_shape = [1, 1]>(t, w, b)
          e = Erf(s)
          m = Mul(s, e)
          k = Mul(f, m)
          l = Mul(k, half)

        }}""".replace("l = Mul(k, half)\n", "y = Mul(k, half)"),
    ),
]
LEFT_ALONE = [
    Case(
        "a picture that may be empty",
        f"""g (float[n,h,5,2] x) => (float[n,3,h,5] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          y = Transpose<{FIRST}>(s)
        }}""",
    ),
    Case(
        "three dims",
        f"""g (float[n,4,2] x) => (float[n,3,4] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          y = Transpose<perm = [0, 2, 1]>(s)
        }}""",
    ),
    Case(
        "no bias",
        """g (float[n,4,5,2] x) => (float[n,3,4,5] y) <float[2,3] w = {1, 2, 3, 4, 5, 6}> {
          p = MatMul(x, w)
          y = Transpose<perm = [0, 3, 1, 2]>(p)
        }""",
    ),
    Case(
        "two tensors come in",
        f"""g (float[n,4,5,2] x, float[n,4,5,3] z) => (float[n,3,4,5] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          a = Add(s, z)
          y = Transpose<{FIRST}>(a)
        }}""",
    ),
    Case(
        "the sum is read elsewhere",
        f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y, float[n,4,5,3] z) <{WEIGHTS}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          y = Transpose<{FIRST}>(s)
          z = Neg(s)
        }}""",
    ),
    Case(
        "an operand that broadcasts over the rows",
        f"""g (float[n,4,5,2] x) => (float[n,3,4,5] y) <{WEIGHTS}, float[5,1] f = {{1, 2, 3, 4, 5}}> {{
          p = MatMul(x, w)
          s = Add(p, b)
          a = Mul(s, f)
          y = Transpose<{FIRST}>(a)
        }}""",
        inputs={"x": np.ones((1, 4, 5, 2), np.float32)},
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def block(channels: int) -> onnx.ModelProto:
    """A ConvNeXt block: a depthwise convolution, and two products with a GELU between them."""
    model = parse(
        f"""g (float[1,{channels},6,6] x) => (float[1,{channels},6,6] y) {{
          c = Conv<group = {channels}, pads = [3, 3, 3, 3]>(x, depthwise)
          t = Transpose<perm = [0, 2, 3, 1]>(c)
          n = LayerNormalization(t, scale)
          p = MatMul(n, expand)
          s = Add(p, one)
          d = Div(s, root)
          e = Erf(d)
          a = Add(e, unit)
          m = Mul(s, a)
          h = Mul(m, half)
          q = MatMul(h, contract)
          r = Add(q, two)
          g = Mul(r, gamma)
          u = Transpose<perm = [0, 3, 1, 2]>(g)
          y = Add(u, x)
        }}""",
        17,
    )
    rng = np.random.default_rng(0)
    shapes = {
        "depthwise": (channels, 1, 7, 7),
        "scale": (channels,),
        "expand": (channels, 4 * channels),
        "one": (4 * channels,),
    }
    shapes |= {"one": (4 * channels,), "contract": (4 * channels, channels), "two": (channels,), "gamma": (channels,)}
    values = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    values |= {"root": np.sqrt(2.0), "unit": np.ones(()), "half": np.asarray(0.5)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()
    )
    return model


def test_a_convnext_block_loses_three_nodes() -> None:
    """Two biases, and the factor for each channel, which the last convolution takes in."""
    model = block(8)
    fixed, report = surgery.fix_model(model)
    assert [check.status for check in report.checks if check.name == "parity"] == ["pass"]
    assert len(model.graph.node) - len(fixed.graph.node) == 3
    equal_outputs(model, fixed, {}, exact=False)


def test_large_weights_that_another_node_reads_are_not_stored_twice() -> None:
    model = parse(
        f"""g (float[1,2,2,128] x, float[4,128] z) => (float[1,256,2,2] y, float[4,256] k) {{
          p = MatMul(x, w)
          s = Add(p, b)
          y = Transpose<{FIRST}>(s)
          k = MatMul(z, w)
        }}""",
        17,
    )
    for name, shape in (("w", (128, 256)), ("b", (256,))):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    fixed, _ = surgery.fix_model(model, select=(CODE, "SG002"))
    assert "Conv" not in {node.op_type for node in fixed.graph.node}
