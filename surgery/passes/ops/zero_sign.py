"""Where the sign of a zero can be seen: tensors whose -0.0 and 0.0 lead to different values at an output of the graph.

Most operators give the same for both zeros, or a zero of the other sign. A reciprocal tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import has_reference, inner_graphs, producer, with_inner_graphs
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context

Places = Iterable[int]


def shows_zero_sign(graph: gs.Graph, tensor: gs.Tensor, context: Context) -> bool:
    """Whether any bit of an output of the graph may change if zeros of `tensor` change their sign.

    The outputs themselves and what an operator without a rule reads always count.
    """
    shown: set[int] = context.memo(f"zero signs {id(graph)}", lambda: _shown(graph, context))
    return id(tensor) in shown


def _shown(graph: gs.Graph, context: Context) -> set[int]:
    """Ids of the tensors in which the sign of a zero counts, from the outputs of the graph backwards."""
    waiting = [*graph.outputs]
    for node in graph.nodes:
        for _, inside in inner_graphs(node):
            for inner in with_inner_graphs(inside):
                waiting += [*inner.outputs, *(tensor for each in inner.nodes for tensor in each.inputs)]
        harmless = set(_harmless(node, context))
        waiting += [tensor for place, tensor in enumerate(node.inputs) if place not in harmless]
    own, shown = {id(node) for node in graph.nodes}, set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in shown:
            continue
        shown.add(id(tensor))
        maker = producer(tensor)
        if maker is not None and id(maker) in own and not _is_whole(tensor):
            waiting += [maker.inputs[place] for place in _passed_on(maker, context)]
    return shown


def _is_whole(tensor: gs.Tensor) -> bool:
    """Whether the tensor holds integers or truth values, which have one zero."""
    return tensor.dtype is not None and np.dtype(tensor.dtype).kind in "biu"


def _harmless(node: gs.Node, context: Context) -> Places:
    """Places of the inputs whose zeros change nothing but the sign of zeros in the results, if anything."""
    return (*_hidden(node, context), *_passed_on(node, context))


def _hidden(node: gs.Node, context: Context) -> Places:
    """Places of the inputs for which the results have the same bits whatever sign a zero has."""
    if node.domain or has_reference(node):
        return ()
    if node.op in PRODUCTS:
        bias = optional_input(node, 2)
        return (0, 1) if bias is None or _has_no_negative_zero(bias, context) else ()
    if node.op in BLIND:
        return (0,)
    if node.op in COMPARISONS:
        return (0, 1)
    if node.op == "Add":
        return tuple(1 - place for place in (0, 1) if _has_no_negative_zero(node.inputs[place], context))
    shift = optional_input(node, 2) if node.op == "LayerNormalization" and len(node.outputs) == 1 else None
    return (0,) if shift is not None and _has_no_negative_zero(shift, context) else ()


def _has_no_negative_zero(tensor: gs.Tensor, context: Context) -> bool:
    """Whether it is a constant, or dequantized, so that a zero of either sign can be added with the same result."""
    maker = producer(tensor, "DequantizeLinear")
    value = context.constant(tensor if maker is None else maker.inputs[1])
    if value is None:
        return False
    numbers = value.astype(np.float64)
    return bool((numbers > 0).all()) if maker is not None else not (np.signbit(numbers) & (numbers == 0)).any()


def _passed_on(node: gs.Node, context: Context) -> Places:
    """Places of the inputs whose zeros decide the sign of zeros in the results and nothing else."""
    rule = None if node.domain or has_reference(node) else PASSES.get(node.op)
    hidden = () if rule is None else _hidden(node, context)
    places = () if rule is None else rule(node, context)
    return tuple(place for place in places if place < len(node.inputs) and place not in hidden)


def _first(node: gs.Node, context: Context) -> Places:
    return (0,)


def _every(node: gs.Node, context: Context) -> Places:
    return range(len(node.inputs))


def _place(*places: int) -> Callable[[gs.Node, Context], Places]:
    return lambda node, context: places


def _one_output(node: gs.Node, context: Context) -> Places:
    """Operators whose other outputs are places or statistics."""
    return (0,) if len(node.outputs) == 1 else ()


def _power(node: gs.Node, context: Context) -> Places:
    exponent = context.constant(node.inputs[1])
    return (0,) if exponent is not None and bool((exponent > 0).all()) else ()


PRODUCTS = {"MatMul", "Conv", "ConvTranspose", "Gemm"}  # their sums begin at 0.0
BLIND = {"Abs", "Cos", "Cosh", "Exp", "Sigmoid", "Softmax", "IsNaN", "DynamicQuantizeLinear", "Shape", "Size"}
COMPARISONS = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
MOVES = "Identity Reshape Transpose Squeeze Unsqueeze Flatten Slice Gather GatherElements GatherND Split Expand Tile"
FUNCTIONS = (
    "Neg Relu LeakyRelu Elu Selu Celu Sqrt Erf Tanh Sin Tan Atan Sinh Asinh Gelu HardSwish Mish Softsign Sign Round "
    "Floor Ceil ReduceSum ReduceMean ReduceMax ReduceMin GlobalAveragePool AveragePool "
    "InstanceNormalization GroupNormalization Resize DepthToSpace SpaceToDepth "
    "Cast Div QuantizeLinear"
)
PASSES: dict[str, Callable[[gs.Node, Context], Places]] = {
    **dict.fromkeys((*MOVES.split(), *FUNCTIONS.split()), _first),
    **dict.fromkeys(("Add", "Sub", "Mul", "Sum", "Mean", "Min", "Max", "PRelu", "Concat", "Clip", *PRODUCTS), _every),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "MaxPool", "RMSNormalization"), _one_output),
    "Where": _place(1, 2),
    "Pad": _place(0, 2),
    "ScatterND": _place(0, 2),
    "ScatterElements": _place(0, 2),
    "Pow": _power,
}
