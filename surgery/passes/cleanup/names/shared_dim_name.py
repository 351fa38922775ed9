"""Free dims of the inputs that share one meaningless name, such as '?'.

What it does: names each such dim after its input and axis.
Why: TensorRT demands that dims of one name are equal in every profile: "Input dimensions with this name have different
constant values".
Before → After: inputs `a: ? x 3`, `b: ? x ?` → `a: a_dim_0 x 3`, `b: b_dim_0 x b_dim_1`
Leaves alone: names with a letter or digit in them, which may have a meaning, and a '?' that occurs once.
Numerics: exact; only declared names of dims change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx
import onnx_graphsurgeon as gs

from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.model.walk import dims_of
from verify.report import Finding as Found


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.root is None or graph is not context.root:
        return
    names = Counter(dim for tensor in graph.inputs for dim in _dims(tensor))
    shared = {name for name, count in names.items() if count > 1 and not any(letter.isalnum() for letter in name)}
    for tensor in graph.inputs:
        if shared.intersection(_dims(tensor)):
            yield _renaming(tensor, shared)


def _dims(tensor: gs.Variable) -> list[str]:
    """Names of the free dims as the file declares them."""
    if getattr(tensor, "origin", None) is None:
        return []
    return [dim for dim in dims_of(tensor.origin.type.tensor_type) or [] if isinstance(dim, str)]


def _renaming(tensor: gs.Variable, shared: set[str]) -> Finding:
    def rename() -> None:
        info = onnx.ValueInfoProto()
        info.CopyFrom(tensor.origin)
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if dim.dim_param in shared:
                dim.dim_param = f"{tensor.name}_dim_{axis}"
        tensor.origin = info

    return Found(code="", message=f"input '{tensor.name}' shares a meaningless dim name with another dim", fix=rename)


PASS = Pass(code="SG302", name="shared-dim-name", find=find, exact=True)
