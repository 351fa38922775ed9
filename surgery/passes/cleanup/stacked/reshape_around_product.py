"""Reshapes before and after a product with weights, although the product works on the last dim only.

What it does: drops the first Reshape when the Reshapes behind the product set the shape anyway; else moves the last
Reshape, when it keeps the last dim, into the first.
Why: TensorRT moves Reshapes itself where it can; fewer nodes are left for it and for the later passes.
Before → After: `Reshape(Add(MatMul(Reshape(x: [1, 4, 4, c], [16, c]), w), b), [2, 8, d])` →
`Reshape(Add(MatMul(x, w), b), [2, 8, d])`
Leaves alone: operands that are not constants of at most one dim (two in a product), results in between that are read
twice or are outputs, and shapes whose last dim is free or that copy dims (0).
Numerics: exact: the product has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, can_bypass, replace_input
from surgery.graph.nodes import Constant
from surgery.passes.ops.axes import stored_shape
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

UNARY = ("Relu", "Erf", "Gelu", "Sigmoid", "Tanh", "Neg", "Abs", "Sqrt", "Exp", "Cast")
BINARY = ("Add", "Sub", "Mul", "Div")


@dataclass
class Path:
    """The nodes between the first Reshape and those that follow the product."""

    nodes: list[gs.Node] = field(default_factory=list)
    leaves: list[gs.Node] = field(default_factory=list)


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for first in context.nodes(graph, "Reshape"):
        source, made = first.inputs[0], first.outputs[0]
        if source.shape is None or made.shape is None or len(source.shape) < 2 or len(made.shape) < 2:
            continue
        path = Path()
        if not isinstance(made.shape[-1], int) or not _follow(graph, made, path, context):
            continue
        if not any(node.op == "MatMul" for node in path.nodes):
            continue
        if source.shape[-1] == made.shape[-1]:
            if can_bypass(graph, first):
                fix = partial(_drop, graph, first, path, context)
                yield finding("a later Reshape sets the shape anyway", first, fix, *path.nodes, *path.leaves)
        elif len(path.leaves) == 1 and _keeps_last(path.leaves[0]) and can_bypass(graph, path.leaves[0]):
            fix = partial(_move, graph, first, path, context)
            yield finding("another Reshape follows the product", first, fix, *path.nodes, *path.leaves)


def _follow(graph: gs.Graph, tensor: gs.Tensor, path: Path, context: Context) -> bool:
    """Whether every path from `tensor` reaches a Reshape through nodes that work on the last dim only."""
    if context.is_output(graph, tensor) or len(tensor.outputs) != 1 or tensor.shape is None:
        return False
    reader = tensor.outputs[0]
    if reader.domain or len(path.nodes) > 32:
        return False
    if reader.op == "Reshape":
        path.leaves.append(reader)
        return stored_shape(reader, context) is not None
    path.nodes.append(reader)
    if not _works_on_last_dim(reader, tensor, context):
        return False
    return all(_follow(graph, out, path, context) for out in reader.outputs)


def _works_on_last_dim(node: gs.Node, tensor: gs.Tensor, context: Context) -> bool:
    if node.op in UNARY:
        return True
    if node.op == "Split":
        return bool(node.attrs.get("axis", 0) in (-1, len(tensor.shape) - 1))
    if node.op not in (*BINARY, "MatMul") or sum(other is tensor for other in node.inputs) != 1:
        return False
    other = node.inputs[1] if node.inputs[0] is tensor else node.inputs[0]
    if not isinstance(other, gs.Constant):
        return False
    if node.op == "MatMul":
        return node.inputs[0] is tensor and len(other.shape) == 2
    return len(other.shape) == 0 or (len(other.shape) == 1 and other.shape[0] in (1, tensor.shape[-1]))


def _keeps_last(leaf: gs.Node) -> bool:
    before, after = leaf.inputs[0].shape, leaf.outputs[0].shape
    return bool(after) and len(after) > 1 and isinstance(after[-1], int) and before[-1] == after[-1]


def _drop(graph: gs.Graph, first: gs.Node, path: Path, context: Context) -> None:
    lead = list(first.inputs[0].shape[:-1])
    bypass(graph, first)
    _reshape(graph, path, lead, context)


def _move(graph: gs.Graph, first: gs.Node, path: Path, context: Context) -> None:
    (leaf,) = path.leaves
    wanted = np.array(context.constant(leaf.inputs[1]), dtype=np.int64)
    wanted[-1] = first.outputs[0].shape[-1]
    lead = list(leaf.outputs[0].shape[:-1])
    replace_input(first, 1, Constant(context.fresh(f"{first.outputs[0].name}/SG019/shape"), wanted))
    bypass(graph, leaf)
    _shape(graph, first.outputs[0], lead, context)
    _reshape(graph, path, lead, context)


def _reshape(graph: gs.Graph, path: Path, lead: list[int | str | None], context: Context) -> None:
    """Give all tensors on the path the new leading dims."""
    for node in path.nodes:
        if node.op == "Split":
            node.attrs["axis"] = len(lead)
        for out in node.outputs:
            _shape(graph, out, lead, context)


def _shape(graph: gs.Graph, tensor: gs.Tensor, lead: list[int | str | None], context: Context) -> None:
    """Give a tensor its new shape and a new name: the original has another tensor under the old name."""
    tensor.shape = [*lead, tensor.shape[-1]]
    if not context.is_output(graph, tensor):
        tensor.name = context.fresh(f"{tensor.name}/SG019")


PASS = Pass(code="SG019", name="reshape-around-product", find=find, exact=True)
