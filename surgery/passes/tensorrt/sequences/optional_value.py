"""Optional values that are known to be present or absent.

What it does: replaces OptionalHasElement by a constant and OptionalGetElement by the value itself.
Why: TensorRT has tensors only, no optional values.
Before → After: `o = Optional(x); y = OptionalGetElement(o)` → `y = x`
Leaves alone: optional graph inputs and optionals that an If or Loop makes, whose presence is known only at run time.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "OptionalHasElement", "OptionalGetElement"):
        present, value = contents(node)
        if present is None or (node.op == "OptionalGetElement" and value is None):
            continue
        message = f"the optional value is always {'present' if present else 'absent'}"
        yield finding(message, node, partial(rewrite, graph, node, context, present, value))


def contents(node: gs.Node) -> tuple[bool | None, gs.Tensor | None]:
    """Whether the optional holds a value (None: not known), and the value."""
    if not node.inputs or node.inputs[0].is_empty():
        return False, None
    tensor = node.inputs[0]
    maker = producer(tensor, "Optional")
    if maker is not None:
        given = [value for value in maker.inputs if not value.is_empty()]
        return bool(given), given[0] if given else None
    plain = tensor.dtype is not None and getattr(tensor, "type", "tensor_type") == "tensor_type"
    return (True, tensor) if plain else (None, None)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, present: bool, value: gs.Tensor | None) -> None:
    """A constant for OptionalHasElement, the value for OptionalGetElement."""
    build = Build(graph, node, context, PASS.code)
    build.replace(build.constant(np.array(present)) if node.op == "OptionalHasElement" else value)


PASS = Pass(code="SG131", name="optional-value", find=find, exact=True, kind="replace", feature="optional")
