"""SG202: layer normalization decomposed into smaller operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from surgery.passes.speed.decomposed_layernorm import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import left_alone

CODE = "SG202"
PATTERNS = {
    "last axis": """g (float[2,3,4] x) => (float[2,3,4] y)
        <int64[1] ax = {-1}, float eps = {0.25}, float[4] w = {1, 2, 3, 4}, float[4] b = {5, 6, 7, 8}> {
          m = ReduceMean(x, ax)
          d = Sub(x, m)
          s = Mul(d, d)
          v = ReduceMean(s, ax)
          e = Add(v, eps)
          r = Sqrt(e)
          n = Div(d, r)
          a = Mul(n, w)
          y = Add(a, b)
        }""",
    "channels": """g (float[2,3,2,2] x) => (float[2,3,2,2] y)
        <int64[1] ax = {1}, float eps = {0.25}, float[3,1,1] w = {1, 2, 3}, float[3,1,1] b = {5, 6, 7}> {
          m = ReduceMean(x, ax)
          d = Sub(x, m)
          s = Mul(d, d)
          v = ReduceMean(s, ax)
          e = Add(v, eps)
          r = Sqrt(e)
          n = Div(d, r)
          a = Mul(n, w)
          y = Add(a, b)
        }""",
    "all dims alike": """g (float[3,3] x) => (float[3,3] y)
        <int64[1] ax = {1}, float eps = {0.25}, float[3] w = {1, 2, 3}, float[3] b = {5, 6, 7}> {
          m = ReduceMean(x, ax)
          d = Sub(x, m)
          s = Mul(d, d)
          v = ReduceMean(s, ax)
          e = Add(v, eps)
          r = Sqrt(e)
          n = Div(d, r)
          a = Mul(n, w)
          y = Add(a, b)
        }""",
    "squared by Pow": """g (float[3,3] x) => (float[3,3] y) <int64[1] ax = {1}, float eps = {0.25}, float two = {2}> {
          m = ReduceMean(x, ax)
          d = Sub(x, m)
          s = Pow(d, two)
          v = ReduceMean(s, ax)
          e = Add(eps, v)
          r = Sqrt(e)
          y = Div(d, r)
        }""",
}
LINES = {
    "m": "m = ReduceMean<axes=[-1]>(x)",
    "d": "d = Sub(x, m)",
    "s": "s = Mul(d, d)",
    "v": "v = ReduceMean<axes=[-1]>(s)",
    "e": "e = Add(v, eps)",
    "r": "r = Sqrt(e)",
    "n": "n = Div(d, r)",
    "y": "a = Mul(n, w)  y = Add(a, b)",
}
CONSTANTS = (
    "float two = {2}, float three = {3}, float eps = {0.25}, float[4] w = {1,2,3,4}, float[4] b = {5,6,7,8}, "
    "float[1] one = {3}, float[5,1] rows = {1,2,3,4,5}, "
    "float[2] pair = {1,2}, float[2,5,4] z = {%s}, float[1,2,5,4] q = {%s}"
) % ((", ".join(map(str, range(40))),) * 2)


def model(
    shape: str = "2,5,4", dtype: str = "float", constants: str = CONSTANTS, out: str = "", opset: int = 17, **lines: str
) -> onnx.ModelProto:
    """The nodes of LINES, some of them written otherwise, over `x` of this shape and type."""
    body = "  ".join({**LINES, **lines}.values())
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}, "own" : 1]> g ({dtype}[{shape}] x) => ({dtype}[{shape}] y{out}) '
        f"<{constants}> {{ {body} }}"
    )


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


def norm(result: onnx.ModelProto) -> onnx.NodeProto:
    (found,) = (node for node in result.graph.node if node.op_type == "LayerNormalization")
    return found


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ({}, []),
        ({"s": "s = Pow(d, two)"}, []),
        ({"y": "y = Identity(n)"}, ["Identity"]),
        ({"e": "e = Add(eps, v)"}, []),
        ({"y": "a = Mul(w, n)  y = Add(b, a)"}, []),
        ({"y": "a = Mul(n, one)  y = Add(a, one)"}, []),
        ({"y": "a = Mul(n, two)  y = Add(a, three)"}, []),
        ({"y": "y = Mul(n, w)"}, []),
        ({"y": "y = Add(n, b)"}, ["Add"]),
        ({"n": "y = Div(d, r)", "y": ""}, []),
        ({"y": "a = Mul(n, w)  y = Sub(a, b)"}, ["Sub"]),
        ({"y": "a = Mul(n, w)  y = Add(a, z)"}, ["Add"]),
        ({"y": "a = Mul(n, rows)  y = Add(a, rows)"}, ["Mul", "Add"]),
        ({"y": "a = Mul(n, x)  y = Add(a, b)"}, ["Mul", "Add"]),
        ({"y": "a = Mul(n, w)  c = Add(a, b)  y = Add(a, c)"}, ["Add", "Add"]),
        ({"y": "a = Mul(n, w)  c = Neg(n)  y = Add(a, c)"}, ["Mul", "Neg", "Add"]),
    ],
)
def test_spellings_that_are_taken(lines: dict[str, str], left: list[str]) -> None:
    source = model(**lines)
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["LayerNormalization", *left]
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    before, after = (ReferenceEvaluator(each).run(None, {"x": x})[0] for each in (source, result))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    attributes = {attribute.name: attribute for attribute in norm(result).attribute}
    assert attributes["axis"].i == -1
    assert attributes["epsilon"].f == 0.25
    assert fixed(result) is result


@pytest.mark.parametrize(
    "lines",
    [
        {"m": "m = ReduceMax<axes=[-1]>(x)"},
        {"m": "m = ReduceMean<axes=[-1]>(b)"},
        {"m": "m = ReduceMean<axes=[1]>(x)"},
        {"m": "m = ReduceMean<axes=[1, 2]>(x)", "v": "v = ReduceMean<axes=[1, 2]>(s)"},
        {"d": "d = Add(x, m)"},
        {"d": "d = Sub(m, x)"},
        {"d": "d = own.Sub(x, m)"},
        {"s": "s = Mul(d, x)"},
        {"s": "s = Mul(x, d)"},
        {"s": "s = Pow(d, three)"},
        {"s": "s = Pow(x, two)"},
        {"s": "s = Pow(d, x)"},
        {"s": "s = Exp(d)"},
        {"s": "s = Add(d, two)"},
        {"s": "", "v": "v = ReduceMean<axes=[-1]>(z)"},
        {"v": "v = ReduceSum(s)"},
        {"v": "v = ReduceMean<axes=[1]>(s)"},
        {"e": "e = Sub(v, eps)"},
        {"e": "e = Add(v, x)"},
        {"e": "e = Add(v, w)"},
        {"r": "r = Exp(e)"},
        {"r": "r = Sqrt(eps)"},
        {"n": "n = Mul(d, r)"},
        {"n": "n = Div(r, d)"},
        {"n": "n = Div(x, r)"},
        {"y": "a = Mul(n, w)  f = Neg(v)  y = Add(a, f)"},
        {"y": "a = Mul(n, w)  f = Neg(m)  y = Add(a, f)"},
        {"y": "a = Mul(n, w)  f = Neg(r)  y = Add(a, f)"},
        {"y": "a = Mul(n, w)  c = Add(a, b)  y = Add(c, d)"},
    ],
)
def test_a_line_that_differs_is_left_alone(lines: dict[str, str]) -> None:
    source = model(**lines)
    outcome = apply_passes(source, "", [PASS], Options())
    assert outcome.model is source
    assert outcome.context.troubles == []


@pytest.mark.parametrize(
    "source",
    [
        model(dtype="double", constants=CONSTANTS.replace("float ", "double ").replace("float[", "double[")),
        model(dtype="bfloat16", constants=CONSTANTS),
        model("2,5,N"),
        model(out=", float[2,5,4] n"),
        model(out=", float[2,5,4] a"),
        model(out=", float[2,5,1] r"),
        model(out=", float[2,5,1] v"),
        model(opset=16),  # LayerNormalization came with opset 17
    ],
)
def test_other_types_free_widths_inner_outputs_and_old_opsets_are_left_alone(source: onnx.ModelProto) -> None:
    assert fixed(source) is source


@pytest.mark.parametrize("size", ["3", "2"])
def test_a_vector_that_does_not_fit_the_axis_is_left_alone(size: str) -> None:
    wide = CONSTANTS.replace("float[2] pair = {1,2}", f"float[{size}] pair = {{{','.join('1' * int(size))}}}")
    source = model("2,5,1", constants=wide, y="a = Mul(n, pair)  y = Add(a, pair)")
    assert fixed(source) is source


def test_half_precision_keeps_its_type() -> None:
    source = model()
    for value in (*source.graph.input, *source.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for tensor in source.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    result = fixed(source)
    (node,) = result.graph.node
    weights = [tensor for tensor in result.graph.initializer if tensor.name in node.input[1:]]
    assert [(tensor.data_type, list(tensor.dims)) for tensor in weights] == [(onnx.TensorProto.FLOAT16, [4])] * 2


@pytest.mark.parametrize(
    ("lines", "scale", "shift"),
    [
        ({}, [1, 2, 3, 4], [5, 6, 7, 8]),
        ({"y": "a = Mul(n, one)  y = Add(a, b)"}, [3, 3, 3, 3], [5, 6, 7, 8]),
        ({"y": "y = Mul(n, w)"}, [1, 2, 3, 4], [0, 0, 0, 0]),
        ({"n": "y = Div(d, r)", "y": ""}, [1, 1, 1, 1], [0, 0, 0, 0]),
    ],
)
def test_scale_and_shift_are_vectors_of_the_axis(lines: dict[str, str], scale: list[int], shift: list[int]) -> None:
    result = fixed(model(**lines))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    _, first, second = norm(result).input
    assert (stored[first].tolist(), stored[second].tolist()) == (scale, shift)


@pytest.mark.parametrize(
    ("axis", "shape", "vector", "there", "back"),
    [(1, "1,4,3,2", "4,1,1", [0, 2, 3, 1], [0, 3, 1, 2]), (0, "4,3,2", "4,1,1", [1, 2, 0], [2, 0, 1]),
     (-2, "2,4,3", "1,4,1", [0, 2, 1], [0, 2, 1]), (1, "2,4", "", [], [])],
)  # fmt: skip
def test_other_axes_are_moved_to_the_end_and_back(
    axis: int, shape: str, vector: str, there: list[int], back: list[int]
) -> None:
    constants = f"float eps = {{0.25}}, float[{vector or 4}] w = {{1,2,3,4}}, float[{vector or 4}] b = {{5,6,7,8}}"
    mean = f"ReduceMean<axes=[{axis}]>"
    source = model(shape, constants=constants, m=f"m = {mean}(x)", v=f"v = {mean}(s)")
    result = fixed(source)
    perms = [list(node.attribute[0].ints) for node in result.graph.node if node.op_type == "Transpose"]
    assert perms == ([there, back] if there else [])
    x = np.random.default_rng(1).normal(size=[int(dim) for dim in shape.split(",")]).astype(np.float32)
    before, after = (ReferenceEvaluator(each).run(None, {"x": x})[0] for each in (source, result))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    assert fixed(result) is result


def test_message_counts_its_nodes() -> None:
    assert messages(model()) == ["layer normalization over axis 2 is decomposed into 9 nodes"]
    bare = model(n="y = Div(d, r)", y="")
    assert messages(bare) == ["layer normalization over axis 2 is decomposed into 7 nodes"]


def messages(source: onnx.ModelProto) -> list[str]:
    return [finding.message for finding in apply_passes(source, "", [PASS], Options()).applied]


def test_free_width_without_scale_is_left_alone() -> None:
    source = model("2,5,N", n="y = Div(d, r)", y="")
    outcome = apply_passes(source, "", [PASS], Options())
    assert outcome.model is source
    assert outcome.context.troubles == []


def test_axes_that_are_an_input() -> None:
    source = model(constants=CONSTANTS + ", int64[1] ax = {-1}", m="m = ReduceMean(x, ax)", v="v = ReduceMean(s, ax)")
    source.opset_import[0].version = 18
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["LayerNormalization"]


@pytest.mark.parametrize("constant", ["e", "two"])
def test_a_constant_of_more_dims_than_the_data_raises_the_rank(constant: str) -> None:
    held = "float e = {0.01}, float two = {2}".replace(f"float {constant}", f"float[1,1,1] {constant}")
    text = f"""g (float[2,4] x) => (float[a,b,c] y) <{held}, int64[1] ax = {{-1}}>
    {{ m = ReduceMean(x, ax)  d = Sub(x, m)  p = Pow(d, two)  v = ReduceMean(p, ax)  w = Add(v, e)  r = Sqrt(w)
       y = Div(d, r) }}"""
    left_alone(text, 18, "SG202")


def test_an_epsilon_of_zero_is_left_alone() -> None:
    source = model(constants=CONSTANTS.replace("eps = {0.25}", "eps = {0.0}"))
    assert fixed(source) is source
