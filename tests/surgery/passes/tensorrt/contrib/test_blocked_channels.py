"""SG174: operators of com.microsoft.nchwc, made by onnxruntime's optimizer at its highest level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import surgery
from surgery.passes.tensorrt.contrib.blocked_channels import block_size, in_order
from tests.surgery.passes.comparing import Case, drawn, keeps_values, parse, run, stays
from tests.surgery.passes.contrib import builds, near

PICTURE = "float[B,{channels},12,12] x"
MODELS = {  # name: channels of the picture, text of the nodes, shapes of the weights
    "few channels": (3, "y = Conv<pads = [1,1,1,1]>(x, w)", {"w": [16, 3, 3, 3]}),
    "many channels, fused": (
        16, "a = Conv<pads = [1,1,1,1]>(x, w, b) c = Add(a, x) y = Relu(c)", {"w": [16, 16, 3, 3], "b": [16]},
    ),
    "a channel each": (16, "a = Conv<group = 16>(x, w) y = LeakyRelu<alpha = 0.2>(a)", {"w": [16, 1, 3, 3]}),
    "groups": (32, "y = Conv<group = 2>(x, w)", {"w": [32, 16, 3, 3]}),
    "no whole number of blocks": (12, "a = Conv(x, w) y = Conv(a, v)", {"w": [20, 12, 1, 1], "v": [12, 20, 1, 1]}),
    "clipped": (16, "a = Conv(x, w) y = Clip(a, l, h)", {"w": [16, 16, 1, 1], "l": [], "h": []}),
    "pools": (
        16,
        """a = Conv(x, w) m = MaxPool<kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]>(a) n = AveragePool<
           kernel_shape = [2,2], count_include_pad = 1, pads = [1,1,1,1]>(m) g = GlobalAveragePool(n) y = Mul(n, g)""",
        {"w": [16, 16, 1, 1]},
    ),
    "larger": (
        16,
        """a = Conv(x, w) n = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode =
           "floor">(a, , s) l = Resize<mode = "linear">(a, , s) c = Conv(l, v) y = Concat<axis = 1>(n, c)""",
        {"w": [16, 16, 1, 1], "v": [16, 16, 1, 1], "s": [4]},
    ),
}  # fmt: skip
FIXED = {"l": np.float32(-0.5), "h": np.float32(0.5), "s": np.float32([1, 1, 2, 2])}

CODE = "SG174"
HEAD = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft.nchwc" : 1]>\n'
REWRITES = [
    Case(
        "pools of blocks",
        HEAD
        + """g (float[B,16,6,6] x) => (float[B,16,3,3] y) { a = com.microsoft.nchwc.ReorderInput(x)
          b = com.microsoft.nchwc.MaxPool<kernel_shape = [2,2], strides = [2,2]>(a) c = Relu(b)
          y = com.microsoft.nchwc.ReorderOutput<channels = 16>(c) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "computed weights",
        HEAD
        + """g (float[1,8,4,4] x, float[8,8,1,1] w) => (float[1,8,4,4] y)
          { a = com.microsoft.nchwc.Conv(x, w) y = com.microsoft.nchwc.ReorderOutput<channels = 8>(a) }""",
    ),
    Case(
        "an attribute of tomorrow",
        HEAD
        + """g (float[1,16,4,4] x) => (float[1,16,4,4] y) { a = com.microsoft.nchwc.ReorderInput<later = 1>(x)
          y = com.microsoft.nchwc.ReorderOutput<channels = 16>(a) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def optimized(name: str, folder: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The model, and what onnxruntime's optimizer makes of it."""
    channels, nodes, shapes = MODELS[name]
    model = parse(f"g ({PICTURE.format(channels=channels)}) => (float[B,C,H,W] y) {{ {nodes} }}", 17)
    numbers = np.random.default_rng(0)
    for weight, shape in shapes.items():
        value = FIXED.get(weight, numbers.standard_normal(shape).astype(np.float32) / 8)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), weight))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "optimized.onnx"), 4
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return model, onnx.load(options.optimized_model_filepath)


@pytest.mark.parametrize("name", MODELS)
def test_what_the_optimizer_writes_computes_the_same_in_plain_onnx(name: str, tmp_path: Path) -> None:
    if block_size() is None:
        pytest.skip("onnxruntime has no blocks of channels on this processor")
    model, blocked = optimized(name, tmp_path)
    assert {node.domain for node in blocked.graph.node} >= {"com.microsoft.nchwc"}
    fixed, report = surgery.fix_model(blocked)
    assert [check.message for check in report.checks if check.status != "pass"] == []
    assert {node.domain for node in fixed.graph.node} == {""}
    feeds = drawn(model, {})
    near(run(blocked, feeds), run(fixed, feeds), atol=2e-6, rtol=2e-5)
    near(run(model, feeds), run(fixed, feeds), atol=2e-6, rtol=2e-5)
    builds(fixed, {})


def test_weights_are_put_back_in_order() -> None:
    weights = np.arange(4 * 4 * 2, dtype=np.float32).reshape(4, 4, 1, 2)
    blocked = weights.reshape(2, 2, 2, 2, 1, 2).transpose(0, 2, 4, 5, 3, 1).reshape(weights.shape)
    np.testing.assert_array_equal(in_order(blocked, groups=1, size=2), weights)
