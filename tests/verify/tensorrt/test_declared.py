"""TensorRT's dims and types of inputs and outputs against those that a file declares."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from verify.tensorrt import engine
from verify.tensorrt.check import check_tensorrt, verdicts_of
from verify.tensorrt.declared import undeclared
from verify.tensorrt.engine import Port

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")


def declaring(shape: str, dtype: str = "float") -> onnx.ModelProto:
    text = f"m (float[n,t,8] x) => ({dtype}[{shape}] y) {{ y = Relu(x) }}"
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')


def said_of(model: onnx.ModelProto, name: str, dtype: str, dims: tuple[int, ...]) -> list[str]:
    """The sentences for an output of these dims beside an input that is as declared."""
    return list(undeclared(model, [Port("input", "x", "FLOAT", (-1, -1, 8)), Port("output", name, dtype, dims)]))


@pytest.mark.parametrize(
    ("declared", "found", "dtype"),
    [
        ("n,t,8", (-1, -1, 8), "FLOAT"),
        ("n,t,8", (-1, -1, -1), "FLOAT"),  # TensorRT does not know a dim that the file knows
        ("n,what,8", (-1, 4, 8), "FLOAT"),  # the exporter did not know a dim that TensorRT knows
        ("2,n,8", (2, 4, 8), "FLOAT"),  # the name of a dim on another axis, as some exporters reuse it
        ("n,?,8", (-1, 4, 8), "FLOAT"),
    ],
)
def test_dims_that_do_not_contradict(declared: str, found: tuple[int, ...], dtype: str) -> None:
    assert said_of(declaring(declared), "y", dtype, found) == []


@pytest.mark.parametrize(
    ("declared", "found", "said"),
    [
        ("n,t,8", (-1, 8, -1), "as [?, 8, ?], the file declares [n, t, 8]: transposed?"),
        ("n,t,8", (-1, -1, 4), "as [?, ?, 4], the file declares [n, t, 8]: dim 2 is 4, whatever the inputs are"),
        ("n,t,8", (1, -1, 8), "as [1, ?, 8], the file declares [n, t, 8]: dim 0 is 1, whatever the inputs are"),
        ("n,t,8", (-1, 8), "as [?, 8], the file declares [n, t, 8]: rank 2 instead of 3"),
        ("2,8", (8, 2), "as [8, 2], the file declares [2, 8]: transposed?"),
    ],
)
def test_dims_that_contradict(declared: str, found: tuple[int, ...], said: str) -> None:
    (sentence,) = said_of(declaring(declared), "y", "FLOAT", found)
    assert sentence == f"TensorRT reads output y {said}"


@pytest.mark.parametrize(
    ("declared", "found", "right"),
    [
        ("float", "FLOAT", True),
        ("double", "FLOAT", True),
        ("int64", "INT64", True),
        ("int64", "INT32", True),
        ("float16", "FLOAT", False),
        ("int32", "INT64", False),
        ("bool", "INT32", False),
        ("string", "FLOAT", True),  # no type of TensorRT, so that nothing is known of it
    ],
)
def test_types(declared: str, found: str, right: bool) -> None:
    wrong = said_of(declaring("n,t,8", declared), "y", found, (-1, -1, 8))
    assert wrong == ([] if right else [f"TensorRT reads output y as {found}, the file declares {declared.upper()}"])


def test_names_that_only_one_side_has() -> None:
    assert said_of(declaring("n,t,8"), "other", "FLOAT", (-1, -1, 8)) == [
        "TensorRT has no output y, which the file declares",
        "TensorRT has an output other, which the file does not declare",
    ]


def test_an_output_of_unknown_rank_still_has_a_type() -> None:
    model = declaring("n,t,8")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert said_of(model, "y", "FLOAT", (-1, 4)) == []
    assert said_of(model, "y", "INT32", (-1, 4)) == ["TensorRT reads output y as INT32, the file declares FLOAT"]


@needs_tensorrt
def test_a_graph_that_gives_other_dims_than_it_declares_fails(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        m (float[n,t,8] x) => (float[n,8,t] y, float[n,t,8] z) <int64[3] fixed = {2,4,8}> {
            y = Transpose<perm = [0, 2, 1]>(x)
            z = Reshape(x, fixed)
        }"""
    )
    onnx.save(model, path)
    point = (2, 4, 8)
    checks = {check.name: check for check in check_tensorrt(path, {"x": (point, point, point)})}
    said = "TensorRT reads output z as [2, 4, 8], the file declares [n, t, 8]: dim 0 is 2, whatever the inputs are"
    assert (checks["tensorrt interface"].status, checks["tensorrt interface"].message) == ("fail", said)
    assert verdicts_of(list(checks.values()))[0].state == "accepted"  # TensorRT itself takes the file
    for dim in model.graph.output[1].type.tensor_type.shape.dim:
        dim.Clear()
    onnx.save(model, path)
    assert "tensorrt interface" not in {check.name for check in check_tensorrt(path, None)}
