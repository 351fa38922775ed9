"""The model that the logs in `logs/` are about."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

DETECTOR = """
<ir_version: 8, opset_import: ["" : 17, "toy.ops" : 1]>
detector (float[1,3,32,32] images, int64[2] shift, bool c) => (float y, float z)
<float[8,3,3,3] w, int64[2] shape = {1, 9}, int64[1] k = {5000}> {
  [_backbone_Conv] conv = Conv<pads = [1, 1, 1, 1]>(images, w)
  [_backbone_Relu] _backbone_Relu_output_0 = Relu(conv)
  [_norm1_ToyNorm] _norm1_ToyNorm_output_0 = toy.ops.ToyNorm(_backbone_Relu_output_0)
  [_head_Neg] neg = Neg(_norm1_ToyNorm_output_0)
  [_head_Det] _head_Det_output_0 = Det(_backbone_Relu_output_0)
  [_head_TopK] top, at = TopK<axis = 1>(_head_Det_output_0, k)
  [_head_MaxPool] _head_MaxPool_output_0, _head_MaxPool_output_1 = MaxPool<kernel_shape = [2, 2]>(neg)
  [_head_Reshape] _head_Reshape_output_0 = Reshape(_backbone_Relu_output_0, shape)
  [choice] z = If(c) <
    then_branch = t () => (float u) { u = ReduceSum<keepdims = 0>(neg) },
    else_branch = e () => (float v) {
      [_choice_BitShift] _choice_shifted = BitShift<direction = "LEFT">(shift, shift)
      s = Cast<to = 1>(_choice_shifted)
      v = ReduceSum<keepdims = 0>(s)
    }>
  y = ReduceSum<keepdims = 0>(top)
}
"""


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = onnx.parser.parse_model(DETECTOR)
    for graph in (model.graph, *(attribute.g for attribute in model.graph.node[8].attribute)):
        for node in graph.node:
            node.name = slashed(node.name)
            node.input[:], node.output[:] = map(slashed, node.input), map(slashed, node.output)
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    onnx.save(model, path)
    return path


def slashed(name: str) -> str:
    """`/head/Det_output_0` of `_head_Det_output_0`: ONNX text takes no slash."""
    first, _, rest = name.removeprefix("_").partition("_")
    return f"/{first}/{rest}" if name.startswith("_") else name
