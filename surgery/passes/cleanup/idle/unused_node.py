"""Nodes whose outputs nothing reads.

What it does: drops them, and with them the nodes whose outputs only they read.
Why: TensorRT imports these nodes too, and refuses a model for an operator that no output needs.
Before → After: `a = Relu(x); b = NonZero(x)` with output `a` → `a = Relu(x)`
Leaves alone: graph inputs, even unused ones (a spec may name them), and operators of unknown domains, which may have
effects.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

OWN_DOMAINS = (None, "", "ai.onnx", "ai.onnx.ml")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    dead: set[int] = set()
    outputs = {id(tensor) for tensor in graph.outputs}
    for node in reversed(graph.nodes):
        if node.domain not in OWN_DOMAINS or not node.outputs:
            continue
        if all(id(out) not in outputs and _unread(out, dead) for out in node.outputs if out.name):
            dead.add(id(node))
            yield finding("nothing reads its outputs", node, partial(disconnect, graph, node))


def _unread(tensor: gs.Tensor, dead: set[int]) -> bool:
    return all(id(reader) in dead for reader in tensor.outputs)


PASS = Pass(code="SG002", name="unused-node", find=find, exact=True)
