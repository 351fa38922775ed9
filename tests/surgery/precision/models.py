"""Small models to lower, inputs for them, and their types."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

ATTENTION = """<ir_version: 8, opset_import: ["" : 17]>
a (float[1,2,32,16] q, float[1,2,32,16] k, float[1,2,32,16] v) => (float[1,2,32,16] y) {
    kt = Transpose<perm=[0,1,3,2]>(k)  s = MatMul(q, kt)  p = Softmax<axis=-1>(s)  y = MatMul(p, v)
}"""


# Scores with a mask of float32's lowest number, as transformers writes it; the mask comes from whole numbers.
MASKED = """<ir_version: 8, opset_import: ["" : 17]>
a (float[2,2,32,16] q, float[2,2,16,32] k, float[2,2,32,16] v, int64[2,32] seen) => (float[2,2,32,16] y)
<float lowest = {LOWEST}, float none = {0}, int64[2] axes = {1,2}> {
    b = Cast<to=9>(seen)  m = Where(b, none, lowest)  mask = Unsqueeze(m, axes)
    s = MatMul(q, k)  t = Add(s, mask)  p = Softmax<axis=-1>(t)  y = MatMul(p, v)
}"""


OVERFLOW = """<ir_version: 8, opset_import: ["" : 17]>
a (float[4,4] x) => (float[4,4] y) <float big = {1000}> {
    [wide] w = Mul(x, big)  [square] s = Mul(w, w)  r = Sqrt(s)  m = Div(r, big)  [last] y = MatMul(m, x)
}"""


SHAPES = """<ir_version: 8, opset_import: ["" : 17]>
a (float[1,2,4,4] x) => (float[1,2,8,8] y, int64[4] size) <float[4] scales = {1,1,2,2}> {
    r = Relu(x)  y = Resize(r, , scales)  size = Shape(y)
}"""


BRANCHES = """<ir_version: 8, opset_import: ["" : 17]>
a (float[4] x, bool c) => (float[4] y) {
    h = Sigmoid(x)
    t = If(c) <then_branch = one () => (float[4] a) { b = Tanh(h)  a = Mul(b, h) },
               else_branch = two () => (float[4] a) { a = Exp(h) }>
    y = Sqrt(t)
}"""


def feeds(model: onnx.ModelProto, scale: float = 1.0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        boolean = value.type.tensor_type.elem_type == onnx.TensorProto.BOOL
        made[value.name] = np.array(True) if boolean else (scale * rng.normal(size=shape)).astype(np.float32)
    return [made]


def types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
