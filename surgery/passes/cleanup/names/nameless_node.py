"""Nodes without a name.

What it does: names them after their operator and first output, the same at every run.
Why: TensorRT's messages, its layer names and `--skip-node` can only refer to a node that has a name.
Before → After: `Relu(x) -> y` without a name → `Relu/y`
Leaves alone: nodes that have a name.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.graph.walk import shown_name
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.report import Finding as Found


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    skipped = context.options.skip_nodes
    nameless = [node for node in graph.nodes if not node.name and shown_name(node) not in skipped]
    if not nameless:
        return

    def name() -> None:
        for node in nameless:
            output = next((tensor.name for tensor in node.outputs if tensor.name), "")
            node.name = context.fresh(f"{node.op}/{output}" if output else node.op)

    yield Found(code="", message=f"nodes without a name: {len(nameless)}", op=nameless[0].op, fix=name)


PASS = Pass(code="SG016", name="nameless-node", find=find, exact=True)
