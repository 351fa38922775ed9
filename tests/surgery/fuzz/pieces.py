"""The pieces that random models are put together from: each is a kind of graph that a pass once got wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.surgery.fuzz.generator import TYPES, Draft, Refused
from tests.surgery.fuzz.merges import (
    dims_of_one,
    linear,
    nested_slices,
    neutral_operand,
    requantized,
    scaled_product,
)


def elementwise(draft: Draft) -> Any:
    op = draft.chance.choice(["Add", "Mul", "Sub", "Max", "Relu", "Neg", "Abs", "Identity", "Sigmoid", "Tanh"])
    first = draft.pick()
    if op in ("Relu", "Neg", "Abs", "Identity", "Sigmoid", "Tanh"):
        return draft.add(op, first)
    rank = draft.chance.randint(0, draft.values[first].ndim + 1)  # one dim more raises the rank of the result
    return draft.add(op, first, draft.constant(draft.numbers.standard_normal([1] * rank), np.float32))


def casts(draft: Draft) -> Any:
    value = draft.add("Cast", draft.pick(), to=TensorProto.INT32)
    for _ in range(draft.chance.randint(1, 3)):
        value = draft.add("Cast", value, to=draft.chance.choice(TYPES))
    return draft.add("Cast", value, to=TensorProto.FLOAT)


def shape_of(draft: Draft) -> str:
    """A shape, sliced, gathered, cast or computed with."""
    shape = draft.add("Shape", draft.pick())
    for _ in range(draft.chance.randint(0, 3)):
        how = draft.chance.randrange(5)
        if how == 0 and draft.opset >= 10:
            bounds = [draft.chance.choice([-9, -2, -1, 0, 1, 2, 9]) for _ in range(2)]
            step = draft.chance.choice([-2, -1, 1, 1, 2])
            operands = [draft.constant([number]) for number in (*bounds, 0, step)]
            shape = draft.add("Slice", shape, *operands)
        elif how == 1:
            shape = draft.add("Gather", shape, draft.constant([0, draft.chance.choice([0, 0, 1])]), axis=0)
        elif how == 2:
            cast = draft.add("Cast", shape, to=draft.chance.choice(TYPES))
            shape = draft.add("Cast", cast, to=TensorProto.INT64)
        elif how == 3:
            op = draft.chance.choice(["Add", "Sub", "Mul", "Div"])
            shape = draft.add(op, shape, draft.constant(draft.chance.choice([1, 2, 3, -2])))
        elif draft.opset >= 10:
            start = draft.input([1], np.array([draft.chance.choice([0, 1])]))  # known at run time only
            shape = draft.add("Slice", shape, start, draft.constant([3]), draft.constant([0]))
    return str(shape)


def computed_shapes(draft: Draft) -> Any:
    shape = shape_of(draft)
    if draft.chance.random() < 0.4:
        return draft.add("Cast", shape, to=TensorProto.FLOAT)
    filled = draft.add("ConstantOfShape", shape)
    return draft.add("Cast", draft.add("Shape", filled), to=TensorProto.FLOAT)


def computed_reshape(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 1)
    shape = draft.add("Shape", source)
    parts = [draft.add("Gather", shape, draft.constant([axis]), axis=0) for axis in range(draft.values[source].ndim)]
    joined = draft.add("Mul", parts[-1], parts[-2])
    kept = [*parts[:-2], joined, draft.constant([1])]
    return draft.add("Reshape", source, draft.add("Concat", *kept, axis=0))


def softmax(draft: Draft) -> Any:
    source = draft.add("Tanh", draft.pick())  # so that it does not overflow
    axis = draft.chance.randrange(draft.values[source].ndim)
    exponential = draft.add("Exp", source)
    return draft.add("Div", exponential, draft.axes("ReduceSum", exponential, [axis], keepdims=1))


def layer_norm(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 1 and value.shape[-1] > 1)
    rank = draft.chance.choice([0, 1, draft.values[source].ndim, draft.values[source].ndim + 1])
    difference = draft.add(
        "Sub", source, draft.axes("ReduceMean", source, [-1] if draft.opset > 10 else [1], keepdims=1)
    )
    variance = draft.axes("ReduceMean", draft.add("Mul", difference, difference), [-1], keepdims=1)
    shifted = draft.add("Add", variance, draft.constant(np.full([1] * rank, 0.1), np.float32))
    return draft.add("Div", difference, draft.add("Sqrt", shifted))


def gelu(draft: Draft) -> Any:
    source = draft.pick()
    rank = draft.chance.choice([0, 0, 1, draft.values[source].ndim + 1])
    number = lambda value: draft.constant(np.full([1] * rank, value), np.float32)  # noqa: E731
    erf = draft.add("Erf", draft.add("Div", source, number(np.sqrt(2))))
    return draft.add("Mul", draft.add("Mul", source, draft.add("Add", erf, number(1))), number(0.5))


def quantized(draft: Draft) -> Any:
    kind = draft.chance.choice([np.uint8, np.int8])
    scale = draft.constant(draft.chance.choice([0.05, 0.5]), np.float32)
    zero = draft.constant(draft.chance.choice([0, 3, 100]), kind)
    return draft.add("DequantizeLinear", draft.add("QuantizeLinear", draft.pick(), scale, zero), scale, zero)


def quantized_product(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 1)
    values, scale, zero = draft.add("DynamicQuantizeLinear", source, outputs=3)
    width = draft.values[source].shape[-1]
    # Below 64: processors without VNNI saturate the sums of two larger products.
    weights = draft.constant(draft.numbers.integers(-60, 60, (width, 2)), np.int8)
    product = draft.add("MatMulInteger", values, weights, zero)
    return draft.add("Mul", draft.add("Cast", product, to=TensorProto.FLOAT), scale)


def mask(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim == 2)
    wide = draft.input(["M", draft.values[source].shape[1]], np.ones((3, draft.values[source].shape[1]), bool))
    expanded = draft.add("Expand", wide, draft.add("Shape", source))
    places = draft.add("Transpose", draft.add("NonZero", expanded), perm=[1, 0])
    count = draft.add("Gather", draft.add("Shape", places), draft.constant([0]), axis=0)
    value = draft.add("Expand", draft.constant(7, np.float32), count)
    return draft.add("ScatterND", source, places, value)


def resize(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim == 4)
    sizes = draft.constant([draft.chance.randint(1, 7) for _ in range(2)])
    attributes = {
        "mode": draft.chance.choice(["nearest", "linear", "cubic"]),
        "keep_aspect_ratio_policy": draft.chance.choice(["stretch", "not_larger", "not_smaller"]),
        "axes": [2, 3],
    }
    return draft.add("Resize", source, "", "", sizes, **attributes)


def runtime_axes(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 0)
    axes = draft.input([1], np.array([0]))
    op = draft.chance.choice(["ReduceSum", "ReduceMean", "ReduceMax", "Unsqueeze"])
    if op != "ReduceMean":
        return draft.add(op, source, axes)
    whole = draft.add("Cast", source, to=TensorProto.INT32)
    return draft.add("Cast", draft.add(op, whole, axes), to=TensorProto.FLOAT)


def split(draft: Draft) -> Any:
    source = draft.constant(draft.numbers.standard_normal(4), np.float32)
    if draft.opset < 13:
        return draft.add("Split", draft.add("Neg", source), outputs=2, split=[1, 3], axis=0)
    return draft.add("Split", draft.add("Neg", source), draft.constant([1, 3]), outputs=2, axis=0)


def branch(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 0)
    graphs = []
    for op in ("Relu", "Neg"):
        shared = draft.chance.choice(["b", draft.name("b")])
        nodes = [helper.make_node(op, [source], [shared]), helper.make_node("Abs", [shared], [f"{shared}{op}"])]
        graphs.append(helper.make_graph(nodes, op, [], [draft_info(f"{shared}{op}")]))
    size = draft.add("Gather", draft.add("Shape", source), draft.constant(0), axis=0)
    condition = draft.add("Equal", size, draft.constant(draft.chance.choice([1, 2])))
    name = draft.name()
    node = helper.make_node("If", [condition], [name], then_branch=graphs[0], else_branch=graphs[1])
    return control(draft, node, name, [condition, source])


def loop(draft: Draft) -> Any:
    source = draft.pick()
    inner = body(draft, [helper.make_node("Tanh", ["v"], ["w"])])
    if draft.chance.random() < 0.5:
        nested = helper.make_node(
            "Loop", ["trips", "co", "v"], ["w"], body=body(draft, [helper.make_node("Neg", ["v"], ["w"])], "i")
        )
        inner = body(draft, [trips(draft.chance.randint(1, 3)), nested])
    name = draft.name()
    count, condition = draft.constant(draft.chance.choice([0, 1, 3])), draft.constant(True, bool)
    return control(
        draft,
        helper.make_node("Loop", [count, condition, source], [name], body=inner),
        name,
        [count, condition, source],
    )


def body(draft: Draft, nodes: list[Any], prefix: str = "") -> Any:
    """A loop body whose carried tensor "v" becomes "w"; with a prefix its names differ from those around it."""
    carried = helper.make_tensor_value_info("v", TensorProto.FLOAT, None)
    number = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    condition = helper.make_tensor_value_info("ci", TensorProto.BOOL, [])
    nodes = [helper.make_node("Identity", ["ci"], ["co"]), *nodes]
    made = helper.make_graph(
        nodes,
        "body",
        [number, condition, carried],
        [helper.make_tensor_value_info("co", TensorProto.BOOL, []), draft_info("w")],
    )
    return renamed(made, prefix) if prefix else made


def renamed(graph: Any, prefix: str) -> Any:
    for info in (*graph.input, *graph.output):
        info.name = prefix + info.name
    for node in graph.node:
        node.input[:] = [prefix + name for name in node.input]
        node.output[:] = [prefix + name for name in node.output]
    return graph


def trips(count: int) -> Any:
    return helper.make_node("Constant", [], ["trips"], value=numpy_helper.from_array(np.array(count)))


def draft_info(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def control(draft: Draft, node: Any, name: str, inputs: list[str]) -> str:
    """Add a node with graphs inside, which read `inputs` too."""
    from tests.surgery.passes.comparing import run

    try:
        (draft.values[name],) = run(draft.model([node], [name], inputs), draft.feeds(inputs))
    except Exception as error:
        raise Refused(str(error)) from None
    draft.nodes.append(node)
    return name


def function(draft: Draft) -> Any:
    """A call of a local function with an attribute that only its caller sets."""
    if draft.opset < 15:
        raise Refused("functions take no attributes with defaults yet")
    if not draft.functions:
        inner = helper.make_node("Transpose", ["p"], ["q"])
        inner.attribute.add(name="perm", ref_attr_name="order", type=7)
        nodes = [
            inner,
            helper.make_node("Transpose", ["q"], ["r"], perm=[1, 0]),
            helper.make_node("Identity", ["r"], ["s"]),
        ]
        imports = [helper.make_opsetid("", draft.opset)]
        draft.functions.append(
            helper.make_function("own", "Turned", ["p"], ["s"], nodes, imports, attributes=["order"])
        )
    return draft.add("Turned", draft.pick(lambda value: value.ndim == 2), domain="own", order=[1, 0])


PIECES = (
    elementwise, elementwise, casts, computed_shapes, computed_shapes, computed_reshape, softmax, layer_norm, gelu,
    quantized, quantized_product, mask, resize, runtime_axes, split, branch, loop, function,
    scaled_product, neutral_operand, dims_of_one, linear, requantized, nested_slices,
)  # fmt: skip
