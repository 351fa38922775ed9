"""Reading a model into a graph and writing it back loses nothing, whatever is inside."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import surgery
from surgery.graph.nodes import Stored
from surgery.graph.read import to_graph
from surgery.graph.write import to_model
from verify.errors import SurgeonError


def rich_model() -> onnx.ModelProto:
    """A model with all that onnx-graphsurgeon drops or reads wrongly."""
    text = """
    <ir_version: 10, opset_import: ["" : 19, "local" : 1], producer_name: "maker", doc_string: "a model">
    rich (float[n, 2] x, float[2] d = {1, 2}, seq(float[2]) s, optional(float[2]) o) => (float[n, 2] y, seq(float[2]) t)
    <float[n, 2] a, float[2] w = {3, 4}> {
      [first] a = local.Twice <k: int = 2> (x)
      t = Identity(s)
      b = Add(a, w)
      y = Custom.Op(b, d)
    }
    <domain: "local", opset_import: ["" : 19]> Twice <k> (p) => (q) { q = Add(p, p) }
    """
    proto = onnx.parser.parse_model(text.replace("Custom.Op", "Mul"))
    node = proto.graph.node[0]
    node.doc_string, node.overload = "why", ""
    node.metadata_props.add(key="torch.scope", value="model.block")
    node.attribute.append(helper.make_attribute("kind", helper.make_tensor_type_proto(TensorProto.FLOAT, [2])))
    node.attribute.append(helper.make_attribute("bytes", b"\xff\xfe"))
    node.attribute.append(helper.make_attribute("empty", [], attr_type=onnx.AttributeProto.INTS))
    proto.graph.value_info[0].doc_string = "declared"
    proto.graph.input[0].type.tensor_type.shape.dim[0].denotation = "BATCH"
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(2, "f"), "unused"))
    proto.graph.quantization_annotation.add(tensor_name="a").quant_parameter_tensor_names.add(key="SCALE", value="w")
    proto.metadata_props.add(key="k", value="v")
    proto.graph.metadata_props.add(key="g", value="v")
    return proto


def test_round_trip_is_equal() -> None:
    proto = rich_model()
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    assert to_model(to_graph(proto)) == copy
    assert proto == copy


def test_an_edit_keeps_the_rest() -> None:
    proto = rich_model()
    graph = to_graph(proto)
    graph.nodes[2].op = "Sub"
    written = to_model(graph)
    proto.graph.node[2].op_type = "Sub"
    assert written == proto


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "int4", "uint4", "float4_e2m1fn"]
)
def test_small_types_keep_their_values(dtype: str) -> None:
    array = np.asarray([0, 1, 2, 3, 1], getattr(ml_dtypes, dtype))
    stored = Stored(numpy_helper.from_array(array, "w"))
    assert stored.dtype == array.dtype
    assert stored.load().tobytes() == array.tobytes()


def test_sparse_values() -> None:
    values, indices = numpy_helper.from_array(np.asarray([5, 7], "f"), "w"), numpy_helper.from_array(np.asarray([1, 3]))
    stored = Stored(helper.make_sparse_tensor(values, indices, [2, 2]))
    assert stored.load().tolist() == [[0, 5], [0, 7]]
    assert stored.load().dtype == np.float32


def test_models_that_are_passed_on_untouched(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
    )
    proto.training_info.add()
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(proto, source)
    report = surgery.fix(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert report.checks[0].status == "skip"


def test_a_circle_is_an_error() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { a = Add(x, y) y = Relu(a) }'
    with pytest.raises(SurgeonError, match="circle"):
        surgery.fix_model(onnx.parser.parse_model(text))


def test_ai_onnx_names_the_default_domain_too() -> None:
    text = "(float[2] x, float[2] y) => (float[2] z) { s = Shape(x) i = Identity(x) r = Reshape(i, s) z = Add(r, y) }"
    models = [
        onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["{domain}" : 17]> g {text}')
        for domain in ("", "ai.onnx")
    ]
    models[1].graph.node[3].domain = "ai.onnx"
    plain, spelled = (surgery.fix_model(model)[0] for model in models)
    assert [node.op_type for node in plain.graph.node] == [node.op_type for node in spelled.graph.node] == ["Add"]
    assert [(entry.domain, entry.version) for entry in spelled.opset_import] == [("ai.onnx", 17)]
    assert spelled.graph.node[0].domain == "ai.onnx"  # what no pass touched keeps its spelling
