"""Initializers that nothing reads.

What it does: drops them from the file.
Why: TensorRT imports every initializer, and refuses the model for one of a type that it lacks (uint16, string).
Before → After: initializers `w`, `old` with only `w` read → `w`
Leaves alone: defaults of graph inputs, graph outputs, and initializers that quantization annotations name.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx_graphsurgeon as gs

from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.report import Finding as Found


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    stored = vars(graph).get("stored", [])
    kept = {id(tensor) for tensor in graph.outputs}
    named = _annotated(vars(graph).get("origin"))
    unused = [c for c in stored if not c.outputs and id(c) not in kept and c.name not in named]
    if not unused:
        return

    def drop() -> None:
        gone = {id(constant) for constant in unused if not constant.outputs}
        graph.stored = [constant for constant in graph.stored if id(constant) not in gone]

    names = ", ".join(f"'{constant.name}'" for constant in unused[:3]) + (", ..." if len(unused) > 3 else "")
    yield Found(code="", message=f"nothing reads initializer {names}", fix=drop)


def _annotated(origin: Any) -> set[str]:
    """Tensors that quantization annotations name as scales and zero points."""
    annotations = getattr(origin, "quantization_annotation", ())
    return {entry.value for annotation in annotations for entry in annotation.quant_parameter_tensor_names}


PASS = Pass(code="SG003", name="unused-initializer", find=find, exact=True)
