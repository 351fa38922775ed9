"""SG010: a node is removed exactly if it returns its input; tried with every small form of its operands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes.cleanup.no_op_node import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, run, stays

CODE = "SG010"
REWRITES = [
    Case(
        "Cast to the same",
        "g (float[2] x) => (float[2] y) { a = Cast<to = 1>(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Slice of all",
        """g (float[n] x) => (float[n] y) <int64[1] a = {0}, int64[1] b = {9223372036854775807}> {
          c = Slice(x, a, b)
          y = Relu(c)
        }""",
        after="g (float[n] x) => (float[n] y) { y = Relu(x) }",
    ),
    Case(
        "Slice to the own dim",
        """g (float[n] x) => (float[n] y) <int64[1] a = {0}> {
          b = Shape(x)
          c = Slice(x, a, b)
          y = Relu(c)
        }""",
        after="g (float[n] x) => (float[n] y) { y = Relu(x) }",
    ),
    Case(
        "Expand to the own shape",
        "g (float[n,2] x) => (float[n,2] y) { s = Shape(x)  a = Expand(x, s)  y = Relu(a) }",
        after="g (float[n,2] x) => (float[n,2] y) { y = Relu(x) }",
    ),
    Case(
        "Dropout",
        "g (float[2] x) => (float[2] y) { a, m = Dropout(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Pad by nothing",
        "g (float[2] x) => (float[2] y) <int64[2] p = {0, 0}> { a = Pad(x, p)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Concat of one",
        "g (float[2] x) => (float[2] y) { a = Concat<axis = 0>(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
]
LEFT_ALONE = [
    Case("Cast to another type", "g (float[2] x) => (float16[2] y) { y = Cast<to = 10>(x) }"),
    Case(
        "Slice of some elements",
        "g (float[4] x) => (float[k] y) <int64[1] a = {1}, int64[1] b = {9}> { y = Slice(x, a, b) }",
    ),
    Case(
        "Expand to a larger shape",
        """g (float[1,2] x, float[n] z) => (float[a,b] y) <int64[1] t = {2}> {
          s = Shape(z)
          k = Concat<axis = 0>(s, t)
          y = Expand(x, k)
        }""",
    ),
    Case(
        "Dropout with a mask that is read",
        "g (float[2] x) => (float[2] y, bool[2] m) { a, m = Dropout(x)  y = Relu(a) }",
    ),
]


BIG = 2**63 - 1
Spelling = tuple[str, list[Any], dict[str, Any]]


def model(
    spelling: Spelling, shape: tuple[int | str | None, ...] = (2, 3), opset: int = 17, kind: int = 1, outputs: int = 1
) -> onnx.ModelProto:
    """One node between two others; its constant operands are int64 unless they are arrays or None (left out)."""
    op, operands, attributes = spelling
    names = ["a", *(f"c{index}" if value is not None else "" for index, value in enumerate(operands))]
    made = [f"b{index}" for index in range(outputs)]
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node(op, names, made, name="it", **attributes),
        helper.make_node("Identity", ["b0"], ["y"]),
    ]
    stored = [
        numpy_helper.from_array(value if isinstance(value, np.ndarray) else np.array(value, np.int64), name)
        for value, name in zip(operands, names[1:], strict=True)
        if value is not None
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], [onnx.ValueInfoProto(name="y")], stored
    )
    graph.output[0].type.tensor_type.elem_type = attributes["to"] if op == "Cast" else kind
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def goes(source: onnx.ModelProto) -> bool:
    outcome = apply_passes(source, "", [PASS], Options())
    assert [trouble for trouble in outcome.context.troubles if "convert" not in trouble] == []
    return "it" not in [node.name for node in outcome.model.graph.node]


def hands_on(source: onnx.ModelProto) -> bool | None:
    """Whether the node gives what it gets; None where it is no valid node."""
    value = source.graph.input[0].type.tensor_type
    shape = [dim.dim_value for dim in value.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(helper.tensor_dtype_to_np_dtype(value.elem_type))
    try:
        (y,) = ReferenceEvaluator(source).run(None, {"x": x})
    except Exception:  # what the operator refuses
        return None
    return bool(y.shape == x.shape and y.dtype == x.dtype and np.array_equal(x, y))


def slices() -> Iterator[Spelling]:
    for start, end, axis, step in product([0, 1, -1], [1, 2, 3, BIG, 2**31 - 1, -1], [0, 1, -1, -2], [None, 1, 2, -1]):
        yield "Slice", [[start], [end], [axis], *([] if step is None else [[step]])], {}
    for ends in product([1, 2, 3, 4], repeat=2):
        yield "Slice", [[0, 0], list(ends)], {}
        yield "Slice", [[0, 0], list(ends), [1, 0]], {}
        yield "Slice", [[0, 0], list(ends), None, [1, 1]], {}
        yield "Slice", [[0, 0], list(ends), None, [1, 2]], {}
    yield "Slice", [[0], [2]], {}
    yield "Slice", [[0], [1]], {}


def shapings() -> Iterator[Spelling]:
    for shape in ([2, 3], [3, 2], [-1, 3], [2, -1], [0, 0], [0, -1], [0, 3], [2, 0], [6], [1, 2, 3], [-1], [3, -1]):
        yield "Reshape", [shape], {}
        yield "Reshape", [shape], {"allowzero": 1}
    for shape in ([2, 3], [1, 3], [1, 1], [3], [1], [2, 1], [1, 2, 3], [2, 2, 3], [1, 1, 1]):
        yield "Expand", [shape], {}
    for repeats in product([1, 2], repeat=2):
        yield "Tile", [list(repeats)], {}
    for pads in product([0, 1], repeat=4):
        yield "Pad", [list(pads)], {}
    yield "Pad", [[0, 0, 0, 0], None], {"mode": "reflect"}
    for perm in ([0, 1], [1, 0], None):
        yield "Transpose", [], {} if perm is None else {"perm": perm}
    for axis in (0, 1, 2, -1):
        yield "Flatten", [], {"axis": axis}
        yield "Unsqueeze", [[axis]], {}
        yield "Concat", [], {"axis": min(axis, 1)}
        yield "Split", [], {"axis": min(axis, 1)}
    for op in ("Sum", "Max", "Min", "Mean"):
        yield op, [], {}
        yield op, [np.full((2, 3), 0.5, np.float32)], {}
    yield "Squeeze", [], {}
    for ratio in (None, np.array(0.5, np.float32)):
        for training in ([], [np.array(False)], [np.array(True)]):
            yield "Dropout", [ratio, *training], {"seed": 1}
    yield "Dropout", [], {}


@pytest.mark.parametrize("made", [slices, shapings], ids=["slices", "others"])
def test_goes_exactly_when_it_gives_what_it_gets(made: Any) -> None:
    tried = []
    for spelling in made():
        source = model(spelling)
        wanted = hands_on(source)
        if wanted is not None:
            tried.append(wanted)
            assert goes(source) == wanted, spelling
    assert min(tried.count(True), tried.count(False)) > 10


@pytest.mark.parametrize("before", [1, 6, 7, 9, 10, 11])
@pytest.mark.parametrize("after", [1, 6, 7, 9, 10, 11])
def test_casts(before: int, after: int) -> None:
    assert goes(model(("Cast", [], {"to": after}), kind=before)) == (before == after)


@pytest.mark.parametrize(
    ("spelling", "shape", "gone"),
    [
        (("Slice", [[0], [BIG], [0]], {}), ("N", 3), True),
        (("Slice", [[0], [2**31 - 1], [0]], {}), ("N", 3), True),
        (("Slice", [[0], [2**31 - 2], [0]], {}), ("N", 3), False),
        (("Slice", [[0], [3], [1]], {}), ("N", 3), True),
        (("Slice", [[0], [3], [0]], {}), ("N", 3), False),
        (("Slice", [[0, 0], [BIG, 2]], {}), ("N", 3), False),
        (("Reshape", [[-1, 3]], {}), ("N", 3), True),
        (("Reshape", [[0, 3]], {}), ("N", 3), True),
        (("Reshape", [[0, -1]], {}), ("N", "M"), True),
        (("Reshape", [[0, 0]], {"allowzero": 1}), ("N", "M"), False),
        (("Reshape", [[2, 3]], {}), ("N", 3), False),
        (("Reshape", [[3, -1]], {}), ("N", 3), False),
        (("Reshape", [[-1]], {}), ("N",), True),
        (("Reshape", [[-1]], {}), (None,), True),
        (("Reshape", [[-1, 3]], {}), (None, 3), True),
        (("Reshape", [[0, -1]], {}), (None, None), True),
        (("Reshape", [[0, 0]], {"allowzero": 1}), (None, None), False),
        (("Reshape", [[3, -1]], {}), (None, 3), False),
        (("Reshape", [[-1, 1]], {}), (None, 3), False),
        (("Reshape", [[0, 3, 1]], {}), (None, 3), False),
        (("Slice", [[0, 0], [BIG, 3]], {}), (None, 3), True),
        (("Expand", [[1, 3]], {}), (None, 3), True),
        (("Expand", [[2, 3]], {}), (None, 3), False),
        (("Flatten", [], {"axis": 1}), (None, 3), True),
        (("Expand", [[1, 3]], {}), ("N", 3), True),
        (("Expand", [[3]], {}), ("N", 3), True),
        (("Expand", [[2, 3]], {}), ("N", 3), False),
        (("Expand", [[1, 1, 1]], {}), ("N", 3), False),
        (("Flatten", [], {"axis": 1}), ("N", 3), True),
        (("Flatten", [], {"axis": 1}), ("N", 3, 1), False),
        (("Transpose", [], {}), ("N",), True),
        (("Transpose", [], {}), (), True),
        (("Transpose", [], {}), ("N", 1), False),
        (("Transpose", [], {"perm": [0, 1, 2]}), ("N", "M", 1), True),
        (("Squeeze", [], {}), (2, 1), False),
        (("Squeeze", [[1]], {}), ("N", 1), False),
        (("Tile", [[1, 1]], {}), ("N", "M"), True),
        (("Pad", [[0, 0, 0, 0]], {}), ("N", "M"), True),
        (("Slice", [[0], [3], [2]], {}), (2, 3), False),
        (("Slice", [[0], [3], [-3]], {}), (2, 3), False),
    ],
)  # fmt: skip
def test_free_dims_and_other_ranks(spelling: Spelling, shape: tuple[int | str | None, ...], gone: bool) -> None:
    assert goes(model(spelling, shape)) is gone


@pytest.mark.parametrize(
    ("spelling", "opset", "gone"),
    [
        (("Slice", [], {"starts": [0], "ends": [2]}), 9, True),
        (("Slice", [], {"starts": [0], "ends": [1]}), 9, False),
        (("Slice", [], {"starts": [0], "ends": [2], "axes": [1]}), 9, False),
        (("Slice", [], {"starts": [0], "ends": [3], "axes": [1]}), 9, True),
        (("Slice", [], {"starts": [1], "ends": [3], "axes": [1]}), 9, False),
        (("Pad", [], {"pads": [0, 0, 0, 0]}), 10, True),
        (("Pad", [], {"pads": [0, 1, 0, 0]}), 10, False),
        (("Pad", [], {"paddings": [0, 0, 0, 0]}), 1, True),
        (("Reshape", [], {"shape": [2, 3]}), 4, True),
        (("Reshape", [], {"shape": [0, -1]}), 4, True),
        (("Reshape", [], {"shape": [3, 2]}), 4, False),
        (("Sum", [], {}), 7, True),
        (("Sum", [], {}), 6, True),
        (("Squeeze", [], {"axes": [0]}), 11, False),
        (("Dropout", [], {"ratio": 0.5}), 7, True),
        (("Dropout", [], {"ratio": 0.5, "is_test": 1}), 6, True),
        (("Dropout", [], {"ratio": 0.5, "is_test": 0}), 6, False),
        (("Transpose", [], {"perm": [0, 1]}), 6, True),
    ],
)  # fmt: skip
def test_older_spellings(spelling: Spelling, opset: int, gone: bool) -> None:
    assert goes(model(spelling, opset=opset)) is gone


def test_bounds_that_are_computed_at_run_time_stay() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[4] x, int64[1] k) => (float[n] p, float[m] q, float[l] r)
    <int64[1] zero = {0}, int64[1] four = {4}, int64[1] one = {1}>
    { a = Slice(x, zero, k)  p = Relu(a)  b = Slice(x, k, four)  q = Relu(b)
      c = Slice(x, zero, four, zero, k)  r = Relu(c) }"""
    source = onnx.parser.parse_model(text)
    assert apply_passes(source, "", [PASS], Options()).model is source


@pytest.mark.parametrize("dims", ["n,3", "?,3", "?,?"])
@pytest.mark.parametrize("op", ["Expand", "Reshape"])
def test_the_shape_of_the_tensor_itself(op: str, dims: str) -> None:
    """Free dims are one and the same only where they are of one tensor: a name alone proves nothing."""
    named = ", ".join(f'"{dim}"' if dim == "?" else dim for dim in dims.split(","))
    head = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{named}] x, float[{named}] z) => (float[a,b] y) '
    for other, gone in (("x", True), ("z", False)):
        source = onnx.parser.parse_model(head + f"{{ c = Relu(x)  s = Shape({other})  t = {op}(c, s)  y = Neg(t) }}")
        result = apply_passes(source, "", [PASS], Options()).model
        assert (op not in [node.op_type for node in result.graph.node]) is gone, other


def test_split_and_dropout_with_a_second_output() -> None:
    split = ("Split", [[3, 3]], {"axis": 1})
    assert not goes(model(split, (2, 6), outputs=2))
    assert goes(model(("Dropout", [], {}), outputs=2)), "the mask is not read"
    read = model(("Dropout", [], {}), outputs=2)
    read.graph.output.append(helper.make_tensor_value_info("b1", onnx.TensorProto.BOOL, [2, 3]))
    assert not goes(read)
    read.graph.output.pop()
    read.graph.node.append(helper.make_node("Not", ["b1"], ["z"]))
    read.graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.BOOL, [2, 3]))
    assert not goes(read)


def test_every_one_of_several_goes_and_says_what_it_hands_on() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[2,3] x) => (float[2,3] y)
    <int64[2] s = {3, 2}, int64[2] t = {2, 3}>
    { a = Relu(x) b = Reshape(a, s) c = Reshape(b, t) d = Reshape(c, t) e = Reshape(d, t) m = Cast<to=10>(e)
      n = Cast<to=1>(m) o = Cast<to=1>(n) q, w = Dropout(o) y = Relu(q) }"""
    outcome = apply_passes(onnx.parser.parse_model(text), "", [PASS], Options())
    assert [node.op_type for node in outcome.model.graph.node] == ["Relu", "Reshape", "Reshape", "Cast", "Cast", "Relu"]
    assert sorted(found.message for found in outcome.applied) == [f"returns '{name}' unchanged" for name in "cdno"]


@pytest.mark.parametrize(
    ("op", "declared", "gone"),
    [("Expand", "2,3", True), ("Expand", "4,2,3", False), ("Reshape", "2,3", True), ("Reshape", "3,2", False)],
)
def test_the_shape_of_the_result_may_be_declared(op: str, declared: str, gone: bool) -> None:
    """What the file says of a tensor in between holds where the operand is known at run time only."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x, int64[k] s) => (float[{declared}] y) '
    source = onnx.parser.parse_model(text + f"<float[{declared}] e> {{ e = {op}(x, s)  y = Relu(e) }}")
    fixed = apply_passes(source, "", [PASS], Options()).model
    assert [node.op_type for node in fixed.graph.node] == (["Relu"] if gone else [op, "Relu"])


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_an_attribute_that_the_caller_of_a_function_sets() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
        g (float[2,3] x) => (float[3,2] y, float[2,3] z) {
          i = Identity(x)  y = own.Turned<order = [1, 0]>(i)  z = own.Turned<order = [0, 1]>(i) }
        <domain: "own", opset_import: ["" : 18]> Turned <order> (p) => (s) {
          q = Transpose<perm: ints = @order>(p)  r = Transpose<perm = [0, 1]>(q)  s = Relu(r) }"""
    )
    fixed, report = surgery.fix_model(model, guard=False)
    assert not [check.message for check in report.checks if "could not look" in check.message]
    assert [node.op_type for node in fixed.functions[0].node] == ["Transpose", "Relu"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 3
    for one, other in zip(run(model, {"x": x}), run(fixed, {"x": x}), strict=True):
        assert np.array_equal(one, other)
