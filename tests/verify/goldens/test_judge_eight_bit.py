"""What a golden of an eight-bit model lets pass, and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.verify.goldens.judging import golden, passes, write
from verify import record_golden


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


QUANTIZED = """g (float[N,1,32,32] x) => (float[N,4] y) {
    q = QuantizeLinear(x, s1, z)  d = DequantizeLinear(q, s1, z)
    w = DequantizeLinear(w8, sw)
    c = Conv<pads = [1, 1, 1, 1]>(d, w)  r = Relu(c)
    q2 = QuantizeLinear(r, s2, z)  d2 = DequantizeLinear(q2, s2, z)
    a = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(d2)
    q3 = QuantizeLinear(a, s2, z)  d3 = DequantizeLinear(q3, s2, z)
    m = ReduceMean<keepdims = 0>(d3, axes)
    q4 = QuantizeLinear(m, s3, z)  y = DequantizeLinear(q4, s3, z)
}"""


def quantized(w8: Any = None, s1: float = 0.03, text: str = QUANTIZED) -> Path:
    weight = np.random.default_rng(1).integers(-127, 127, (4, 1, 3, 3), dtype=np.int8) if w8 is None else w8
    scales = {"s1": s1, "s2": 0.05, "s3": 0.01, "sw": 0.01}
    return write(
        text,
        w8=weight,
        z=np.int8(0),
        axes=np.array([2, 3]),
        **{name: np.float32(value) for name, value in scales.items()},
    )


def test_one_step_of_one_eight_bit_weight_is_seen() -> None:
    record_golden(quantized())
    assert passes()
    changed = np.random.default_rng(1).integers(-127, 127, (4, 1, 3, 3), dtype=np.int8)
    changed[2, 0, 1, 1] += 1
    quantized(changed)
    (check,) = golden()
    assert check.status == "fail"


def test_another_rounding_of_ties_passes() -> None:
    """The same average in another order of operations: where it lies right between two steps it may fall either way."""
    record_golden(quantized())
    pool = "a = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(d2)"
    other = QUANTIZED.replace(pool, "p = Conv<strides = [2, 2], group = 4>(d2, mean) a = Mul(p, one)")
    model = onnx.load(quantized(text=other))
    model.graph.initializer.append(numpy_helper.from_array(np.full((4, 1, 2, 2), 0.25, np.float32), "mean"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 + 2**-22), "one"))
    onnx.save(model, "m.onnx")
    assert passes()


def test_a_model_that_quantises_at_fewer_places_is_compared_without_rounding() -> None:
    record_golden(quantized())
    pair = "q3 = QuantizeLinear(a, s2, z)  d3 = DequantizeLinear(q3, s2, z)"
    fewer = QUANTIZED.replace(pair, "d3 = Identity(a)")
    quantized(text=fewer)
    assert [(check.name, check.status) for check in golden()] == [("golden", "pass")]
    quantized(s1=0.0301, text=fewer)
    found = {check.name: check for check in golden()}
    seen = found["golden"].status == "fail"
    said = found.get("golden, unrounded", found["golden"]).message
    assert seen or said == "the model quantises at 3 places, the recorded one at 4"


def test_fused_eight_bit_operators_are_not_compared_where_they_round_at_other_places() -> None:
    """onnxruntime fuses QuantizeLinear, Conv and DequantizeLinear into one node, which rounds once."""
    import onnxruntime

    text = (
        "g (float[n,8,8,8] x) => (float[n,8,8,8] y) { a = QuantizeLinear(x, s, z)  b = DequantizeLinear(a, s, z) "
        "w = DequantizeLinear(q, s, z)  c = Conv<pads = [1, 1, 1, 1]>(b, w)  d = QuantizeLinear(c, t, z) "
        "y = DequantizeLinear(d, t, z) }"
    )
    numbers = np.random.default_rng(0).integers(-100, 100, (8, 8, 3, 3)).astype(np.int8)
    weights = {"s": np.float32(0.02), "z": np.int8(0), "t": np.float32(0.2), "q": numbers}
    path = write(text, **weights)
    record_golden(path)
    assert passes()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = "fused.onnx"
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert any(node.op_type == "QLinearConv" for node in onnx.load("fused.onnx").graph.node)
    Path("fused.onnx").rename(path)
    assert "fail" not in [check.status for check in golden()]
    write(text, **{**weights, "q": np.roll(numbers, 1, axis=0)})
    assert "fail" in [check.status for check in golden()]
