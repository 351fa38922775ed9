"""Each way a model can depart from the documented interface is found and said in one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest

from verify.errors import SurgeonError
from verify.interface.check import check_form, check_shapes
from verify.interface.spec import Spec, load_spec

SPEC = """\
name = "toy"
[symbols]
rows = [1, 2, 4]
columns = [1, 2, 4]
[modules.toy]
inputs = [{ name = "alpha", dims = ["rows", 4, 8] }, { name = "beta", dims = ["columns"] }]
outputs = [{ name = "gamma", dims = ["rows", 4] }, { name = "delta", dims = [] }]
"""
INPUTS = "float[rows,4,8] alpha, float[columns] beta"
OUTPUTS = "float[rows,4] gamma, float delta"


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    path = tmp_path / "toy.toml"
    path.write_text(SPEC)
    return load_spec(path)["toy"]


def model(inputs: str = INPUTS, outputs: str = OUTPUTS) -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> toy ({inputs}) => ({outputs}) {{ gamma = ReduceSum(alpha) }}'
    )


def test_the_documented_interface_passes(spec: Spec) -> None:
    assert {check.status for check in check_shapes(model(), spec)} == {"pass"}


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        (
            "float[rows,4,8] alpha_1, float[columns] beta",
            OUTPUTS,
            "input alpha is missing; the model has alpha_1: renamed?",
        ),
        ("float[rows,4,8] x, float[columns] beta", OUTPUTS, "input alpha is missing; the model has x: renamed?"),
        ("float[columns] beta", OUTPUTS, "input alpha is missing"),
        (f"{INPUTS}, float[3] more", OUTPUTS, "input more is not in the spec"),
        (
            "float[columns] beta, float[rows,4,8] alpha",
            OUTPUTS,
            "inputs come as beta, alpha; the spec says alpha, beta",
        ),
        (
            "float[rows,8,4] alpha, float[columns] beta",
            OUTPUTS,
            "input alpha is [rows, 8, 4], the spec says [rows, 4, 8]: transposed?",
        ),
        ("float[rows,4,9] alpha, float[columns] beta", OUTPUTS, "dim 2 is wrong"),
        ("float[rows,4] alpha, float[columns] beta", OUTPUTS, "rank 2 instead of 3"),
        ("float[2,4,8] alpha, float[columns] beta", OUTPUTS, "dim 0 must stay dynamic"),
        ("int32[rows,4,8] alpha, float[columns] beta", OUTPUTS, "input alpha is int32, the spec says float32"),
        (
            INPUTS,
            "float[rows,n] gamma, float delta",
            "output gamma is [rows, n], the spec says [rows, 4]: dim 1 lost its size",
        ),
        (INPUTS, "float[rows,?] gamma, float delta", "dim 1 lost its size"),
        (INPUTS, "float[] gamma, float delta", "output gamma has no shape"),
        (
            "float[n,4,8] alpha, float[n] beta",
            "float[n,4] gamma, float delta",
            "dim name 'n' stands for both rows and columns",
        ),
    ],
)
def test_departures(spec: Spec, inputs: str, outputs: str, said: str) -> None:
    failed = [check.message for check in check_shapes(model(inputs, outputs), spec) if check.status == "fail"]
    assert any(said in message for message in failed), failed
    assert all("\n" not in message for message in failed)


def test_only_the_departure_fails(spec: Spec) -> None:
    checks = check_shapes(model("float[rows,8,4] alpha, float[columns] beta"), spec)
    assert [check.name for check in checks if check.status == "fail"] == ["input alpha"]


def test_an_initializer_is_no_input(spec: Spec) -> None:
    proto = model(f"{INPUTS}, float[1] weight")
    proto.graph.initializer.append(onnx.helper.make_tensor("weight", 1, [1], [0.5]))
    assert all(check.status == "pass" for check in check_shapes(proto, spec))


def test_a_file_is_read(spec: Spec, tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "toy.onnx")
    assert all(check.status == "pass" for check in check_shapes(tmp_path / "toy.onnx", spec))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"not a model at all, but long enough to be looked at", "not an ONNX model")],
)
def test_a_file_that_cannot_be_read(spec: Spec, tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurgeonError, match=rf"broken\.onnx: {reason}"):
        check_shapes(path, spec)


def test_a_declared_type_that_is_not_the_one_computed_is_not_well_formed(tmp_path: Path) -> None:
    path = tmp_path / "lie.onnx"
    text = '<ir_version: 9, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Cast<to = TYPE>(x) }'
    onnx.save(onnx.parser.parse_model(text.replace("TYPE", "1")), path)
    assert check_form(path, onnx.load(path)).status == "pass"
    onnx.save(onnx.parser.parse_model(text.replace("TYPE", "11")), path)
    found = check_form(path, onnx.load(path))
    assert found.status == "fail"
    assert found.message.startswith("declared types or shapes are not those that ONNX infers: ")
