"""Shapes that ONNX's own inference gets wrong are left open, and hold what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, parser

from surgery import fix_model
from verify.model.infer import infer_types, passes_inference
from verify.model.walk import dims_of

Dims = list[int | str | None] | None
ROWS = "bool c, float[3,4] x"
UNSQUEEZE = "then_branch = t () => (o) { o = Unsqueeze <axes = [0]> (x) }"
COMPRESS = "else_branch = e () => (o) { k = Greater(x, half) f = Reshape(k, all) o = Compress(x, f) }"
BRANCHES = f"<float half = {{0.5}}, int64[1] all = {{-1}}> {{ y = If(c) <{UNSQUEEZE}, {COMPRESS}> }}"


def model_of(text: str, opset: int) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 5, opset_import: ["" : {opset}]> g {text}')


def inferred(model: onnx.ModelProto, name: str = "y") -> Dims:
    graph = infer_types(model).graph
    return {value.name: dims_of(value.type.tensor_type) for value in (*graph.value_info, *graph.output)}.get(name)


def computed(model: onnx.ModelProto, shape: tuple[int, ...], **others: np.ndarray) -> tuple[int, ...]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(
        ["y"], {"x": np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape), **others}
    )
    return tuple(found.shape)


WRONG = {
    "ceil_mode": (
        "(float[1,1,4] x) => (y) { y = MaxPool<kernel_shape = [1], strides = [2], ceil_mode = 1>(x) }",
        12,
    ),
    "average": (
        "(float[1,1,5] x) => (y) "
        "{ y = AveragePool<kernel_shape = [2], strides = [2], pads = [1, 1], ceil_mode = 1>(x) }",
        19,
    ),
    "window beyond the data": (
        "(float[1,1,1] x) => (y) { y = AveragePool<kernel_shape = [3], strides = [2], ceil_mode = 1>(x) }",
        22,
    ),
    "dilations of SAME": (
        '(float[1,1,6] x) => (y) { y = MaxPool<kernel_shape = [2], dilations = [2], auto_pad = "SAME_UPPER">(x) }',
        12,
    ),
    "output_padding of SAME": (
        "(float[1,1,3] x) => (y) <float[1,1,2] w = {1, 1}> { y = ConvTranspose<kernel_shape = [2], strides = [2], "
        'output_padding = [1], auto_pad = "SAME_UPPER">(x, w) }',
        11,
    ),
    "slope larger than the data": ("(float[1,4] x) => (y) <float[3,1] s = {1, 2, 3}> { y = PRelu(x, s) }", 16),
    "backward to the largest integer": (
        "(float[5] x) => (y) <int64[1] s = {2}, int64[1] e = {9223372036854775807}, int64[1] a = {0}, "
        "int64[1] p = {-1}> { y = Slice(x, s, e, a, p) }",
        13,
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_dim_that_onnx_gets_wrong_is_open(kind: str) -> None:
    text, opset = WRONG[kind]
    model = model_of(text, opset)
    declared = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    real = computed(model, tuple(declared))
    assert inferred_by_onnx(model) != list(real)  # when this fails ONNX is mended, and the entry can go
    found = inferred(model)
    assert found is not None
    assert all(dim in (None, size) or str(dim).startswith("unk__") for dim, size in zip(found, real, strict=True))


def inferred_by_onnx(model: onnx.ModelProto) -> Dims:
    return dims_of(onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type)


@pytest.mark.parametrize(
    ("pool", "size"),
    [
        ("MaxPool<kernel_shape = [3], strides = [2], ceil_mode = 1>", 8),
        ("AveragePool<kernel_shape = [2], strides = [2], pads = [0, 1], ceil_mode = 1>", 7),
        ('MaxPool<kernel_shape = [2], strides = [2], auto_pad = "SAME_UPPER">', 7),
        ('LpPool<kernel_shape = [3], strides = [1], auto_pad = "VALID">', 7),
    ],
)
def test_a_pool_that_onnx_gets_right_keeps_its_size(pool: str, size: int) -> None:
    model = model_of(f"(float[1,1,{size}] x) => (y) {{ y = {pool}(x) }}", 12)
    assert inferred(model) == list(computed(model, (1, 1, size)))


@pytest.mark.parametrize("operands", ["s, e, a", "s, e"])
def test_a_dim_that_an_old_slice_cuts_is_another_dim(operands: str) -> None:
    constants = "<int64[2] s = {0, 0}, int64[2] e = {9, 2}, int64[2] a = {0, 1}>"
    model = model_of(f"(float[n,m] x) => (y) {constants} {{ y = Slice(x, {operands}) }}", 10)
    assert computed(model, (3, 5)) == (3, 2)
    found = inferred(model)
    assert found is not None
    assert found[1] != "m"


@pytest.mark.parametrize("opset", [9, 10])
def test_an_old_if_has_the_shape_of_neither_branch(opset: int) -> None:
    model = model_of(f"({ROWS}) => (y) {BRANCHES}", opset)
    assert computed(model, (3, 4), c=np.array(True)) == (1, 3, 4)
    assert len(computed(model, (3, 4), c=np.array(False))) == 1
    assert inferred(model) is None


def test_branches_that_agree_keep_what_they_agree_on() -> None:
    other = "else_branch = e () => (o) { o = Concat<axis = 0>(x, x) }"
    model = model_of(f"({ROWS}) => (y) {{ y = If(c) <then_branch = t () => (o) {{ o = Relu(x) }}, {other}> }}", 10)
    found = inferred(model)
    assert found is not None
    assert found[1] == 4
    assert found[0] != 3


def test_what_other_tools_declared_after_an_old_if_is_not_believed() -> None:
    model = model_of(f"({ROWS}) => (z) {BRANCHES.replace('> }', '> z = Neg(y) }')}", 10)
    for name in ("y", "z"):
        model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4]))
    del model.graph.value_info[-1]
    assert inferred(model, "y") is None
    assert inferred(model, "z") is None
    assert all(not node.domain for node in infer_types(model).graph.node)


def test_fix_keeps_a_where_that_an_old_if_may_widen() -> None:
    """Where(u, w, If(...)) widens w when the else-branch is taken, whatever a tool has declared for the If."""
    text = (
        "(bool c, float[1,1] w, bool[1,1] u, float[3,1] x) => (y) <float half = {0.5}, int64[1] all = {-1}> "
        "{ n = Shape(x) r = If(c) <then_branch = t () => (o) { o = Identity(w) }, "
        "else_branch = e () => (o) { k = Greater(x, half) f = Reshape(k, all) o = Compress<axis = 0>(x, f) }> "
        "y = Where(u, w, r) }"
    )
    model = model_of(text, 10)
    model.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 1]))
    fixed, _ = fix_model(model, target="onnxruntime", guard=False)
    feed = {"c": np.array(False), "w": np.ones((1, 1), np.float32), "u": np.ones((1, 1), bool)}
    assert computed(fixed, (3, 1), **feed) == computed(model, (3, 1), **feed)


def test_fix_writes_no_shape_that_is_known_to_be_wrong() -> None:
    pool = "MaxPool<kernel_shape = [1], strides = [2], ceil_mode = 1>"
    text = f"(float[1,1,4] x) => (y) {{ p = {pool}(x) i = Identity(p) y = Relu(i) }}"
    model = model_of(text, 12)
    model.graph.value_info.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, 1, 3]))
    fixed, report = fix_model(model, target="onnxruntime")
    assert "SG001" in {found.code for found in report.findings}
    assert [dims_of(value.type.tensor_type) for value in fixed.graph.value_info] == [None]
    assert computed(fixed, (1, 1, 4)) == (1, 1, 2)


def test_what_depends_on_a_wrong_shape_is_corrected_from_the_right_one() -> None:
    """Slice after Slice in opset 10: the second one keeps a dim that the first one has cut."""
    constants = "<int64[1] zero = {0}, int64[1] one = {1}, int64[1] many = {9}>"
    body = "{ a = Slice(x, zero, one, one) y = Slice(a, zero, many, zero) z = Neg(x) }"
    model = model_of(f"(float[n,m] x) => (y, z) {constants} {body}", 10)
    del model.graph.output[1]
    assert computed(model, (3, 5)) == (3, 1)
    found = inferred(model)
    assert found is not None
    assert found[1] != "m"


def test_a_broken_operand_is_no_obstacle() -> None:
    model = model_of("(float[n,m] x) => (y) <int64[1] s = {0}, int64[1] e = {2}> { y = Slice(x, s, e) }", 10)
    model.graph.initializer[0].dims[0] = 3  # one number for three places
    assert [value.name for value in infer_types(model).graph.output] == ["y"]


@pytest.mark.parametrize("op", ["MaxPool<kernel_shape = [3]>(x)", "Conv(x, w)"])
def test_a_slice_behind_a_window_larger_than_the_data_does_not_end_the_process(op: str) -> None:
    """ONNX's inference stops at an assertion of C++ there; the sizes are those that the guard tries."""
    constants = "<int64[1] s = {0}, int64[1] e = {1}, int64[1] a = {2}, float[1,1,3] w = {1, 1, 1}>"
    model = model_of(f"(float[1,1,n] x) => (y) {constants} {{ p = {op} y = Slice(p, s, e, a) }}", 16)
    assert passes_inference(model, {"x": [1, 1, 0]})
    assert passes_inference(model, {"x": [1, 1, 8]})
