"""`surgery.fix` and `surgery.fix_model`: options of a wrong type are errors that say so."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import surgery
from verify.errors import SurgeonError

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] y) { [one] a = Identity(x) [two] b = Identity(a) y = Neg(b) }"""


def codes(**options: Any) -> set[str]:
    _, report = surgery.fix_model(onnx.parser.parse_model(MODEL), **options)
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("several", ["SG001", ("SG001",), ["SG001", "SG005"], {"sg0"}])
def test_a_string_is_one_code(several: Any) -> None:
    assert "SG001" in codes(select=several)
    assert "SG001" not in codes(ignore=several)


def test_a_string_is_one_node_and_one_output() -> None:
    fixed, _ = surgery.fix_model(onnx.parser.parse_model(MODEL), skip_nodes="two", outputs="b")
    assert [node.name for node in fixed.graph.node] == ["two"]
    assert [value.name for value in fixed.graph.output] == ["b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": 5}, "select=5: give a string or several, not int"),
        ({"ignore": ("SG001", 2)}, r"ignore=\('SG001', 2\): give a string or several, not tuple"),
        ({"select": "SG9999"}, "no pass has the code 'SG9999'"),
        ({"skip_nodes": {"one": 1}}, "skip_nodes=.*: give a string or several, not dict"),
        ({"outputs": 1.5}, "outputs=1.5: give a string or several, not float"),
        ({"target": None}, "target=None: give a string, not NoneType"),
        ({"fold_limit": "64K"}, "fold_limit='64K': give a whole number, not str"),
        ({"loop_limit": True}, "loop_limit=True: give a whole number, not bool"),
        ({"loop_limit": -1}, "loop_limit=-1: give a number that is not negative"),
        ({"spec": 3}, "spec=3: give a name, the path of a TOML file or a Spec, not int"),
        ({"input_shapes": "x:1"}, "input_shapes='x:1': give a dict by input name, not str"),
        ({"input_shapes": {"x": 2}}, r"input_shapes\['x'\]=2: give a list or tuple of numbers and names, not int"),
        ({"set_inputs": ["x"]}, r"set_inputs=\['x'\]: give a dict by input name, not list"),
        ({"check_inputs": 1}, "check_inputs=1: give the path of an .npz file, or arrays by input name, not int"),
        ({"guard": 0}, "guard=0: give True or False, not int"),
        ({"strict": "yes"}, "strict='yes': give True or False, not str"),
        ({"precision": 16}, "precision=16: give a string, not int"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; choose one of fp16, bf16, mixed"),
        ({"precision": "fp16", "max_error": "1"}, "max_error='1': give a number, not str"),
        ({"precision": "fp16", "max_error": 0}, "--max-error 0 is no budget"),
        ({"calibrate": 2}, "calibrate=2: give the path of an .npz file, or a Calibration, not int"),
    ],
)
def test_what_is_wrong_says_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        codes(**options)


def test_what_is_no_model_and_what_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match=r"give an onnx\.ModelProto; for a file there is"):
        surgery.fix_model("m.onnx")  # type: ignore[arg-type]
    with pytest.raises(SurgeonError, match=r"source_path: give a path; for a ModelProto there is surgery\.fix_model"):
        surgery.fix(onnx.ModelProto(), tmp_path / "o.onnx")  # type: ignore[arg-type]
    with pytest.raises(SurgeonError, match="source_path=1: give a path, not int"):
        surgery.fix(1, tmp_path / "o.onnx")  # type: ignore[arg-type]
    with pytest.raises(SurgeonError, match="in_place=1: give True or False, not int"):
        surgery.fix(tmp_path / "i.onnx", tmp_path / "o.onnx", in_place=1)  # type: ignore[arg-type]


def test_an_unknown_option_is_the_error_python_gives() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        codes(colour=1)


def test_both_functions_take_and_document_the_same_options() -> None:
    model, file = (inspect.signature(call).parameters for call in (surgery.fix_model, surgery.fix))
    shared = [name for name in model if name != "model"]
    only_files = ["source_path", "target_path", "in_place", "save_external_data", "isolated"]
    assert [name for name in file if name not in only_files] == shared
    for name in shared:
        assert (model[name].default, model[name].annotation) == (file[name].default, file[name].annotation)
        assert f" {name}: " in (surgery.fix_model.__doc__ or "")
        assert name in (surgery.fix.__doc__ or "")


def test_results_are_compared_on_the_inputs_that_half_precision_is_measured_on(tmp_path: Path) -> None:
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 4] x) => (float[977, 4] y) <int64[2] shape = {977, -1}> { a = Identity(x) y = Reshape(a, shape) }""")
    np.savez(tmp_path / "real.npz", x=np.ones((977, 4), np.float32))
    _, drawn = surgery.fix_model(model)
    _, real = surgery.fix_model(model, calibrate=tmp_path / "real.npz", strict=True)
    assert [next(c.status for c in report.checks if c.name == "parity") for report in (drawn, real)] == ["skip", "pass"]


def test_what_was_repaired_is_no_warning() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { a = Identity(x)  y = Relu(a) }'
    _, report = surgery.fix_model(onnx.parser.parse_model(text))
    assert {finding.severity for finding in report.findings} == {"note"}
    assert "warning" not in str(report)
