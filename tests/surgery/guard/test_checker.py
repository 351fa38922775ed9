"""Checking a large model weight by weight finds what checking it whole finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from surgery.guard import checker, prove
from surgery.guard.original import Original


def model_of(body: str, version: int = 9) -> onnx.ModelProto:
    text = (
        f'<ir_version: {version}, opset_import: ["" : 20]> agraph (float[N, 512] x) => (float[N, 512] y) {{ {body} }}'
    )
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((512, 512), np.float32), "w"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "small"))
    return model


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(checker, "LARGE", 1 << 10)

    def check(model: onnx.ModelProto) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        checker.check(model, str(path))

    return check


@pytest.mark.parametrize("version", [9, 3])
def test_a_valid_model_passes(checked, version: int) -> None:  # type: ignore[no-untyped-def]
    model = model_of("y = MatMul(x, w)", version)
    if version < 4:
        for tensor in model.graph.initializer:
            model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    checked(model)


@pytest.mark.parametrize("body", ["y = MatMul(x, nobody)", "w = Relu(x) y = MatMul(x, w)", "y = NoSuchOperator(x, w)"])
def test_a_graph_that_is_not_valid_fails(checked, body: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(onnx.checker.ValidationError):
        checked(model_of(body))


def test_a_weight_that_is_cut_short_fails(checked) -> None:  # type: ignore[no-untyped-def]
    model = model_of("y = MatMul(x, w)")
    model.graph.initializer[0].float_data.append(1.0)
    with pytest.raises(onnx.checker.ValidationError):
        checked(model)


def test_a_small_model_is_checked_whole() -> None:
    with pytest.raises(onnx.checker.ValidationError):
        checker.check(model_of("y = MatMul(x, nobody)"), model_of("y = MatMul(x, nobody)"))


def declared(size: int) -> onnx.ModelProto:
    """A model that declares its output to have this size; it has two."""
    head = '<ir_version: 9, opset_import: ["" : 20]>'
    text = f"{head} g (float[2] x) => (float[{size}] y) {{ i = Identity(x)  y = Relu(i) }}"
    return parser.parse_model(text)


def test_declared_shapes_that_onnx_contradicts_count_where_the_original_has_none() -> None:
    good, bad = declared(2), declared(3)
    checker.check(bad, bad)
    with pytest.raises(onnx.shape_inference.InferenceError):
        checker.check(bad, bad, full=True)
    assert prove.well_formed(Original(good, good), bad, bad).status == "fail"
    assert prove.well_formed(Original(bad, bad), declared(3), declared(3)).status == "pass"
