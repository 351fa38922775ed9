"""Writing in pieces gives the bytes that writing whole gives."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from surgery.files import streaming


def small_model() -> onnx.ModelProto:
    model = parser.parse_model(
        """<ir_version: 9, producer_name: "somebody", opset_import: ["" : 20], metadata_props: ["about": "x"]>
        agraph (float[N, 3] x) => (float[N, 3] y) <float[3] b = {1, 2, 3}, float[N, 3] t>
        { t = Relu(x) y = Add(t, b) }"""
    )
    model.functions.append(
        parser.parse_function('<domain: "own", opset_import: ["" : 20]> twice (x) => (y) { y = Add(x, x) }')
    )
    model.graph.doc_string = "some words"
    model.graph.quantization_annotation.add(tensor_name="t")
    return model


def written(model: onnx.ModelProto) -> bytes:
    stream = io.BytesIO()
    streaming.write(model, stream)
    return stream.getvalue()


def test_a_small_model_is_written_as_protobuf_writes_it() -> None:
    model = small_model()
    assert written(model) == model.SerializeToString()


def test_fields_that_this_onnx_does_not_know_are_written_too() -> None:
    model = small_model()
    unknown = b"\xfa\x07\x01a"  # field 127, one byte long
    model.MergeFromString(unknown)
    assert unknown in written(model)
    assert written(model) == model.SerializeToString()


@pytest.mark.parametrize("size", [1 << 7, 1 << 14, 1 << 21])
@pytest.mark.parametrize("kind", [np.float32, np.int8])
def test_the_length_of_the_graph_takes_as_many_bytes_as_it_needs(size: int, kind: type) -> None:
    model = onnx.ModelProto()
    for less in range(0, 48, 4):
        weights = np.zeros((size - less) // np.dtype(kind).itemsize, kind)
        model.graph.CopyFrom(onnx.GraphProto(initializer=[numpy_helper.from_array(weights, "p")]))
        assert written(model) == model.SerializeToString()


def test_a_large_model_is_written_as_protobuf_writes_it() -> None:
    model = small_model()
    for name in ("p", "q"):
        model.graph.initializer.append(numpy_helper.from_array(np.arange((1 << 25) + 8, dtype=np.float32), name))
    assert written(model) == model.SerializeToString()


def test_weights_are_written_as_protobuf_writes_them_whatever_else_they_hold() -> None:
    model, values = small_model(), np.arange(1 << 12, dtype=np.float32)
    raw = numpy_helper.from_array(values, "raw")
    made = {
        name: model.graph.initializer.add() for name in ("raw", "words", "typed", "unknown", "empty", "part", "out")
    }
    for tensor in made.values():
        tensor.CopyFrom(raw)
    made["words"].doc_string = "after the raw bytes"
    made["typed"].CopyFrom(onnx.helper.make_tensor("typed", onnx.TensorProto.FLOAT, values.shape, values))
    made["unknown"].MergeFromString(b"\xfa\x07\x01a")
    made["empty"].raw_data = b""
    made["part"].segment.begin = 1
    made["out"].data_location = onnx.TensorProto.EXTERNAL
    made["out"].ClearField("raw_data")
    assert written(model) == model.SerializeToString()
    added = b"".join(piece for tensor in made.values() for piece in streaming.in_graph(tensor))
    assert list(onnx.ModelProto.FromString(added).graph.initializer) == list(made.values())


def test_a_large_shape_without_values_is_written_as_protobuf_writes_it() -> None:
    model = small_model()
    model.graph.initializer.add(name="p", data_type=onnx.TensorProto.FLOAT, dims=[1 << 28])
    assert written(model) == model.SerializeToString()


def test_the_size_said_is_not_below_the_size_written() -> None:
    model = small_model()
    for kind in (np.float32, np.float64, np.int64, np.bool_, np.float16):
        model.graph.initializer.append(numpy_helper.from_array(np.ones((3, 5), kind), f"a weight of {kind.__name__}"))
    model.graph.initializer.append(onnx.helper.make_tensor("typed", onnx.TensorProto.INT32, [2], [-1, 7]))
    model.graph.initializer.append(onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [1], ["x" * 500]))
    size = model.ByteSize()
    assert size <= streaming.size_at_most(model) <= size + 100 * len(model.graph.initializer)
