"""SG197: DynamicQuantizeLSTM, as onnxruntime's quantizer makes it of an LSTM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import surgery
from tests.surgery.passes.comparing import Case, parse, stays
from tests.surgery.passes.contrib import DOMAIN, builds, contrib, near, written
from verify.run.saturation import without_saturation

CODE = "SG197"
QUANTIZED = "w, r, b, , , , , s, z, t, z"  # every number of eight bits: weights, biases, scales and zero points
STORED = (
    "int8[1,2,4] w = {1, 2, 3, 4, 5, 6, 7, 8}, int8[1,1,4] r = {1, 2, 3, 4}, float[1,8] b = {1, 2, 3, 4, 5, 6, 7, 8}"
)
SCALES = "float[1] s = {0.1}, float[1] t = {0.2}, int8[1] z = {0}"
REWRITES = [
    contrib(
        "one direction",
        f"""g (float[S,N,2] x) => (float[S,1,N,1] y) <{STORED}, {SCALES}> {{
          y = com.microsoft.DynamicQuantizeLSTM<hidden_size = 1>(x, {QUANTIZED})
        }}""",
    ),
]
LEFT_ALONE = [
    contrib(
        "a clip",
        f"""g (float[S,N,2] x) => (float[S,1,N,1] y) <{STORED}, {SCALES}> {{
          y = com.microsoft.DynamicQuantizeLSTM<hidden_size = 1, clip = 3.0>(x, {QUANTIZED})
        }}""",
    ),
    contrib(
        "lengths of the sequences",
        f"""g (float[3,2,2] x, int32[2] n) => (float[3,1,2,1] y) <{STORED}, {SCALES}> {{
          y = com.microsoft.DynamicQuantizeLSTM<hidden_size = 1>(x, w, r, b, n, , , , s, z, t, z)
        }}""",
    ),
]


def lstm(direction: str, hidden: int, states: bool) -> onnx.ModelProto:
    """An LSTM with stored weights, with or without first states as inputs."""
    ways = 2 if direction == "bidirectional" else 1
    first = f", float[{ways},N,{hidden}] h, float[{ways},N,{hidden}] c" if states else ""
    outputs = f"float[S,{ways},N,{hidden}] y, float[{ways},N,{hidden}] yh, float[{ways},N,{hidden}] yc"
    model = parse(
        f"""g (float[S,N,6] x{first}) => ({outputs}) {{
          y, yh, yc = LSTM<hidden_size = {hidden}, direction = "{direction}">(x, w, r, b{", , h, c" if states else ""})
        }}""",
        17,
    )
    rng = np.random.default_rng(1)
    shapes = {"w": (ways, 4 * hidden, 6), "r": (ways, 4 * hidden, hidden), "b": (ways, 8 * hidden)}
    for name, shape in shapes.items():
        model.graph.initializer.append(numpy_helper.from_array(rng.uniform(-1, 1, shape).astype(np.float32), name))
    return model


def run_in_one_thread(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """What onnxruntime gives; with more threads it quantizes the rows of a batch apart."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return list(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, feeds))


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_rewrites(direction: str, states: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "lstm.onnx", tmp_path / "quantized.onnx"
    onnx.save(lstm(direction, 5, states), source)
    # With seven bits no sum of two products reaches 16 bits, whatever the processor.
    quantize_dynamic(source, target, weight_type=QuantType.QInt8, reduce_range=True)
    model = onnx.load(target)
    assert any(node.domain == DOMAIN and node.op_type == "DynamicQuantizeLSTM" for node in model.graph.node)
    fixed = written(model, CODE)
    ways = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(0)
    for length, batch in ((4, 2), (7, 1)):
        shapes = {"x": (length, batch, 6)} | ({"h": (ways, batch, 5), "c": (ways, batch, 5)} if states else {})
        feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        near(run_in_one_thread(model, feeds), run_in_one_thread(fixed, feeds), atol=2e-6, rtol=2e-5)
    builds(fixed, feeds)


def test_weights_of_eight_bits_are_written_plainly_whatever_the_processor(tmp_path: Path) -> None:
    """Products of 255 by 127 overflow 16 bits in onnxruntime's kernel on processors without VNNI."""
    source, target = tmp_path / "lstm.onnx", tmp_path / "quantized.onnx"
    onnx.save(lstm("bidirectional", 5, False), source)
    quantize_dynamic(source, target, weight_type=QuantType.QInt8)
    model = onnx.load(target)
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((7, 1, 6)).astype(np.float32)}
    fixed, report = surgery.fix_model(model, check_inputs=feeds)
    assert {check.status for check in report.checks if check.name == "parity"} == {"pass"}
    assert "DynamicQuantizeLSTM" not in {node.op_type for node in fixed.graph.node}
    near(run_in_one_thread(without_saturation(model), feeds), run_in_one_thread(fixed, feeds), atol=2e-6, rtol=2e-5)


def test_the_comparison_quantizes_the_whole_batch(tmp_path: Path) -> None:
    """With more threads onnxruntime gives other numbers, by a thousandth of their RMS."""
    source, target = tmp_path / "lstm.onnx", tmp_path / "quantized.onnx"
    onnx.save(lstm("bidirectional", 5, False), source)
    quantize_dynamic(source, target, weight_type=QuantType.QInt8, reduce_range=True)
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((7, 9, 6)).astype(np.float32)}
    _, report = surgery.fix_model(onnx.load(target), check_inputs=feeds)
    (parity,) = [check for check in report.checks if check.name == "parity"]
    assert parity.status == "pass"
    assert parity.figures["error"] < 1e-5


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
def test_large_weights_stay_in_eight_bits(kind: QuantType, per_channel: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "lstm.onnx", tmp_path / "quantized.onnx"
    onnx.save(lstm("bidirectional", 160, False), source)
    quantize_dynamic(source, target, weight_type=kind, reduce_range=True, per_channel=per_channel)
    model = onnx.load(target)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert "DynamicQuantizeLSTM" not in {node.op_type for node in fixed.graph.node}
    assert fixed.ByteSize() < 1.25 * model.ByteSize()  # floating point would take four times the bytes
    feeds = {"x": np.random.default_rng(0).standard_normal((3, 1, 6)).astype(np.float32)}
    near(run_in_one_thread(model, feeds), run_in_one_thread(fixed, feeds), atol=2e-6, rtol=2e-5)
    builds(fixed, feeds)
