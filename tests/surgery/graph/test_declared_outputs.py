"""What a model declares of its outputs stays, whatever the passes know of them."""

from __future__ import annotations

import onnx
import pytest

import surgery
from tests.surgery.passes.comparing import parse

MODELS = [
    # ReduceMax over runtime axes: the rewrite knows no dims
    "g (float[2,3] x, int64[1] ax) => (float[1,3] y) { y = ReduceMax(x, ax) }",
    # the written softmax knows dims that the file does not name
    """g (float[2,?] x) => (float[p,q] y) <int64[1] ax = {1}>
    { i = Identity(ax)  e = Exp(x)  s = ReduceSum(e, i)  y = Div(e, s) }""",
    "g (float[2,3] x) => (float y) { i = Identity(x)  y = Relu(i) }",
]


@pytest.mark.parametrize("text", MODELS)
def test_declared_dims_stay(text: str) -> None:
    model = parse(text, 18)
    if text.endswith("Relu(i) }"):
        model.graph.output[0].type.tensor_type.ClearField("shape")
    fixed, report = surgery.fix_model(model, guard=False)
    assert report.findings
    assert list(fixed.graph.output) == list(model.graph.output)
    assert list(fixed.graph.input) == list(model.graph.input)


def test_dims_of_inner_tensors_get_no_names_of_ours() -> None:
    model = parse("g (float[2,?] x) => (float[p,q] y) { i = Neg(x)  j = Identity(i)  k = Relu(j)  y = Abs(k) }", 18)
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("k", onnx.TensorProto.FLOAT, None))
    fixed, _ = surgery.fix_model(model, guard=False)
    names = {d.dim_param for info in fixed.graph.value_info for d in info.type.tensor_type.shape.dim}
    assert names <= {""}
