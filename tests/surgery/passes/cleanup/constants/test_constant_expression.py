"""SG005: which expressions of constants are computed now, and where size is the reason that one is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes.cleanup.constants.constant_expression import PASS
from surgery.passes.cleanup.idle.unused_node import PASS as UNUSED
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, stays
from verify.run.session import open_session

CODE = "SG005"
PATTERNS = {
    "a chain": """g (float[2] x) => (float[2] y) <float[2] a = {1, 2}, float[2] b = {3, 4}> {
          c = Mul(a, b)  d = Exp(c)  e = Add(d, a)  y = Add(x, e)
        }""",
}
REWRITES = [
    Case(
        "a chain of constants",
        """g (float[2] x) => (float[2] y) <float[2] a = {1, 2}, float[2] b = {3, 4}> {
          c = Mul(a, b)  d = Exp(c)  y = Add(x, d) }""",
        after="g (float[2] x) => (float[2] y) <float[2] d = {20.085537, 2980.958}> { y = Add(x, d) }",
    ),
    Case(
        "an output of the graph",
        "g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> { y = Neg(a) }",
        after="g (float[2] x) => (float[2] y) { y = Constant<value = float[2] {-1, -2}>() }",
    ),
]
LEFT_ALONE = [
    Case(
        "it is random",
        "g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> { r = RandomNormalLike(a)  y = Add(x, r) }",
    ),
    Case(
        "DequantizeLinear keeps its place",
        """g (float[2] x) => (float[2] y) <int8[2] q = {1, 2}, float s = {0.5}> {
          d = DequantizeLinear(q, s)  y = Add(x, d)
        }""",
    ),
    Case(
        "the result is too large",
        "g (float[1] x) => (float[200000] y) <int64[1] n = {200000}> { z = ConstantOfShape(n)  y = Add(x, z) }",
    ),
]


HEAD = '<ir_version: 8, opset_import: ["" : 17, "own" : 1]> '
VECTORS = "float[3] a = {1, 2, 3}, float[3] b = {4, 5, 6}, bool c = {1}, int64[1] two = {2}"


def model(body: str, outputs: str = "float[n] y", held: str = VECTORS, **stored: np.ndarray) -> onnx.ModelProto:
    made = parser.parse_model(f"{HEAD} g (float[n] x) => ({outputs}) <{held}> {{ {body} }}")
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    return made


def fixed(source: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    """After the pass, and the one that takes out what is no longer read."""
    outcome = apply_passes(source, "", [PASS, UNUSED], Options(**options))
    assert outcome.context.troubles == []
    return outcome.model


def operators(source: onnx.ModelProto, **options: Any) -> list[str]:
    return [node.op_type for node in fixed(source, **options).graph.node]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("d = Add(a, b)  y = Add(x, d)", ["Add"]),
        ("d = Constant<value_floats = [1.0, 2.0, 3.0]>()  e = Neg(d)  y = Add(x, e)", ["Add"]),
        ("d, e = Split<axis = 0>(four)  f = Neg(d)  g = Abs(e)  y = Concat<axis = 0>(x, f, g)", ["Concat"]),
        ("d, e = TopK(a, two)  f = Neg(d)  y = Concat<axis = 0>(x, f)", ["Concat"]),
        ("d = Clip(a, , top)  y = Add(x, d)", ["Add"]),
        ("d = Dropout(a)  y = Add(x, d)", ["Add"]),
        ("d = Dropout(a, top)  y = Add(x, d)", ["Add"]),
        ("d = Dropout(a, top, c)  y = Add(x, d)", ["Dropout", "Add"]),
        ("d = Where(c, a, b)  y = Add(x, d)", ["Add"]),
        ("d = own.Neg(a)  y = Add(x, d)", ["Neg", "Add"]),
        ("k = own.Constant()  d = Neg(k)  y = Add(x, d)", ["Constant", "Neg", "Add"]),
        ("d = RandomUniformLike(a)  e = Neg(d)  y = Add(x, e)", ["RandomUniformLike", "Neg", "Add"]),
        ("d = RandomUniform<shape = [3]>()  e = Neg(d)  y = Add(x, e)", ["RandomUniform", "Neg", "Add"]),
        ("d = Bernoulli(half)  e = Neg(d)  y = Add(x, e)", ["Bernoulli", "Neg", "Add"]),
        ("d, s, z = DynamicQuantizeLinear(a)  e = Cast<to = 1>(d)  y = Add(x, e)", ["Add"]),
        ("d = QuantizeLinear(a, top)  e = Cast<to = 1>(d)  y = Add(x, e)", ["QuantizeLinear", "Cast", "Add"]),
        ("d = If(c)<then_branch = t() => (float[3] p) { p = Neg(a) }, else_branch = e() => (float[3] q) { q = Abs(a) }>"
         "  y = Add(x, d)", ["If", "Add"]),
        ("d = NonZero(a)  e = Cast<to = 1>(d)  f = Squeeze(e, zero)  y = Concat<axis = 0>(x, f)", ["Concat"]),
        ("m = Cast<to = 9>(a)  d = Compress(b, m)  y = Concat<axis = 0>(x, d)", ["Concat"]),
        ("d = Unique(a)  y = Concat<axis = 0>(x, d)", ["Concat"]),
        ("d = Neg(a)  e = Abs(d)  f = Add(x, e)  y = Add(f, d)", ["Add", "Add"]),
        ("d = Relu(x)  e = Neg(a)  y = Add(d, e)", ["Relu", "Add"]),
    ],
)  # fmt: skip
def test_what_is_computed(body: str, left: list[str]) -> None:
    held = (
        VECTORS
        + ", float[4] four = {1, 2, 3, 4}, float top = {0.5}, int64[1] zero = {0}, float[3] half = {0.5, 0.5, 0.5}"
    )
    source = model(body, held=held)
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == left
    if "own" not in body and "Random" not in body and "Bernoulli" not in body and "Dropout" not in left:
        x = np.array([-1, 0.5, 2], np.float32)
        before, after = (ReferenceEvaluator(each).run(None, {"x": x})[0] for each in (source, result))
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("stored", "left"), [("one", ["Mul"]), ("more", ["DequantizeLinear", "Mul"])])
def test_one_stored_number_is_dequantized(stored: str, left: list[str]) -> None:
    held = "int8 one = {-7}, int8[3] more = {-7, 7, 0}, float s = {0.3}, int8 z = {2}"
    source = model(f"d = DequantizeLinear({stored}, s, z)  y = Mul(x, d)", held=held)
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == left
    x = np.array([-1, 0.5, 2], np.float32)
    before, after = (open_session(each, backend="onnxruntime").run({"x": x}).outputs["y"] for each in (source, result))
    np.testing.assert_array_equal(before, after)


def test_outputs_of_the_graph_stay_outputs() -> None:
    source = model("d = Add(a, b)  y = Add(x, d)  z = Neg(d)", "float[n] y, float[3] d, float[3] z")
    result = fixed(source)
    assert sorted(node.op_type for node in result.graph.node) == ["Add", "Constant", "Constant"]
    x = np.array([-1, 0.5, 2], np.float32)
    for before, after in zip(*(ReferenceEvaluator(each).run(None, {"x": x}) for each in (source, result)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_products_of_eight_bits_do_not_overflow() -> None:
    factors = {"p": np.full((1, 4), 255, np.uint8), "q": np.full((4, 3), 127, np.int8)}
    source = model("d = MatMulInteger(p, q)  e = Cast<to = 1>(d)  y = Add(x, e)", "float[m,n] y", **factors)
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["Add"]
    x = np.zeros(3, np.float32)
    np.testing.assert_array_equal(ReferenceEvaluator(result).run(None, {"x": x})[0], np.full((1, 3), 4 * 255 * 127))


def test_says_which_tensors() -> None:
    source = model("d, e = TopK(a, two)  f = Cast<to = 1>(e)  g = Add(d, f)  y = Concat<axis = 0>(x, g, d)")
    found = apply_passes(source, "", [PASS], Options())
    assert sorted(each.message for each in found.applied) == [
        "'d' has the same value at every run",
        "'g' has the same value at every run",
    ]


@pytest.mark.parametrize(("limit", "left"), [(391, 2), (392, 1), (393, 1)])
def test_the_result_may_be_so_many_bytes_larger(limit: int, left: int) -> None:
    """100 floats (400 bytes) take the place of the count (8 bytes)."""
    source = model("d = ConstantOfShape(many)  y = Add(x, d)", held="int64[1] many = {100}")
    assert len(operators(source, fold_limit=limit)) == left


SPREAD = "d = Expand(row, dims)  y = Add(x, d)  z = MatMul(x, large)"  # 100,000 bytes of 100 bytes and a shape


def spread(beside: int, **options: Any) -> list[str]:
    """Operators left of a model with `beside` bytes of other constants."""
    source = model(
        SPREAD,
        "float[n,m] y, float[n,m] z",
        row=np.arange(25, dtype=np.float32),
        dims=np.array([1000, 25]),
        large=np.ones((25, beside // 100), np.float32),
    )
    source.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 25]))
    return operators(source, **options)


@pytest.mark.parametrize(("beside", "folded"), [(900_000, True), (700_000, False)])
def test_large_results_may_add_an_eighth_to_the_constants(beside: int, folded: bool) -> None:
    assert ("Expand" not in spread(beside)) is folded


@pytest.mark.parametrize(("limit", "folded"), [(65535, False), (65536, True), (99884, True)])
def test_a_limit_below_the_usual_one_holds_alone(limit: int, folded: bool) -> None:
    assert ("Expand" not in spread(1_000_000, fold_limit=limit)) is folded


@pytest.mark.parametrize(("limit", "left"), [(399, 3), (400, 2)])
def test_a_constant_that_something_else_reads_is_not_freed(limit: int, left: int) -> None:
    source = model("d = ConstantOfShape(many)  e = Add(x, d)  y = Reshape(e, many)", held="int64[1] many = {100}")
    assert len(operators(source, fold_limit=limit)) == left


def test_what_is_too_large_keeps_the_small_part_before_it_folded() -> None:
    body = "k = Mul(many, many)  d = ConstantOfShape(k)  y = Add(x, d)"
    assert operators(model(body, held="int64[1] many = {200}"), fold_limit=791) == ["ConstantOfShape", "Add"]


@pytest.mark.parametrize(
    ("op", "count", "left"),
    [("NonZero", 16384, 2), ("NonZero", 16385, 3), ("Unique", 16384, 2), ("Unique", 16385, 3), ("Neg", 16385, 2)],
)
def test_results_of_unknown_size_are_computed_from_64_kib_at_most(op: str, count: int, left: int) -> None:
    body = f"k = {op}(v)  d = Cast<to = 1>(k)  f = ReduceSum<keepdims = 0>(d)  y = Add(x, f)"
    source = model(body, v=np.ones(count, np.float32))
    assert len(operators(source)) == (1 if left == 2 else 4)


def test_other_results_of_unknown_size_are_not_computed() -> None:
    body = (
        "k = NonMaxSuppression(boxes, scores, two)  d = Cast<to = 1>(k)  f = ReduceSum<keepdims = 0>(d)  y = Add(x, f)"
    )
    boxes, scores = np.zeros((1, 2, 4), np.float32), np.ones((1, 1, 2), np.float32)
    assert len(operators(model(body, boxes=boxes, scores=scores))) == 4


@pytest.mark.parametrize(
    ("weights", "beside", "before", "to", "folded"),
    [
        (1025, 1 << 20, np.int8, 1, False),
        (1024, 1 << 20, np.int8, 1, True),
        (1025, (1 << 20) - 1025, np.int8, 1, True),
        (1025, (1 << 20) - 1024, np.int8, 1, False),
        (1025, 1 << 20, np.int8, 10, True),
        (1025, 1 << 20, np.uint8, 11, False),
        (1025, 1 << 20, np.int16, 1, True),
    ],
)
def test_weights_of_a_large_model_stay_at_eight_bits(
    weights: int, beside: int, before: Any, to: int, folded: bool
) -> None:
    """`weights` bytes of eight bits, and `beside` bytes of other constants; both count toward a MB of 1 << 20."""
    source = parser.parse_model(
        f"{HEAD} g (float[n] x, int64[k] i) => (float[n] y, int8[k] z) "
        f"{{ w = Cast<to = {to}>(small)  r = ReduceMax<keepdims = 0>(w)  s = Cast<to = 1>(r)  t = Cast<to = 1>(w)"
        "  y = Add(x, t)  z = Gather(large, i) }"
    )
    source.graph.initializer.append(
        numpy_helper.from_array(np.ones(weights // np.dtype(before).itemsize, before), "small")
    )
    source.graph.initializer.append(numpy_helper.from_array(np.ones(beside, np.int8), "large"))
    names = [name for node in fixed(source).graph.node for name in node.output]
    assert ("w" not in names) is folded


def test_strings_stay() -> None:
    text = f"{HEAD} g (float[n] x) => (float[n] y, string[2] z) {{ y = Neg(x)  z = Identity(s) }}"
    source = parser.parse_model(text)
    source.graph.initializer.append(helper.make_tensor("s", onnx.TensorProto.STRING, [2], ["a", "b"]))
    assert operators(source) == ["Neg", "Identity"]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize(("rows", "folded"), [(64, True), (10_000, False)])
def test_weights_of_a_large_quantized_model_stay_at_eight_bits_after_all_passes(rows: int, folded: bool) -> None:
    source = parser.parse_model(
        f"{HEAD} g (float[N,64] x, int64[K] i) => (float[N,64] y, float[K,64] z) "
        "{ w = Cast<to = 1>(small)  y = MatMul(x, w)  g = Gather(large, i)  z = Cast<to = 1>(g) }"
    )
    rng = np.random.default_rng(0)
    for name, shape in (("small", (64, 64)), ("large", (rows * 2, 64))):
        source.graph.initializer.append(numpy_helper.from_array(rng.integers(-128, 127, shape, np.int8), name))
    graph = surgery.fix_model(source)[0].graph
    read = {name for node in graph.node if node.op_type == "MatMul" for name in node.input}
    kinds = {tensor.data_type for tensor in graph.initializer if tensor.name in read}
    assert (kinds == {onnx.TensorProto.FLOAT}) is folded


def test_a_node_that_the_pass_makes_says_so() -> None:
    source = parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) <float[2] a = {{1, 2}}> {{ [old] y = Neg(a) }}")
    (node,) = fixed(source).graph.node
    assert {prop.key: prop.value for prop in node.metadata_props} == {
        "surgeon.pass": "SG005",
        "surgeon.replaces": "old",
    }


def test_no_output_of_a_split_loses_its_name() -> None:
    source = model(
        "e = Neg(a)  y, z = Split<axis = 0>(e, s)  w = Relu(z)", "float[n] y, float[m] w", s=np.array([1, 2])
    )
    one = apply_passes(source, "", [PASS], Options()).model
    assert all(name for node in one.graph.node for name in node.output)
    assert operators(source) == ["Constant", "Constant"]
