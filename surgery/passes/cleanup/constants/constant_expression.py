"""Expressions of constants that are computed again at every run.

What it does: computes them once, with the kernels of onnxruntime (or onnx.reference where onnxruntime has none), and
stores the result. All nodes that lead to a result count together: the result may be larger than the initializers that
are no longer needed by at most `--fold-limit` bytes. Larger results are stored if all results together add at most an
eighth to the bytes of the model's constants; a limit below 64 KB holds alone.
Why: TensorRT needs many operands (axes, pads, shapes, sizes) as constants when it builds the engine.
Before → After: `c = Mul(2, 3); y = Add(x, c)` → `y = Add(x, 6)`
Leaves alone: random operators, quantize and dequantize pairs of more than one number (their place in the graph carries
meaning), operators of other domains, strings, nodes with subgraphs, results of unknown size, results that are too
large, and eight-bit weights that a Cast makes four times as large in a model of over 1 MB. An output of the graph stays
an output: a Constant node makes it.
Numerics: exact: the same kernel computes the same values. Products of eight bits are summed without overflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import inf, prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_by_constant
from surgery.graph.nodes import Constant
from surgery.graph.protos import nbytes
from surgery.passes.ops.evaluate import evaluate, nodes_behind
from surgery.pipeline.context import Context
from surgery.pipeline.options import FOLD_LIMIT
from surgery.pipeline.rule import Finding, Pass, finding

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
LEFT_ALONE = RANDOM | {"Constant", "QuantizeLinear", "DequantizeLinear", "If", "Loop", "Scan"}
BOUNDED = {
    "NonZero",
    "Unique",
    "Compress",
}  # their size is known only afterwards, but never much larger than that of the input
LARGEST = 256 << 20
SMALL = 64 << 10
WEIGHTS = 1 << 10
LARGE = 1 << 20
SHARE = 1 / 8  # by which all large results together may add to the constants


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    nodes = _constant_nodes(graph, context)
    if not nodes:
        return
    wanted, cones = _chosen(graph, nodes, context)
    if not wanted:
        return
    needed = {id(node) for part in cones for node in part}
    parts = [node for node in nodes if id(node) in needed]
    makers = {id(t.inputs[0]): t.inputs[0] for node in parts for t in node.inputs if _from_node(t)}
    values = evaluate([*makers.values(), *parts], wanted, context.opsets)
    for tensor in wanted:
        value = values.get(id(tensor))
        if value is None or tensor.dtype is None or value.dtype != np.dtype(tensor.dtype):
            continue
        node = tensor.inputs[0]
        index = next(place for place, out in enumerate(node.outputs) if out is tensor)
        constant = Constant(tensor.name, np.ascontiguousarray(value).reshape(value.shape))
        yield finding(
            f"'{tensor.name}' has the same value at every run",
            node,
            partial(replace_by_constant, graph, node, index, constant),
        )


def _constant_nodes(graph: gs.Graph, context: Context) -> list[gs.Node]:
    """Nodes that depend on constants only and may be computed now, in graph order."""
    constant: set[int] = set()
    found = []
    for node in graph.nodes:
        alone = node.op in LEFT_ALONE and not _dequantizes_one_number(node)
        if node.domain or alone or not node.inputs or not _deterministic(node):
            continue
        inputs = [t for t in node.inputs if not t.is_empty()]
        if not all(isinstance(t, gs.Constant) or id(t) in constant or _from_node(t) for t in inputs):
            continue
        if all(_size(t) is not None for t in inputs) and _computable(node, inputs):
            if _widens_weights(node) and _constants(context) > LARGE:
                continue
            constant.update(id(out) for out in node.outputs)
            found.append(node)
    return found


def _dequantizes_one_number(node: gs.Node) -> bool:
    """Whether it is a DequantizeLinear of one number, which no INT8 product reads as its weights."""
    return node.op == "DequantizeLinear" and isinstance(node.inputs[0], gs.Constant) and _size(node.inputs[0]) == 1


def _widens_weights(node: gs.Node) -> bool:
    """Whether folding this Cast would store quantized weights as floating point, at four times the size."""
    before, after = _size(node.inputs[0]), _size(node.outputs[0])
    return node.op == "Cast" and (before or 0) > WEIGHTS and (after or 0) >= 4 * (before or 0)


def _constants(context: Context) -> int:
    """Bytes of all constants of the main graph."""

    def count() -> int:
        nodes = context.root.nodes if context.root is not None else []
        return sum({id(t): nbytes(t) for node in nodes for t in node.inputs if isinstance(t, gs.Constant)}.values())

    return int(context.memo("bytes of constants", count))


def _from_node(tensor: gs.Tensor) -> bool:
    return len(tensor.inputs) == 1 and tensor.inputs[0].op == "Constant" and not tensor.inputs[0].domain


def _deterministic(node: gs.Node) -> bool:
    if node.op == "Dropout" and len(node.inputs) > 2:
        return False
    return not any(isinstance(value, (gs.Graph, gs.Node.AttributeRef)) for value in node.attrs.values())


def _size(tensor: gs.Tensor) -> int | None:
    """Bytes of a tensor, or None where they are unknown or its elements are strings."""
    if tensor.dtype is None or np.dtype(tensor.dtype).kind == "O":
        return None
    if isinstance(tensor, gs.Constant):
        return nbytes(tensor)
    shape = Context.static_shape(tensor)
    return None if shape is None else prod(shape) * np.dtype(tensor.dtype).itemsize


def _computable(node: gs.Node, inputs: list[gs.Tensor]) -> bool:
    sizes = [_size(out) for out in node.outputs if out.name]
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes):
        return bool(sizes) and max(known) <= LARGEST
    return node.op in BOUNDED and sum(_size(tensor) or 0 for tensor in inputs) <= SMALL


def _chosen(graph: gs.Graph, nodes: list[gs.Node], context: Context) -> tuple[list[gs.Tensor], list[list[gs.Node]]]:
    """Tensors that are worth storing, each with the nodes that it replaces."""
    limit = context.options.fold_limit
    wanted, cones, grown = _worthwhile(graph, nodes, context, inf)
    if grown <= limit or (limit >= FOLD_LIMIT and grown <= SHARE * _constants(context)):
        return wanted, cones
    return _worthwhile(graph, nodes, context, limit)[:2]


def _worthwhile(
    graph: gs.Graph, nodes: list[gs.Node], context: Context, limit: float
) -> tuple[list[gs.Tensor], list[list[gs.Node]], int]:
    """Tensors that are each larger than what they free by at most `limit` bytes, and by how much all of them are."""
    inside = {id(node): place for place, node in enumerate(nodes)}
    mine = set(inside)
    wanted: list[gs.Tensor] = []
    cones: list[list[gs.Node]] = []
    total = 0
    for node in reversed(nodes):
        read = [t for t in node.outputs if t.name and _read_outside(graph, t, mine, context)]
        if not read:
            continue
        part = nodes_behind(inside, read[0])
        grown = sum(_size(tensor) or 0 for tensor in read) - _freed(part)
        if grown > limit:
            mine.discard(id(node))  # this node stays, so that its inputs must stay too
        else:
            total += max(grown, 0)
            wanted += read
            cones.append(part)
    return wanted[::-1], cones, total


def _read_outside(graph: gs.Graph, tensor: gs.Tensor, inside: set[int], context: Context) -> bool:
    return context.is_output(graph, tensor) or any(id(reader) not in inside for reader in tensor.outputs)


def _freed(part: list[gs.Node]) -> int:
    """Bytes of constants that nothing but these nodes reads."""
    inside = {id(node) for node in part}
    roots = {id(t): t for node in part for t in node.inputs if isinstance(t, gs.Constant)}
    return sum(nbytes(c) for c in roots.values() if all(id(reader) in inside for reader in c.outputs))


PASS = Pass(code="SG005", name="constant-expression", find=find, exact=True)
