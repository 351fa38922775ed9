"""Products with weights on channels-last data whose result is transposed to channels first.

What it does: transposes the data before the products and writes each product and its bias as one convolution with a
kernel of one element; what lies between them keeps its form.
Why: one node less for each bias. ConvNeXt blocks and the memory encoder of Segment Anything 2 are written so.
Before → After: `Transpose<0,3,1,2>(Add(MatMul(x: [n, h, w, c], w: [c, d]), b))` →
`Conv(Transpose<0,3,1,2>(x), w as [d, c, 1, 1], b)`
Leaves alone: pictures of unknown size or less than four dims; computed weights, because they may be dequantized ones;
types other than float32; results in between that are read elsewhere or are graph outputs; data that comes from several
tensors; products without a bias; weights of over 64 KB that other nodes read.
Numerics: within rounding: the same products may be summed in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import has_reference, producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG213"
UNARY = ("Relu", "Erf", "Gelu", "Sigmoid", "Tanh", "Neg", "Abs", "Sqrt", "Exp", "HardSwish", "Elu", "LeakyRelu")
BINARY = ("Add", "Sub", "Mul", "Div")
SHARED = 64 << 10  # bytes of weights that may be stored once more where other nodes read them too
MOST_NODES = 64


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7 or not any(True for _ in context.nodes(graph, "MatMul")):
        return
    for node in context.nodes(graph, "Transpose"):
        order = node.attrs.get("perm")
        rank = len(order) if order is not None else 0
        if rank < 4 or list(order) != [0, rank - 1, *range(1, rank - 1)] or not _known(node.inputs[0]):
            continue
        region = _region(graph, node, rank, context)
        sources = {id(t): t for part in region for t in _operands(part) if not _made_by(t, region)}
        if not any(_bias_of(part) is not None for part in region) or len(sources) != 1:
            continue
        (source,) = sources.values()
        if context.rank(source) == rank and source.dtype == np.float32:
            fix = partial(_write, graph, node, source, region, context)
            yield finding("transposes the result of products that a convolution writes so", node, fix, *region)


def _known(tensor: gs.Tensor) -> bool:
    """Whether all dims between the first and the last are known and not zero: no convolution takes an empty picture."""
    return tensor.shape is not None and all(isinstance(dim, int) and dim for dim in tensor.shape[1:-1])


def _region(graph: gs.Graph, last: gs.Node, rank: int, context: Context) -> list[gs.Node]:
    """The nodes in front of `last` that work on the last dim only and that nothing else reads, in graph order."""
    found: dict[int, gs.Node] = {}
    inside, todo = {id(last)}, [last.inputs[0]]
    while todo and len(found) < MOST_NODES:
        tensor = todo.pop(0)
        maker = producer(tensor)
        if maker is None or id(maker) in found or context.is_output(graph, tensor) or not _works(maker, rank, context):
            continue
        if all(id(reader) in inside for reader in tensor.outputs):
            found[id(maker)] = maker
            inside.add(id(maker))
            todo += _operands(maker)
    return list(found.values())[::-1]


def _works(node: gs.Node, rank: int, context: Context) -> bool:
    """Whether the node works on the last dim of a tensor of `rank` only, or on each element."""
    if node.domain or has_reference(node) or len(node.outputs) != 1 or node.outputs[0].dtype != np.float32:
        return False
    if any(context.rank(tensor) != rank for tensor in [*_operands(node), node.outputs[0]]):
        return False
    if node.op in UNARY:
        return len(node.inputs) == 1
    if node.op == "MatMul":
        weights = node.inputs[1]
        fits = isinstance(weights, gs.Constant) and weights.dtype == np.float32 and len(weights.shape) == 2
        return bool(fits and (len(weights.outputs) == 1 or weights.values.nbytes <= SHARED) and _operands(node))
    constants = [tensor for tensor in node.inputs if isinstance(tensor, gs.Constant)]
    return node.op in BINARY and len(constants) < 2 and all(_is_row(tensor, node, rank) for tensor in constants)


def _is_row(tensor: gs.Constant, node: gs.Node, rank: int) -> bool:
    """Whether the constant is one number, or one number for each channel of the node's result."""
    dims = list(tensor.shape)
    if tensor.dtype != np.float32 or len(dims) > rank:
        return False
    return all(dim == 1 for dim in dims) or (all(dim == 1 for dim in dims[:-1]) and dims[-1] == _channels(node))


def _channels(node: gs.Node) -> int | None:
    """Channels that every operand that is not constant has, where they are known."""
    counts = {tensor.shape[-1] for tensor in _operands(node)}
    count = counts.pop() if len(counts) == 1 else None
    return count if isinstance(count, int) else None


def _operands(node: gs.Node) -> list[gs.Tensor]:
    return [tensor for tensor in node.inputs if not isinstance(tensor, gs.Constant)]


def _made_by(tensor: gs.Tensor, region: list[gs.Node]) -> bool:
    return any(tensor is node.outputs[0] for node in region)


def _bias_of(node: gs.Node) -> gs.Node | None:
    """The Add behind a product that adds one number for each channel to it."""
    readers = node.outputs[0].outputs
    if node.op != "MatMul" or len(readers) != 1 or readers[0].op != "Add":
        return None
    constants = [tensor for tensor in readers[0].inputs if isinstance(tensor, gs.Constant)]
    return readers[0] if len(constants) == 1 and constants[0].values.size == node.inputs[1].shape[1] else None


def _write(graph: gs.Graph, last: gs.Node, source: gs.Tensor, region: list[gs.Node], context: Context) -> None:
    build = Build(graph, last, context, CODE)
    rank = len(last.attrs["perm"])
    values = {id(source): build("Transpose", source, perm=list(last.attrs["perm"]))}
    todo = list(region)
    while todo:
        node = next(each for each in todo if all(id(tensor) in values for tensor in _operands(each)))
        todo.remove(node)
        if id(node.outputs[0]) in values:
            continue
        add = _bias_of(node)
        if node.op == "MatMul":
            result = add if add is not None else node
            values[id(result.outputs[0])] = values[id(node.outputs[0])] = _convolution(build, node, add, values, rank)
        else:
            inputs = [values[id(t)] if id(t) in values else _upright(build, t, rank) for t in node.inputs]
            values[id(node.outputs[0])] = build(node.op, *inputs, **node.attrs)
    build.replace(values[id(last.inputs[0])])


def _convolution(
    build: Build, node: gs.Node, add: gs.Node | None, values: dict[int, gs.Tensor], rank: int
) -> gs.Tensor:
    weights = np.asarray(node.inputs[1].values).T
    operands = [values[id(node.inputs[0])], build.constant(weights.reshape(*weights.shape, *[1] * (rank - 2)))]
    if add is not None:
        (bias,) = (tensor for tensor in add.inputs if isinstance(tensor, gs.Constant))
        operands.append(build.constant(np.asarray(bias.values).reshape(-1)))
    return build("Conv", *operands, kernel_shape=[1] * (rank - 2))


def _upright(build: Build, tensor: gs.Constant, rank: int) -> gs.Tensor:
    """A constant of one number for each channel, for channels in dim 1."""
    value = np.asarray(tensor.values)
    return tensor if value.size == 1 else build.constant(value.reshape(-1, *[1] * (rank - 2)))


PASS = Pass(code=CODE, name="product-of-channels", find=find, exact=False, kind="speed")
