"""Sums, products and means of eight-bit numbers round as onnxruntime's kernels do, for all pairs of numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import surgery
from surgery.passes.ops.kernel_rounding import form_of_sum
from tests.surgery.passes.comparing import run

KINDS = {"uint8": onnx.TensorProto.UINT8, "int8": onnx.TensorProto.INT8}
# Scales and zero points of both terms and of the result.
PARAMETERS = {
    "alike": ("uint8", (0.02, 0.02, 0.02), (128, 100, 127)),
    "half of the result's": ("uint8", (0.02, 0.02, 0.04), (3, 128, 77)),
    "one sum near a tie": ("uint8", (0.008300413, 0.00042080126, 0.008454534), (127, 106, 127)),
    "signed": ("int8", (0.013, 0.0071, 0.0171), (-3, 5, 8)),
    "signed, alike": ("int8", (0.5, 0.25, 0.5), (0, -1, 3)),
}


def pairs(operator: str, kind: str, scales: tuple[float, ...], zeros: tuple[int, ...]) -> onnx.ModelProto:
    """One operator on a column and a row of eight-bit numbers."""
    places = ("a", "b", "c")
    stored = [
        numpy_helper.from_array(np.float32(scale), f"s{name}") for name, scale in zip(places, scales, strict=True)
    ]
    stored += [numpy_helper.from_array(np.dtype(kind).type(z), f"z{n}") for n, z in zip(places, zeros, strict=True)]
    names = ["a", "sa", "za", "b", "sb", "zb", "sc", "zc"]
    node = helper.make_node(operator, names, ["y"], domain="com.microsoft")
    shapes = {"a": ["N", 1], "b": [1, "N"]}
    inputs = [helper.make_tensor_value_info(name, KINDS[kind], shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info("y", KINDS[kind], ["N", "N"])]
    graph = helper.make_graph([node], "pairs", inputs, outputs, stored)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_every_pair_gives_what_the_kernel_gives(name: str, operator: str) -> None:
    kind, scales, zeros = PARAMETERS[name]
    model = pairs(operator, kind, scales, zeros)
    fixed, report = surgery.fix_model(model, guard=False)
    assert "SG176" in {finding.code for finding in report.findings}
    limits = np.iinfo(kind)
    numbers = np.arange(limits.min, limits.max + 1).astype(kind)
    feeds = {"a": numbers[:, None], "b": numbers[None]}
    (wanted,), (got,) = run(model, feeds), run(fixed, feeds)
    assert (wanted.shape, int((wanted != got).sum())) == ((256, 256), 0)


def test_a_sum_without_ties_keeps_its_scales() -> None:
    scales = [np.float32(value) for value in (0.01, 0.013, 0.0171)]
    form = form_of_sum([np.asarray(scale) for scale in scales], [np.asarray(np.uint8(value)) for value in (1, 2, 3)])
    assert form is not None
    assert (list(form.scales), form.with_zero, form.shift) == (scales, False, None)


@pytest.mark.parametrize("zero", [0, 5, 128])
@pytest.mark.parametrize("size", ["2", "3", "N"])
def test_mean_of_all(size: str, zero: int) -> None:
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (uint8[1,400,{size},{size}] x) => (uint8[1,400,1,1] y) <float s = {{0.02}}, uint8 z = {{{zero}}}> {{
          y = com.microsoft.QLinearGlobalAveragePool(x, s, z, s, z) }}"""
    )
    fixed, _ = surgery.fix_model(model, guard=False)
    side = 5 if size == "N" else int(size)
    numbers = np.random.default_rng(0).integers(0, 256, (1, 400, side, side)).astype(np.uint8)
    np.testing.assert_array_equal(run(fixed, {"x": numbers})[0], run(model, {"x": numbers})[0])


def test_mean_of_windows_is_rounded_with_its_zero_point() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (uint8[1,8,32,32] x) => (uint8[1,8,16,16] y) <float s = {0.0173}, uint8 z = {10}, uint8 o = {201}> {
          y = com.microsoft.QLinearAveragePool<kernel_shape = [2,2], strides = [2,2]>(x, s, z, s, o) }"""
    )
    fixed, _ = surgery.fix_model(model, guard=False)
    numbers = np.random.default_rng(0).integers(0, 256, (1, 8, 32, 32)).astype(np.uint8)
    differing = run(fixed, {"x": numbers})[0] != run(model, {"x": numbers})[0]
    assert differing.mean() < 0.01  # a quarter of the means are ties; with the plain operators an eighth differs
