"""Models whose fixed sizes come out below zero in front of a Slice: no call may end the process of its caller."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import numpy_helper, parser

import surgery
import verify
from surgery.diagnose.verdicts import by_onnxruntime
from surgery.inspect.description import Description, describe
from verify.errors import SurgeonError
from verify.lint import lint
from verify.model.infer import infer_types, negative_size, passes_inference
from verify.model.walk import dims_of
from verify.run.session import open_session

SLICE = "s = Constant<value_ints = [0]>() e = Constant<value_ints = [1]>() a = Constant<value_ints = [%d]>()"
MAKERS = {  # how r gets a size below zero, along the last axis
    "pool": "r = MaxPool<kernel_shape = [6]>(x)",
    "average": "r = AveragePool<kernel_shape = [6], strides = [2]>(x)",
    "dilated": "r = MaxPool<kernel_shape = [2], dilations = [9]>(x)",
    "Lp": "r = LpPool<kernel_shape = [6]>(x)",
    "convolution": "r = Conv(x, w)",
    "transposed": "r = ConvTranspose<pads = [9, 9]>(x, w)",
    "pad": "p = Constant<value_ints = [0, 0, -4, 0, 0, -4]>() r = Pad(x, p)",
    "expand": "p = Constant<value_ints = [1, 1, -4]>() o = ReduceSum(x, last) r = Expand(o, p)",
    "split": "p = Constant<value_ints = [5, -3]>() q, r = Split<axis = 2>(x, p)",
    "top": "p = Constant<value_ints = [-2]>() r, i = TopK(x, p)",
    "behind a slice": "s0 = Slice(x, s, e, a) r = MaxPool<kernel_shape = [6]>(s0)",
    "behind two": "c = Conv<pads = [4, 4]>(x, w) s0 = Slice(c, s, e, a) r = MaxPool<kernel_shape = [6]>(s0)",
    "in a branch": "r0 = MaxPool<kernel_shape = [6]>(x) r = Identity(r0)"
    " b = Constant<value_int = 1>() t = Cast<to = 9>(b)"
    " z = If(t) <then_branch = g1 () => (u) { u = Slice(r, s, e, a) }, else_branch = g2 () => (v) { v = Relu(x) }>",
}


def inspected(model: onnx.ModelProto) -> Description:
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "model.onnx")
        return describe(Path(folder) / "model.onnx")


READERS: dict[str, Any] = {
    "infer_types": infer_types,
    "passes_inference": lambda model: passes_inference(model, {}),
    "lint": lint,
    "fix": surgery.fix_model,
    "fix without guard": lambda model: surgery.fix_model(model, guard=False),
    "diagnose": surgery.diagnose_model,
    "inspect": inspected,
    "verify": lambda model: verify.verify_model(model, goldens=None, tensorrt=False),
    "session": lambda model: open_session(model).error,
}


def model_with(maker: str) -> onnx.ModelProto:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,2] x) => (float[k,l,m] y)'
        f" <int64[1] last = {{2}}> {{ {SLICE % 2} {MAKERS[maker]} y0 = Slice(r, s, e, a) y = Identity(y0) }}"
    )
    weights = numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]).repeat(5).astype("f"))
    weights.dims[:] = [1, 1, 5]
    weights.name = "w"
    model.graph.initializer.append(weights)
    return model


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("maker", MAKERS)
def test_no_reader_ends_the_process(maker: str, reader: str) -> None:
    model = model_with(maker)
    before = model.SerializeToString()
    READERS[reader](model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("maker", MAKERS)
def test_the_node_is_named_and_nothing_is_run(maker: str, tmp_path: Path) -> None:
    model = model_with(maker)
    node = negative_size(model)
    assert node
    _, report = surgery.fix_model(model)
    parity = next(check for check in report.checks if check.name == "parity")
    assert (parity.status, node in parity.message) == ("skip", True)
    form = verify.verify_model(model, goldens=None, tensorrt=False).checks
    assert [(check.name, check.status, node in check.message) for check in form] == [("onnx", "fail", True)]
    onnx.save(model, tmp_path / "model.onnx")
    assert by_onnxruntime(tmp_path / "model.onnx").state == "refused"
    with pytest.raises(SurgeonError, match="below zero"):
        surgery.fix_model(model, guard=False, precision="fp16")


@pytest.mark.parametrize(
    "body",
    [
        "r = MaxPool<kernel_shape = [2]>(x) y0 = Slice(r, s, e, a)",
        "r = Conv<pads = [4, 4]>(x, w) y0 = Slice(r, s, e, a)",
        "s0 = Slice(x, s, e, a) r = MaxPool<kernel_shape = [1]>(s0) y0 = Slice(r, s, e, a)",
        "c = MaxPool<kernel_shape = [2]>(x) s0 = Slice(c, s, e, a) r = MaxPool<kernel_shape = [2], pads = [1, 1]>(s0)"
        " y0 = Slice(r, s, e, a)",
    ],
)
def test_sizes_are_still_known_where_none_is_below_zero(body: str) -> None:
    model = model_with("pool")
    nodes = f"{SLICE % 2} {body} y = Identity(y0)"
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,2] x) => (float[k,l,m] y)'
    other = parser.parse_model(f"{text} {{ {nodes} }}")
    other.graph.initializer.extend(model.graph.initializer)
    assert negative_size(other) == ""
    inferred = infer_types(other)
    known = {value.name: dims_of(value.type.tensor_type) for value in inferred.graph.value_info}
    assert known["y0"] == [1, 1, 1]
    assert all(not node.domain for node in inferred.graph.node)


def test_a_declared_size_below_zero_is_an_unknown_one() -> None:
    body = f"{SLICE % 0} y = Slice(x, s, e, a)"
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g (float[n] x) => (float[m] y) {{ {body} }}')
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert dims_of(infer_types(model).graph.output[0].type.tensor_type) == ["m"]
    surgery.fix_model(model)
    verify.verify_model(model, goldens=None, tensorrt=False)
