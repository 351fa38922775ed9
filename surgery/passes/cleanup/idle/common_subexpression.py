"""Nodes that compute the same as an earlier node.

What it does: connects the readers of the later node to the outputs of the earlier one.
Why: TensorRT joins such nodes itself, but only after it has imported and typed each of them.
Before → After: `a = Shape(x); b = Shape(x)` → `a = Shape(x)`
Leaves alone: random operators, nodes with subgraphs, operators of unknown domains, and two nodes that both make a graph
output.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect, is_graph_output, replace_output, replace_uses
from surgery.passes.cleanup.constants.constant_expression import RANDOM
from surgery.passes.cleanup.constants.duplicate_initializer import fingerprint
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

OWN_DOMAINS = (None, "", "ai.onnx", "ai.onnx.ml")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    first: dict[Any, gs.Node] = {}
    same: dict[int, gs.Tensor] = {}
    for node in graph.nodes:
        key = _key(node, same, context)
        if key is None:
            continue
        kept = first.setdefault(key, node)
        if kept is node or not _can_take(graph, kept, node, context):
            continue
        same.update(
            (id(mine), same.get(id(theirs), theirs)) for mine, theirs in zip(node.outputs, kept.outputs, strict=True)
        )
        yield finding(f"computes the same as '{kept.name}'", node, partial(_join, graph, kept, node))


def _key(node: gs.Node, same: dict[int, gs.Tensor], context: Context) -> Any:
    if node.domain not in OWN_DOMAINS or node.op in RANDOM or node.op == "Constant" or not node.outputs:
        return None
    if node.op == "Dropout" and len(node.inputs) > 2:
        return None
    attributes = []
    for name, value in sorted(node.attrs.items()):
        if isinstance(value, gs.Constant):
            plain: Any = fingerprint(value, context)
        elif isinstance(value, (int, float, str)):
            plain = (type(value).__name__, repr(value))
        elif isinstance(value, list):
            plain = ("list", repr(value))
        elif isinstance(value, onnx.AttributeProto):
            plain = value.SerializeToString(deterministic=True)
        else:
            return None
        if plain is None:
            return None
        attributes.append((name, plain))
    inputs = tuple("" if t.is_empty() else id(same.get(id(t), t)) for t in node.inputs)
    present = tuple(bool(out.name) for out in node.outputs)
    return (node.op, node.domain or "", tuple(attributes), inputs, present)


def _can_take(graph: gs.Graph, kept: gs.Node, node: gs.Node, context: Context) -> bool:
    """Whether the earlier tensor can replace the later one: an output of the graph must keep its name."""
    return not any(
        context.is_output(graph, mine) and context.is_output(graph, theirs)
        for mine, theirs in zip(node.outputs, kept.outputs, strict=True)
    )


def _join(graph: gs.Graph, kept: gs.Node, node: gs.Node) -> None:
    pairs = list(zip(range(len(kept.outputs)), list(kept.outputs), list(node.outputs), strict=True))
    if any(is_graph_output(graph, mine) and is_graph_output(graph, theirs) for _, theirs, mine in pairs):
        return
    disconnect(graph, node)
    for index, theirs, mine in pairs:
        if is_graph_output(graph, mine):
            replace_output(kept, index, mine)
            replace_uses(theirs, mine)
        else:
            replace_uses(mine, theirs)


PASS = Pass(code="SG009", name="common-subexpression", find=find, exact=True)
