"""Loop without a trip count or without a first condition, whose body reads the iteration number or the condition.

What it does: gives the loop the condition true, or the largest trip count.
Why: TensorRT's parser makes those inputs of the body from the inputs of the loop only.
Before → After: `y = Loop(n, "", x) <body: on = Identity(on')>` → `y = Loop(n, true, x) <the same body>`
Leaves alone: inputs that the body does not read; a trip count that is left out of a loop with scan outputs (see
counted-loop).
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import is_graph_output, replace_input
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MOST = (1 << 31) - 2  # TensorRT counts in 32 bits, and takes the largest number for no trip count
DEFAULTS = (np.array(MOST, np.int64), np.array(True))
NAMES = ("trip count", "first condition")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        if not isinstance(body, gs.Graph) or len(node.inputs) < 2 or len(body.inputs) < 2:
            continue
        for place, (given, inner) in enumerate(zip(node.inputs[:2], body.inputs[:2], strict=True)):
            collects = place == 0 and len(node.outputs) > len(node.inputs) - 2
            if given.is_empty() and (inner.outputs or is_graph_output(body, inner)) and not collects:
                message = f"the loop has no {NAMES[place]}, and its body reads '{inner.name}'"
                yield finding(message, node, partial(rewrite, graph, node, context, place))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, place: int) -> None:
    """The value that means the same."""
    replace_input(node, place, Build(graph, node, context, PASS.code).constant(DEFAULTS[place]))


PASS = Pass(
    code="SG151",
    name="omitted-loop-input",
    find=find,
    exact=True,
    kind="replace",
    feature="loop-input-omitted",
)
