"""SG005 leaves the weights of a large quantized model at eight bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import surgery


@pytest.mark.parametrize(("rows", "folded"), [(64, True), (10_000, False)])
def test_cast_of_weights(rows: int, folded: bool) -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N,64] x, int64[K] i) => (float[N,64] y, float[K,64] z) '
        "{ w = Cast<to = 1>(small)  y = MatMul(x, w)  g = Gather(large, i)  z = Cast<to = 1>(g) }"
    )
    rng = np.random.default_rng(0)
    for name, shape in (("small", (64, 64)), ("large", (rows * 2, 64))):
        model.graph.initializer.append(numpy_helper.from_array(rng.integers(-128, 127, shape, np.int8), name))
    fixed: onnx.ModelProto = surgery.fix_model(model)[0]
    kinds = {
        tensor.data_type for node in fixed.graph.node if node.op_type == "MatMul" for tensor in _stored(fixed, node)
    }
    assert (kinds == {onnx.TensorProto.FLOAT}) is folded


def _stored(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.TensorProto]:
    """Initializers the node itself reads."""
    return [tensor for tensor in model.graph.initializer if tensor.name in node.input]
