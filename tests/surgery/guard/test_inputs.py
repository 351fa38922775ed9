"""Which inputs the guard tries."""

from __future__ import annotations

from itertools import islice

import numpy as np
import onnx
import pytest

import surgery
from surgery.guard.inputs import edge_cases, input_sets
from surgery.guard.reference import run_original
from verify.inputs.draw import free_dims


@pytest.mark.parametrize(
    ("dims", "wanted"),
    [("B,3,H,W", (2, 3, 32, 32)), ("B,H,W", (2, 32, 32)), ("N", (32,)), ("1,3,H,W", (1, 3, 32, 32))],
)
def test_a_large_picture_comes_in_a_small_batch(dims: str, wanted: tuple[int, ...]) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] x) => (float[{dims}] y) {{ y = Relu(x) }}'
    shapes = [feeds["x"].shape for feeds in islice(input_sets(onnx.parser.parse_model(text)), 9)]
    assert wanted in shapes
    assert next(shape for shape in shapes if shape[-1] == 32) == wanted


@pytest.mark.parametrize(("dims", "wanted"), [("B,N", (2, 4096)), ("N", (4096,)), ("1,3,H,W", None)])
def test_sound_is_long_and_pictures_are_not(dims: str, wanted: tuple[int, ...] | None) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] x) => (float[{dims}] y) {{ y = Relu(x) }}'
    shapes = [feeds["x"].shape for feeds in input_sets(onnx.parser.parse_model(text))]
    assert shapes[-1] == (wanted or (1, 3, 224, 224))


def edges(text: str) -> list[dict[str, np.ndarray]]:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    return list(edge_cases(model, next(input_sets(model))))


def test_edge_cases_are_zeros_negative_large_and_empty() -> None:
    found = edges("g (float[n, 4] x, int64[2] i, float s) => (float[n, 4] y) { y = Mul(x, s) }")
    values = [feeds["x"] for feeds in found]
    assert all(feeds["x"].dtype == np.float32 for feeds in found)
    assert len({float(feeds["s"]) for feeds in found[:6]}) == 1, "a single number is a parameter, not data"
    assert not values[0].any()
    assert (values[1] <= 0).all()
    assert np.abs(values[2]).max() > 50
    assert np.signbit(values[3]).all()
    assert np.isnan(values[4]).sum() == 2
    assert np.isposinf(values[5]).sum() == np.isneginf(values[5]).sum() == 1
    assert [value.shape for value in values[6:]] == [(1, 4), (0, 4)]
    assert all(feeds["i"].dtype == np.int64 for feeds in found)


def test_integers_have_no_edge_cases_of_floats() -> None:
    assert edges("g (int64[3] x) => (int64[3] y) { y = Neg(x) }") == []


def test_sizes_that_are_sums_add_up() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float["past", 2] a, float["seq", 2] b, float["past + seq", 2] c, float["batch-size"] d) => (float[m, 2] y) {
      s = Concat<axis = 0>(a, b) y = Add(s, c) }"""
    for name, dim in (("past", 0), ("seq", 1)):
        text = text.replace(f'"{name}"', f"p{dim}")
    model = onnx.parser.parse_model(text.replace('"past + seq"', "p2").replace('"batch-size"', "p3"))
    for value, name in zip(model.graph.input, ("past", "seq", "past + seq", "batch-size"), strict=True):
        value.type.tensor_type.shape.dim[0].dim_param = name
    assert free_dims(model) == ["past", "seq", "batch-size"]
    for feeds in islice(input_sets(model), 5):
        assert len(feeds["c"]) == len(feeds["a"]) + len(feeds["b"])
    _, report = surgery.fix_model(model)
    assert "unchecked" not in " ".join(check.message for check in report.checks)


MASKED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[3, 2] x, bool[3, 2] m) => (float[3, 2] y) <float low = {-inf}> {
  i = Identity(x) s = Where(m, i, low) y = Softmax<axis = 1>(s) }"""


def test_a_draw_on_which_the_original_gives_nan_does_not_count() -> None:
    model = onnx.parser.parse_model(MASKED.replace("{-inf}", "{-1.0}"))
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.float32(-np.inf), "low"))
    found = run_original(model, model)
    assert found.sets
    drawn = [outputs["y"] for inputs, outputs in found.sets if np.isfinite(inputs["x"]).all()]
    assert drawn
    assert not any(np.isnan(output).any() for output in drawn)
    assert found.with_nan > 0


def test_a_model_that_always_gives_nan_is_compared_all_the_same() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[64] x) => (float[64] y) { i = Identity(x) y = Sqrt(i) }'
    )
    found = run_original(model, model)
    assert np.isnan(found.sets[0][1]["y"]).any()
    assert found.with_nan == 0


def test_dims_that_are_all_free_are_not_all_large() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[k, m, 4, k] x) => (float[k, m, 4, k] y) { y = Neg(x) }'
    )
    assert max(drawn["x"].size for drawn in input_sets(model)) <= 1 << 23


@pytest.mark.parametrize(
    ("op", "empty"),
    [
        ("Relu", True),
        ("com.microsoft.DynamicQuantizeLSTM", False),
        ("com.microsoft.QAttention", False),
        ("GRU", False),
        ("LSTM", False),
        ("InstanceNormalization", False),
        ("Einsum", False),
    ],
)
def test_no_dim_is_empty_where_onnxruntime_would_end_its_process(op: str, empty: bool) -> None:
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (float[n,4] x) => (float[n,4] y) {{ y = {op}(x) }}""")
    sizes = {values["x"].size for values in edge_cases(model, {"x": np.ones((2, 4), np.float32)})}
    assert (0 in sizes) == empty


JOINED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[6, n, 3] x) => (float[6, m, 4] y) <float[6, 3, 1] c = {%s}> { i = Identity(x) y = Concat<axis = 2>(i, c) }"""


def test_an_empty_size_at_which_nothing_is_defined_does_not_condemn() -> None:
    model = onnx.parser.parse_model(JOINED % ", ".join("1" * 18))
    assert any(feeds["x"].shape == (6, 0, 3) for feeds in edge_cases(model, {}))
    found = run_original(model, model)
    assert {inputs["x"].shape for inputs, _ in found.sets} == {(6, 3, 3)}, (
        "onnxruntime runs (6, 0, 3) and fills nothing"
    )


def test_an_empty_size_that_onnx_defines_is_tried() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[n, 3] x) => (float[n, 3] y) { i = Identity(x) y = Relu(i) }'
    )
    assert (0, 3) in {inputs["x"].shape for inputs, _ in run_original(model, model).sets}
