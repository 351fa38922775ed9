"""SG202: layer normalization written out in smaller operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from surgery.passes.speed.decomposed_layernorm import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.context import Options
from tests.surgery.passes.comparing import equal_values

PARTS = (
    "m = ReduceMean<axes=[{axis}]>(x)  d = Sub(x, m)  {square}  v = ReduceMean<axes=[{axis}]>(s)  "
    "e = Add(v, eps)  r = Sqrt(e)  n = Div(d, r)  "
)
POW, MUL = "s = Pow(d, two)", "s = Mul(d, d)"
AFFINE = "a = Mul(n, w)  y = Add(a, b)"


def model(
    shape: str = "2,5,4", axis: int = -1, square: str = POW, rest: str = AFFINE, vector: str = "4", opset: int = 17,
    more: str = "",
) -> onnx.ModelProto:  # fmt: skip
    count = int(np.prod([int(dim) for dim in vector.split(",")]))
    values = ", ".join(str(index + 1) for index in range(count))
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float[{shape}] y{more}) '
        f"<float two = {{2}}, float eps = {{1}}, float[{vector}] w = {{{values}}}, float[{vector}] b = {{{values}}}> "
        f"{{ {PARTS.format(axis=axis, square=square)} {rest} }}"
    )


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (model(), ["LayerNormalization"]),
        (model(square=MUL), ["LayerNormalization"]),
        (model(rest="y = Identity(n)"), ["LayerNormalization", "Identity"]),
        (
            model("1,4,3,2", 1, vector="4,1,1"),
            ["Transpose", "LayerNormalization", "Transpose"],
        ),
    ],
)
def test_becomes_one_operator_with_the_same_values(source: onnx.ModelProto, expected: list[str]) -> None:
    result = fixed(source)
    assert [node.op_type for node in result.graph.node if node.op_type != "Constant"] == expected
    equal_values(source, result, rtol=1e-5, atol=1e-5)
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model(opset=16), "LayerNormalization came with opset 17"),
        (model(more=", float[2,5,1] v"), "a part of it is an output"),
        (model(rest="a = Mul(n, w)  c = Add(a, b)  y = Add(c, d)"), "something else reads the difference"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why


def test_a_scale_along_another_axis_is_not_taken_in() -> None:
    result = fixed(model(vector="5,1"))
    assert [node.op_type for node in result.graph.node] == ["LayerNormalization", "Mul", "Add"]
