"""Where the sign of a zero can be seen: each rule is compared with what onnxruntime gives for zeros of either sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from surgery.graph.read import to_graph
from surgery.passes.ops.zero_sign import BLIND, COMPARISONS, PASSES, shows_zero_sign
from surgery.pipeline.context import Context
from tests.surgery.passes.comparing import run

DRAW = np.random.default_rng(0)
SHAPES = {"x": (2, 3, 4, 4), "v": (3,), "s": ()}  # of the inputs, whose zeros have either sign
CONSTANTS: dict[str, Any] = {
    "w": DRAW.normal(size=(4, 4)),
    "k": DRAW.normal(size=(3, 3, 1, 1)),
    "rows": DRAW.normal(size=(2, 4, 4)),
    "plus3": [0.0, 1.0, -2.0],
    "plus4": [0.0, 1.0, -2.0, 0.0],
    "minus3": [-0.0, 1.0, -0.0],
    "minus4": [-0.0, 1.0, -0.0, 2.0],
    "one": [1.0, 1.0, 1.0],
    "half": 0.5,
    "zero": 0.0,
    "minus": -1.0,
    "twice": [1.0, 1.0, 2.0, 2.0],
}
INTEGERS: dict[str, Any] = {
    "first": [0],
    "flat": [-1],
    "two": [2],
    "matrix": [6, 16],
    "square": [2, 12, 2, 2],
    "pads": [0, 0, 0, 1, 0, 0, 0, 0],
    "tiles": [1, 2, 1, 1],
    "wide": [2, 2, 3, 4, 4],
    "where": [[0, 1], [1, 2]],
    "same": np.zeros((2, 3, 4, 4)),
}
HIDDEN = [
    "y = MatMul(x, w)",
    "y = MatMul(w, x)",
    "y = Conv(x, k)",
    "y = Conv(x, k, plus3)",
    "y = ConvTranspose(x, k)",
    "f = Flatten<axis = 3>(x)  y = Gemm(f, w)",
    "y = Add(x, half)",
    "y = Add(plus4, x)",
    "a = Cast<to = 3>(w)  d = DequantizeLinear(a, half)  y = Add(d, x)",
    "y = LayerNormalization(x, plus4, plus4)",
    *(f"y = {op}(x)" for op in ("Abs", "Cos", "Cosh", "Exp", "Sigmoid", "Softmax", "IsNaN", "Shape", "Size")),
    "y = Equal(x, zero)",
    "y = Greater(x, zero)",
    "y = GreaterOrEqual(zero, x)",
    "y = Less(zero, x)",
    "y = LessOrEqual(x, zero)",
    "y, a, b = DynamicQuantizeLinear(x)",
    "b, y, a = DynamicQuantizeLinear(v)",
    "y = QuantizeLinear(x, half)",
    "y = Cast<to = 6>(x)",
    "y = Cast<to = 9>(x)",
]
FUNCTIONS = (
    "Identity Transpose Flatten Neg Relu LeakyRelu Elu Selu Celu Sqrt Erf Tanh Sin Tan Atan Sinh Asinh Gelu HardSwish "
    "Mish Softsign Sign Round Floor Ceil ReduceSum ReduceMean ReduceMax ReduceMin GlobalAveragePool"
)
PASSED_ON = [
    *(f"y = {op}(x)" for op in FUNCTIONS.split()),
    "y = Conv(x, k, minus3)",
    "y = Conv(k, k, v)",
    "y = ConvTranspose(k, k, v)",
    "y = Gemm(w, w, s)",
    "y = LayerNormalization(x, plus4, minus4)",
    "y = LayerNormalization(x, plus4)",
    "y = RMSNormalization(x, plus4)",
    "y = BatchNormalization(x, one, minus3, minus3, one)",
    "y = InstanceNormalization(x, one, minus3)",
    "y = GroupNormalization<num_groups = 1>(x, one, minus3)",
    "y = Reshape(x, flat)",
    "a = Unsqueeze(x, first)  y = Squeeze(a, first)",
    "y = Slice(x, first, two)",
    "y = Gather(x, first)",
    "y = GatherElements(x, same)",
    "y = GatherND(x, where)",
    "y, z = Split<num_outputs = 2>(x)",
    "y = Expand(x, wide)",
    "y = Tile(x, tiles)",
    "y = Concat<axis = 1>(x, x)",
    "y = Pad(x, pads)",
    "y = Pad(k, pads, s)",
    "y = ScatterND(x, where, rows)",
    "y = ScatterElements(x, same, x)",
    "y = MaxPool<kernel_shape = [2, 2]>(x)",
    "y = AveragePool<kernel_shape = [2, 2]>(x)",
    'y = Resize<mode = "linear">(x, , twice)',
    "a = Reshape(x, square)  y = DepthToSpace<blocksize = 2>(a)",
    "y = SpaceToDepth<blocksize = 2>(x)",
    "y = Cast<to = 10>(x)",
    "y = Div(x, half)",
    "y = Pow(x, half)",
    "y = Add(x, x)",
    "y = Add(x, minus4)",
    "a = Cast<to = 3>(w)  d = DequantizeLinear(a, minus)  y = Add(d, x)",
    "y = Sub(zero, x)",
    "y = Mul(x, minus)",
    "y = Sum(x, x, minus4)",
    "y = Mean(x, x)",
    "y = Min(x, zero)",
    "y = Max(zero, x)",
    "y = PRelu(x, minus)",
    "y = Clip(x, zero, half)",
    "c = Greater(x, half)  y = Where(c, x, minus)",
]
SHOWN = [
    "y = Reciprocal(x)",
    "y = Div(half, x)",
    "y = Pow(x, minus)",
    "a = Cast<to = 8>(x)  y = Identity(a)",
    "a, y = MaxPool<kernel_shape = [2, 2]>(x)",
]
BEHIND = "  hidden = Exp(y)"


def model(body: str, output: str) -> onnx.ModelProto:
    """The nodes with the inputs of `SHAPES`, of which those that no node reads are left out."""
    inputs = [f"float[{', '.join(map(str, shape))}] {name}" for name, shape in SHAPES.items() if _reads(body, name)]
    text = f'<ir_version: 10, opset_import: ["" : 23]> g ({", ".join(inputs)}) => ({output}) {{ {body} }}'
    made = parser.parse_model(text)
    for values, kind in ((CONSTANTS, np.float32), (INTEGERS, np.int64)):
        made.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value, kind), name)
            for name, value in values.items()
            if _reads(body, name)
        )
    return onnx.shape_inference.infer_shapes(made)


def _reads(body: str, name: str) -> bool:
    return any(name in part.split(")")[0].replace(" ", "").split(",") for part in body.split("(")[1:])


def shows(made: onnx.ModelProto) -> bool:
    graph, context = to_graph(made), Context(opsets={"": 23})
    return any(shows_zero_sign(graph, tensor, context) for tensor in graph.inputs)


def results(made: onnx.ModelProto) -> list[np.ndarray]:
    """The output for zeros of both signs and of mixed ones, among other numbers and alone."""
    found = []
    for others in (0.0, 1.0):
        for signs in (1.0, -1.0, DRAW.choice([-1.0, 1.0], SHAPES["x"])):
            rng = np.random.default_rng(0)
            feeds = {}
            for tensor in made.graph.input:
                shape = SHAPES[tensor.name]
                numbers = rng.normal(size=shape) * (rng.random(shape) < 0.5) * others
                sign = signs if np.ndim(signs) == 0 else np.resize(signs, shape)
                feeds[tensor.name] = np.where(numbers == 0, np.copysign(0, sign), numbers).astype(np.float32)
            found.append(np.asarray(run(made, feeds)[0]))
    return found


@pytest.mark.parametrize("body", HIDDEN)
def test_results_keep_every_bit(body: str) -> None:
    made = model(body, "y")
    assert not shows(made)
    found = results(made)
    for each, other in zip(found, (found[0], found[0], found[0], found[3], found[3], found[3]), strict=True):
        assert each.tobytes() == other.tobytes()


@pytest.mark.parametrize("body", PASSED_ON)
def test_results_differ_in_the_sign_of_zeros_only(body: str) -> None:
    assert shows(model(body, "y"))
    assert not shows(model(body + BEHIND, "hidden"))
    found = results(model(body, "y"))
    for each, other in zip(found, (found[0], found[0], found[0], found[3], found[3], found[3]), strict=True):
        np.testing.assert_array_equal(each, other)


@pytest.mark.parametrize("body", SHOWN)
def test_other_operators_show_the_sign(body: str) -> None:
    assert shows(model(body, "y"))
    assert "Cast" in body or shows(model(body + BEHIND, "hidden"))


def test_every_rule_is_tested() -> None:
    ruled = {"MatMul", "QuantizeLinear", *BLIND, *COMPARISONS, *PASSES}
    tested = {word for body in (*HIDDEN, *PASSED_ON) for word in body.replace("(", " ").replace("<", " ").split()}
    assert ruled <= tested


def test_branches_of_an_if_show_the_sign() -> None:
    branches = (
        f"{name}_branch = {name} () => (float[2,3,4,4] {name}) {{ {name} = Exp(z) }}" for name in ("then", "else")
    )
    assert shows(model(f"z = Neg(x)  i = Greater(half, zero)  y = If(i) <{', '.join(branches)}>", "y"))
