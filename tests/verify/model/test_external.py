"""Weights stored outside a model are found wherever they stand in it, and only inside its folder."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, parser

from verify.errors import SurgeonError
from verify.model.external import external_entry, external_files, external_tensors, read_external
from verify.model.read import read_model

BRANCH = """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
g (bool c) => (float[2] y) {
  k = Constant<value = float[2] {1, 2}>()
  y = If(c) <then_branch = t () => (float[2] u) { u = Constant<value = float[2] {3, 4}>() },
             else_branch = e () => (float[2] v) { w = Constant<value = float[2] {5, 6}>() v = own.f(w) }>
}
<opset_import: ["" : 20], domain: "own"> f (a) => (b) { d = Constant<value = float[2] {7, 8}>() b = Add(a, d) }"""


def outside(tensor: TensorProto, location: str, offset: str | None = None, length: str | None = None) -> None:
    tensor.ClearField("float_data")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=value)


def with_initializer(location: str, offset: str | None = None, length: str | None = None) -> onnx.ModelProto:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) {y = Add(x, w)}'
    )
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    outside(model.graph.initializer[0], location, offset, length)
    return model


def test_places_in_branches_functions_and_lists_of_tensors(tmp_path: Path) -> None:
    model = parser.parse_model(BRANCH)
    found = [model.graph.node[0].attribute[0].t]
    found += [graph.g.node[0].attribute[0].t for graph in model.graph.node[1].attribute]
    found.append(model.functions[0].node[0].attribute[0].t)
    for number, tensor in enumerate(found):
        outside(tensor, f"{number % 3}.bin", "4", "8")
    listed = model.graph.node[0].attribute.add(name="more", type=onnx.AttributeProto.TENSORS).tensors.add()
    outside(listed, "listed.bin")
    assert [external_entry(tensor) for tensor in external_tensors(model)] == [
        ("0.bin", 4, 8),
        ("listed.bin", 0, None),
        ("1.bin", 4, 8),
        ("2.bin", 4, 8),
        ("0.bin", 4, 8),
    ]
    files = external_files(tmp_path / "m.onnx", model)
    assert files == [tmp_path / name for name in ("0.bin", "listed.bin", "1.bin", "2.bin")]
    assert list(external_tensors(parser.parse_model(BRANCH))) == []


@pytest.mark.parametrize(
    ("offset", "length", "size", "fits"),
    [("0", "8", 8, True), ("4", "8", 12, True), ("4", "8", 11, False), (None, "8", 7, False), (None, None, 0, True)],
)
def test_external_data_must_be_long_enough(
    tmp_path: Path, offset: str | None, length: str | None, size: int, fits: bool
) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(size))
    onnx.save(with_initializer("w.bin", offset, length), tmp_path / "m.onnx")
    if fits:
        assert read_model(tmp_path / "m.onnx").graph.initializer[0].name == "w"
    else:
        with pytest.raises(SurgeonError, match=f"cut short \\({size} of "):
            read_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["/etc/passwd", "../w.bin", "sub/../../w.bin", "..\\w.bin", "C:\\w.bin", ""])
def test_external_data_outside_the_folder_is_not_opened(tmp_path: Path, location: str) -> None:
    onnx.save(with_initializer(location), tmp_path / "m.onnx")
    with pytest.raises(SurgeonError, match="is outside the model's folder and was not opened"):
        read_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["sub/w.bin", "sub/../w.bin", "./w.bin"])
def test_external_data_inside_the_folder_is_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("w.bin", "sub/w.bin"):
        (tmp_path / name).write_bytes(bytes(8))
    onnx.save(with_initializer(location), tmp_path / "m.onnx")
    assert read_model(tmp_path / "m.onnx").graph.name == "g"


@pytest.mark.parametrize(("offset", "length"), [("x", "8"), ("0", "eight"), ("-4", "8"), ("0", "-8")])
def test_offset_and_length_must_be_numbers(tmp_path: Path, offset: str, length: str) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(16))
    onnx.save(with_initializer("w.bin", offset, length), tmp_path / "m.onnx")
    with pytest.raises(SurgeonError, match=r"m\.onnx: offset or length of the external data of 'w' is not a number"):
        read_model(tmp_path / "m.onnx")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "w.bin").symlink_to(tmp_path / "secret.bin")
    onnx.save(with_initializer("w.bin"), tmp_path / "models" / "m.onnx")
    with pytest.raises(SurgeonError, match="outside the model's folder and was not opened; copy the file"):
        read_model(tmp_path / "models" / "m.onnx")


def test_bytes_of_a_tensor(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(range(12)))
    tensor = with_initializer("w.bin", "4", "8").graph.initializer[0]
    assert read_external(tensor, tmp_path) == bytes(range(4, 12))
    outside(tensor, "w.bin", "10")
    assert read_external(tensor, tmp_path) == bytes([10, 11])
    outside(tensor, "w.bin", "8", "8")
    with pytest.raises(SurgeonError, match=r"external data 'w\.bin' of 'w' is cut short; fetch it again"):
        read_external(tensor, tmp_path)
