"""Min and Max whose result is tested for NaN.

What it does: where an input is NaN, takes the sum of the inputs, which is NaN; elsewhere the minimum or maximum.
Why: TensorRT's Min and Max give the number where one input is NaN; ONNX gives NaN.
Before → After: `c = Min(a, b); n = IsNaN(c)` → `c = Where(IsNaN(a) or IsNaN(b), a + b, Min(a, b)); n = IsNaN(c)`
Leaves alone: Min and Max that no IsNaN reads; other than two inputs; integers.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Min", "Max"):
        read = any(reader.op == "IsNaN" for reader in node.outputs[0].outputs)
        if read and len(node.inputs) == 2 and _is_float(node) and not _guarded(node):
            yield finding(f"{node.op} whose result is tested for NaN", node, partial(rewrite, graph, node, context))


def _is_float(node: gs.Node) -> bool:
    return all(tensor.dtype is not None and np.dtype(tensor.dtype).kind == "f" for tensor in node.inputs)


def _guarded(node: gs.Node) -> bool:
    """Whether a Where already chooses between this result and NaN."""
    return all(reader.op == "Where" for reader in node.outputs[0].outputs)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Choose the sum where one of the inputs is NaN."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    has_nan = build("Or", build("IsNaN", left), build("IsNaN", right))
    build.replace(build("Where", has_nan, build("Add", left, right), build(node.op, left, right)))


PASS = Pass(code="SG183", name="lost-nan", find=find, exact=True, kind="replace", feature="lost-nan")
