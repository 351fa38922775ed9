"""Sizes of weights of every kind, and the order in which a description and a comparison list things."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from surgery.inspect import describe
from surgery.inspect.compare import changes
from surgery.inspect.weights import Total, Weight, by_file, by_type, weights
from tests.surgery.inspect.test_describe import saved
from tests.surgery.inspect.test_inspect_text import comparison, model
from verify.errors import SurgeonError

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'
BITS = {
    "FLOAT": 32, "DOUBLE": 64, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT8": 8, "UINT16": 16, "UINT32": 32,
    "UINT64": 64, "BOOL": 8, "FLOAT16": 16, "BFLOAT16": 16, "COMPLEX64": 64, "COMPLEX128": 128, "INT4": 4, "UINT4": 4,
    "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8,
    "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
}  # fmt: skip


def of(*tensors: TensorProto) -> onnx.ModelProto:
    made = onnx.parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
    made.graph.initializer.extend(tensors)
    return made


@pytest.mark.parametrize("kind", [kind for kind in BITS if kind in TensorProto.DataType.keys()])  # noqa: SIM118
def test_five_values_of_every_type(kind: str) -> None:
    """Values in typed fields: five times the bits, rounded up to whole bytes."""
    (weight,) = weights(of(TensorProto(name="w", data_type=TensorProto.DataType.Value(kind), dims=[5])))
    assert (weight.elements, weight.bytes, weight.file) == (5, -(-5 * BITS[kind] // 8), "")
    assert weight.dtype == {"FLOAT": "float32", "DOUBLE": "float64"}.get(kind, kind.lower())


def test_values_as_they_are_stored() -> None:
    words = helper.make_tensor("words", TensorProto.STRING, [2], ["ab", "cde"])
    raw = TensorProto(name="raw", data_type=TensorProto.FLOAT, dims=[2], raw_data=bytes(9))
    none = numpy_helper.from_array(np.zeros((0, 3), np.float32), "none")
    broken = TensorProto(name="broken", data_type=TensorProto.FLOAT, dims=[-2])
    found = {one.name: (one.elements, one.bytes) for one in weights(of(words, raw, none, broken))}
    assert found == {"words": (2, 5), "raw": (2, 9), "none": (0, 0), "broken": (0, 0)}


@pytest.mark.parametrize(("length", "size"), [("", 20), ("24", 24), ("0", 0)])
def test_external_data_has_the_length_that_the_file_says_or_that_of_its_dims(length: str, size: int) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[5], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.data")
    if length:
        tensor.external_data.add(key="length", value=length)
    (weight,) = weights(of(tensor))
    assert (weight.bytes, weight.file) == (size, "w.data")


def test_sparse_weights_have_the_name_of_their_values() -> None:
    made = of()
    values, places = numpy_helper.from_array(np.float32([7, 8]), "thin"), numpy_helper.from_array(np.int64([1, 2]))
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [9]))
    assert [(one.name, one.bytes) for one in weights(made)] == [("thin", 8)]


def test_large_ones_come_first_and_names_decide_between_equals(tmp_path: Path) -> None:
    found = [Weight("a", "int8", (2,), 2, "z.data"), Weight("b", "int16", (2,), 4, "a.data"),
             Weight("c", "bool", (2,), 2), Weight("d", "int8", (3,), 3, "z.data")]  # fmt: skip
    totals = [("int8", Total(2, 5, 5)), ("int16", Total(1, 2, 4)), ("bool", Total(1, 2, 2))]
    assert list(by_type(found).items()) == totals
    assert list(by_type([found[2], Weight("e", "Bool", (2,), 2)])) == ["Bool", "bool"]
    for name, size in (("a.data", 4), ("z.data", 64)):
        (tmp_path / name).write_bytes(bytes(size))
    assert list(by_file(found, tmp_path).items()) == [("a.data", (Total(1, 2, 4), 4)), ("z.data", (Total(2, 5, 5), 64))]
    tensors = [numpy_helper.from_array(np.zeros(size, np.int8), name) for name, size in (("b", 2), ("c", 3), ("a", 2))]
    assert [one.name for one in weights(of(*tensors))] == ["c", "a", "b"]


def test_frequent_operators_come_first(tmp_path: Path) -> None:
    text = f"""{HEAD} g (float[2] x) => (float[2] y) {{
      a = Neg(x)  b = Abs(a)  c = Relu(b)  d = Neg(c)  e = Abs(d)  y = Neg(e) }}"""
    assert list(describe(saved(tmp_path, text)).operators.items()) == [("Neg", 3), ("Abs", 2), ("Relu", 1)]


def test_refused_operators_are_listed_by_number_and_counted_once_a_node(tmp_path: Path) -> None:
    text = f"""{HEAD} g (float[2,8] x, int32[8] i) => (int32[8] k, int64[2,M] z, int32[8] o) {{
      j = BitwiseAnd(i, i)  k = BitwiseAnd(j, j)  z = NonZero(x)  o = BitwiseOr(i, j) }}"""
    found = describe(saved(tmp_path, text)).targets["tensorrt-rtx"]
    assert list(found.operators.items()) == [("BitwiseAnd", 2), ("BitwiseOr", 1), ("NonZero", 1)]
    assert (found.nodes, found.skipped) == (4, "")
    assert found.version


def test_producer_domains_and_metadata_as_the_file_has_them(tmp_path: Path) -> None:
    made = onnx.parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
    made.producer_name, made.producer_version = "maker", "2.1"
    made.metadata_props.add(key="note", value="n")
    made.graph.node[0].ClearField("name")
    onnx.save(made, tmp_path / "m.onnx")
    found = describe(tmp_path / "m.onnx")
    assert (found.producer, found.metadata, found.opsets) == ("maker 2.1", {"note": "n"}, {"ai.onnx": 21})
    assert (found.nodes, found.nested_nodes, found.breaches) == (1, 0, ())
    assert found.weight_total == Total(0, 0, 0)
    made.graph.node[0].input.append("x")
    onnx.save(made, tmp_path / "m.onnx")
    (breach,) = describe(tmp_path / "m.onnx").breaches
    assert breach == {
        "code": "SG734", "severity": "error", "message": "2 inputs; Relu has 1", "node": "node_of_y", "path": "",
    }  # fmt: skip


def test_changes_of_weights_and_of_the_ir_version_are_sizes_and_numbers() -> None:
    after = model(ir_version=10, weights=(Weight("w", "float32", (2, 3000), 24_000),),
                  by_type={"float32": Total(1, 6000, 24_000)})  # fmt: skip
    assert comparison(model(), after) == [
        "m.onnx -> m.onnx",
        "  file          IR version: 8 -> 10 (+2)",
        "  weights       elements: 6 -> 6,000 (+5,994)",
        "                size: 24 bytes -> 24.0 kB (+24.0 kB)",
        "                size of float32: 24 bytes -> 24.0 kB (+24.0 kB)",
        "",
    ]
    assert [(one.name, one.bytes) for one in changes(model(), after)] == [
        ("IR version", False), ("elements", False), ("size", True), ("size of float32", True),
    ]  # fmt: skip


def test_operators_that_change_most_come_first() -> None:
    before, after = model(operators={"Add": 5, "Mul": 9, "Neg": 1}), model(operators={"Add": 4, "Mul": 2, "Relu": 3})
    assert [(one.name, one.before, one.after) for one in changes(before, after)] == [
        ("Mul", 9, 2), ("Relu", 0, 3), ("Add", 5, 4), ("Neg", 1, 0),
    ]  # fmt: skip


def test_description_of_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match=r"none\.onnx: no such file"):
        describe(tmp_path / "none.onnx")
