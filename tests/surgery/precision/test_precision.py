"""Half precision: what goes down, what stays and why, and that TensorRT takes every result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from surgery.precision.lower import lower
from surgery.precision.measure import error, run, with_zero_rows
from tests.surgery.precision.models import ATTENTION, BRANCHES, MASKED, OVERFLOW, SHAPES, feeds, types
from verify.compare.half_file import float32_nodes, in_float32
from verify.errors import SurgeonError
from verify.tensorrt import engine

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")


def built(model: onnx.ModelProto, folder: Path) -> Any:
    onnx.save(model, folder / "model.onnx")
    return engine.build(folder / "model.onnx")


@needs_tensorrt
@pytest.mark.parametrize("text", [ATTENTION, OVERFLOW, SHAPES, BRANCHES])
@pytest.mark.parametrize("precision", ["fp16", "bf16", "mixed"])
def test_every_result_keeps_its_interface_and_is_taken(text: str, precision: str, tmp_path: Path) -> None:
    model = parser.parse_model(text)
    lowered, result = lower(model, precision, feeds(model), max_error=0.05)
    assert result.within_budget
    assert list(lowered.graph.input) == list(model.graph.input)
    assert list(lowered.graph.output) == list(model.graph.output)
    onnx.checker.check_model(lowered, full_check=True)
    answer = built(lowered, tmp_path)
    assert answer.ok, (answer.refusals, answer.messages)


def test_attention_goes_down_with_one_cast_a_tensor() -> None:
    model = parser.parse_model(ATTENTION)
    lowered, result = lower(model, "fp16", feeds(model))
    assert [n.op_type for n in lowered.graph.node].count("Cast") == result.casts == 4
    assert result.lowered == {"fp16": 4}
    assert not result.stayed
    assert types(lowered)["s__fp16"] == onnx.TensorProto.FLOAT16


def test_what_overflows_stays_and_is_named() -> None:
    model = parser.parse_model(OVERFLOW)
    _, result = lower(model, "fp16", feeds(model))
    stayed = {node.name: node.why for node in result.stayed}
    assert set(stayed) == {"wide", "square", "node_of_r"}
    assert stayed["wide"] == "has no neighbour in half precision: its Casts would cost more than it saves"
    assert "'s' reaches" in stayed["square"]
    _, wide = lower(model, "bf16", feeds(model), max_error=0.05)
    assert not wide.stayed


def test_what_costs_too_much_stays_and_attention_is_given_up_last() -> None:
    text = ATTENTION.replace("y = MatMul(p, v)", "o = MatMul(p, v)  t = Sub(o, half)  z = Add(t, half)  y = Mul(z, z)")
    text = text.replace("(float[1,2,32,16] y) {", "(float[1,2,32,16] y) <float half = {3000}> {")
    model = parser.parse_model(text)
    lowered, result = lower(model, "fp16", feeds(model))
    assert result.within_budget
    assert {node.op for node in result.stayed} >= {"Sub", "Add"}
    assert all("moves an output by" in node.why or "no neighbour in half" in node.why for node in result.stayed)
    assert types(lowered)["s__fp16"] == onnx.TensorProto.FLOAT16


def test_the_error_is_that_of_a_real_half_model() -> None:
    """Inputs rounded, summed in float32, the sum rounded: what tensor cores do, and NumPy here."""
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> a (float[8,64] x, float[64,8] w) => (float[8,8] y) {y = MatMul(x, w)}'
    )
    given = feeds(model)
    _, result = lower(model, "fp16", given)
    x, w = (given[0][name].astype(np.float16).astype(np.float32) for name in ("x", "w"))
    real = error(given[0]["x"] @ given[0]["w"], (x @ w).astype(np.float16).astype(np.float32))
    assert result.errors["y"] == pytest.approx(real, rel=1e-3)
    assert 1e-5 < real < 1e-3


def test_onnxruntime_drops_roundings_that_the_measure_keeps() -> None:
    """Why errors are not measured on the half model: x + 16384 - 16384 loses bits on a GPU only."""
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> a (float[64] x) => (float[64] y) <float c = {16384}> '
        "{ s = Add(x, c)  y = Sub(s, c) }"
    )
    given = feeds(model)
    lowered, result = lower(model, "fp16", given, max_error=100.0)
    assert error(run(model, given)[0]["y"], run(lowered, given)[0]["y"]) < 0.01
    assert result.errors["y"] > 0.5


def test_skipped_nodes_and_sizes_stay_as_they_are() -> None:
    model = parser.parse_model(SHAPES)
    lowered, _ = lower(model, "fp16", feeds(model))
    (resize,) = [node for node in lowered.graph.node if node.op_type == "Resize"]
    assert resize.input[2] == "scales"
    kinds = {tensor.name: tensor.data_type for tensor in lowered.graph.initializer}
    assert kinds["scales"] == onnx.TensorProto.FLOAT
    model = parser.parse_model(OVERFLOW)
    _, result = lower(model, "bf16", feeds(model), 0.05, skip_nodes=frozenset({"last"}))
    assert sum(result.lowered.values()) == 4


def test_a_mask_cut_at_a_threshold_is_judged_by_elements() -> None:
    reference, found = np.full(100, -10.0, np.float32), np.full(100, -10.0, np.float32)
    reference[:50] = found[:51] = 10.0
    assert error(reference, found) == pytest.approx(0.01)
    assert error(np.float32([1, np.nan]), np.float32([1, 2])) == float("inf")


def test_errors_for_users() -> None:
    model = parser.parse_model(ATTENTION)
    with pytest.raises(SurgeonError, match="--calibrate"):
        lower(model, "fp16", [])
    with pytest.raises(SurgeonError, match="unknown precision"):
        lower(model, "fp8", feeds(model))


def test_attention_can_be_kept_unfused() -> None:
    model = parser.parse_model(ATTENTION)
    _, result = lower(model, "fp16", feeds(model), unfused_attention=True)
    assert {(node.op, node.why) for node in result.stayed} == {
        (op, "--unfused-attention keeps attention in float32") for op in ("MatMul", "Softmax")
    } | {("Transpose", "moves data between nodes in float32")}
    assert not result.lowered


def test_weights_are_halved() -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> a (float[8,64] x) => (float[8,64] y) {y = MatMul(x, w)}'
    )
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    lowered, _ = lower(model, "fp16", [{"x": weights[:8]}])
    (kept,) = lowered.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(kept), weights.astype(np.float16))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from /proc")
def test_looking_at_every_tensor_does_not_keep_them_all() -> None:
    """60 tensors of 16 MB: all of them would be a gigabyte."""
    code = r"""
import re, numpy as np, onnx
from onnx import parser
from surgery.precision.measure import with_zero_rows, magnitudes
nodes = "".join(f"t{i + 1} = Sin(t{i}) " for i in range(60))
model = parser.parse_model('<ir_version: 8, opset_import: ["" : 18]> g (float[4194304] t0) => (float[4194304] t60) {'
                           + nodes + '}')
found = magnitudes(model, [f"t{i}" for i in range(61)], [{"t0": np.full(4194304, 2.0, np.float32)}])
assert len(found) == 61 and found["t0"] == 2.0 and abs(found["t1"] - 0.9093) < 1e-3
print(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 600_000  # kB


NORM = """<ir_version: 8, opset_import: ["" : 17]>
a (float[4,16] x) => (float[4,16] y) <float eps = {1e-12}, int64[1] last = {1}> {
    s = Mul(x, x)  m = ReduceSum(s, last)  [safe] e = Add(m, eps)  r = Sqrt(e)  n = Div(x, r)  y = Relu(n)
}"""


@pytest.mark.parametrize("precision", ["fp16", "mixed"])
def test_an_epsilon_never_becomes_zero(precision: str, tmp_path: Path) -> None:
    model = parser.parse_model(NORM)
    lowered, result = lower(model, precision, feeds(model), max_error=0.05)
    assert {node.name: node.why for node in result.stayed}["safe"] == "constant 'eps' is 0 or infinite in fp16"
    x = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
    x[2] = 0
    assert np.isfinite(run(lowered, [{"x": x}])[0]["y"]).all()


def test_single_tiny_weights_do_not_keep_a_product_in_float32() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> a (float[8,64] x) => (float[8,64] y) {y = MatMul(x, w)}'
    model = parser.parse_model(text)
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    weights[3, 5] = 1e-9
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    assert lower(model, "fp16", feeds(model))[1].lowered == {"fp16": 1}
    weights[3, 5] = 1e6
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    assert lower(model, "fp16", feeds(model))[1].lowered == {}


def _masked(lowest: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """A masked attention, and inputs of which the last row of `seen` hides every key."""
    model = parser.parse_model(MASKED.replace("LOWEST", "0"))
    values = np.float32(np.finfo(np.float32).min if lowest == "lowest" else -np.inf)
    index = next(i for i, tensor in enumerate(model.graph.initializer) if tensor.name == "lowest")
    model.graph.initializer[index].CopyFrom(numpy_helper.from_array(values, "lowest"))
    given = {name: value for name, value in feeds(model)[0].items() if name != "seen"}
    given["seen"] = np.ones((2, 32), np.int64)
    given["seen"][:, 20:] = 0
    return model, given


@pytest.mark.parametrize("precision", ["fp16", "bf16", "mixed"])
def test_a_mask_of_the_lowest_number_is_bounded_and_attention_goes_down(precision: str) -> None:
    model, given = _masked("lowest")
    lowered, result = lower(model, precision, [given])
    kinds = types(lowered)
    half = "bf16" if precision == "bf16" else "fp16"
    assert kinds[f"s__{half}"] != onnx.TensorProto.FLOAT
    assert kinds[f"p__{half}"] != onnx.TensorProto.FLOAT
    assert {node.op for node in result.stayed} <= {"Where", "Unsqueeze", "Max"}
    hidden = {**given, "seen": np.zeros_like(given["seen"])}
    expected, found = (run(m, [hidden])[0]["y"] for m in (model, in_float32(lowered)))
    assert np.isfinite(found).all()
    assert error(expected, found) < 0.01


def test_a_mask_of_infinity_goes_down_as_it_is() -> None:
    model, given = _masked("infinity")
    lowered, result = lower(model, "fp16", [given])
    assert "Max" not in {node.op_type for node in lowered.graph.node}
    assert types(lowered)["mask__fp16"] == onnx.TensorProto.FLOAT16
    assert not result.stayed


def test_a_mask_that_something_else_reads_or_that_is_skipped_is_not_bounded() -> None:
    model, given = _masked("lowest")
    assert "Max" not in _operators(lower(model, "fp16", [given], skip_nodes=frozenset({"node_of_t"}))[0])
    model.graph.output.append(onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, None))
    lowered, _ = lower(model, "fp16", [given])
    assert "Max" not in _operators(lowered)
    np.testing.assert_array_equal(run(lowered, [given])[0]["t"][..., 20:], np.finfo(np.float32).min)


def _operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def test_every_float32_node_of_the_result_has_a_reason() -> None:
    plain = [parser.parse_model(text) for text in (OVERFLOW, SHAPES, BRANCHES)]
    masked, given = _masked("lowest")
    for model, inputs in (*((model, feeds(model)[0]) for model in plain), (masked, given)):
        lowered, result = lower(model, "fp16", [inputs])
        assert len(result.stayed) == float32_nodes(lowered)
        assert all(node.why for node in result.stayed)


def test_rows_of_whole_numbers_are_zero_too_where_the_model_takes_them() -> None:
    model, given = _masked("lowest")
    (zeroed,) = with_zero_rows(model, given)
    assert not zeroed["seen"][-1].any()
    assert zeroed["seen"][0].any()
    assert not zeroed["q"][0, 0, 0].any()
    unbounded, _ = _masked("infinity")
    (kept,) = with_zero_rows(unbounded, given)  # a row that is hidden whole gives NaN here
    np.testing.assert_array_equal(kept["seen"], given["seen"])
