"""Bounds of the numbers in a graph: what the nodes give lies within them, and what may be NaN has none."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from surgery.graph.read import to_graph
from surgery.passes.ops.bounds import Bound, bounds
from surgery.pipeline.context import Context

CONSTANTS = {
    "w": np.random.default_rng(0).uniform(-2, 2, (4, 3)),
    "k": np.random.default_rng(1).uniform(-2, 2, (5, 3, 2, 2)),
    "b": [0.5, -1.5, 2.5],
    "f": [-0.5, -1.5, -2.5],
    "c": -3.0,
    "top": 4.0,
    "nan": np.nan,
}
HEAD = '<ir_version: 8, opset_import: ["" : 18]> '
BOUNDED = [
    "y = Round(x)",
    "y = Relu(x)",
    "y = Neg(x)",
    "y = Add(x, x)",
    "y = Sub(x, c)",
    "y = Mul(x, x)",
    "y = Div(x, f)",
    "y = Sigmoid(x)",
    "y = Tanh(x)",
    "y = Erf(x)",
    "y = Softmax(x)",
    "y = HardSwish(x)",
    "y = Transpose<perm = [0, 1, 3, 2]>(x)",
    "y = Concat<axis = 0>(x, x)",
    "y, z = Split<axis = 2, num_outputs = 2>(x)",
    "t = Transpose<perm = [0, 1, 3, 2]>(x)  y = MatMul(x, t)",
    "t = Transpose<perm = [0, 1, 3, 2]>(x)  y = MatMul(t, w)",
    "t = Transpose<perm = [0, 3, 1, 2]>(x)  y = Conv(t, k)",
    "y = LayerNormalization(x, b)",
    "y = GlobalAveragePool(x)",
    "a = Constant<value = int64[2] {2, 3}>()  y = ReduceMean(x, a)",
    "a = Constant<value = int64[8] {0, 0, 1, 1, 0, 0, 1, 1}>()  y = Pad(x, a, top)",
    "y = Clip(x, c, top)",
    "y = Min(x, top)",
    "g = Greater(any, c)  y = Where(g, any, c)",
    "g = Greater(any, c)  v = Where(g, any, c)  y = Min(v, top)",
    "g = Greater(any, c)  y = Where(g, x, x)",
]
UNBOUNDED = [
    "y = Neg(any)",
    "y = Add(x, any)",
    "y = Div(x, x)",
    "y = Sqrt(x)",
    "y = Mul(x, nan)",
    "y = Min(any, top)",
    "y = Clip(any, c, top)",
    "y = Clip(x, c)",
    "g = Greater(any, top)  y = Where(g, any, c)",
    "g = Greater(any, c)  v = Where(g, any, c)  y = Add(v, v)",
    "a = Constant<value = int64[1] {0}>()  y = ReduceMean(x, a)",
    "y = LayerNormalization<epsilon = 0.0>(x, b)",
]


def model(body: str) -> onnx.ModelProto:
    made = parser.parse_model(
        f"{HEAD} g (int8[n,4,4,3] q, float[n,4,4,3] any) => (y) {{ x = DequantizeLinear(q, step)  {body} }}"
    )
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    values = CONSTANTS | {"step": 0.25}
    made.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()
    )
    return onnx.shape_inference.infer_shapes(made)


def bound_of(made: onnx.ModelProto) -> Bound | None:
    graph = to_graph(made)
    return bounds(graph, Context(opsets={"": 18})).get(id(graph.outputs[0]))


@pytest.mark.parametrize("body", BOUNDED)
def test_results_lie_within_their_bound(body: str) -> None:
    made = model(body)
    found = bound_of(made)
    assert found is not None
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for extreme in (False, True):
        q = rng.choice([-128, 127], (2, 4, 4, 3)) if extreme else rng.integers(-128, 128, (2, 4, 4, 3))
        anything = rng.choice([np.nan, np.inf, -np.inf, 0, 9, -9], (2, 4, 4, 3)).astype(np.float32)
        y = session.run(["y"], {"q": q.astype(np.int8), "any": anything})[0]
        assert not np.isnan(y).any()
        assert found.low <= y.min()
        assert y.max() <= found.high
        assert not (found.positive and np.signbit(y).any())


@pytest.mark.parametrize("body", UNBOUNDED)
def test_what_may_be_nan_has_no_bound(body: str) -> None:
    assert bound_of(model(body)) is None


def test_sigmoid_is_never_minus_zero() -> None:
    found = bound_of(model("y = Sigmoid(x)"))
    assert found is not None
    assert found.positive
    assert not found.low


def test_a_product_that_may_overflow_has_no_bound() -> None:
    squares = "  ".join(f"x{i + 1} = Mul({f'x{i}' if i else 'x'}, {f'x{i}' if i else 'x'})" for i in range(6))
    assert bound_of(model(f"{squares}  y = Neg(x4)")) is not None
    assert bound_of(model(f"{squares}  y = Neg(x6)")) is None
