"""Inputs and outputs whose names, order or dims differ from the spec.

What it does: renames inputs and outputs as the spec names them, sorts them as the spec does, and declares the
documented dims: numbers where the spec has numbers, its symbols where it has symbols. An input or output of the model
is matched with the spec by its name, else by its position among the remaining ones if rank and type fit.
Why: applications feed an engine by name, and TensorRT profiles follow from the dims; each dim that is left free needs a
profile.
Before → After: output `Addpix_feat_dim_0 x 256 x ...` → `pix_feat: 1 x 256 x 64 x 64`
Leaves alone: models that have fewer or more inputs than the spec, dims whose number contradicts the spec (verify
reports those), and dims that are a number where the spec has a symbol.
Numerics: exact; only names, order and declared dims change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.protos import declare
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.report import Finding as Found

Pairs = list[tuple[gs.Tensor, Any]]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    spec = context.options.spec
    if context.root is None or graph is not context.root or spec is None:
        return
    inputs, outputs = match(graph.inputs, spec.inputs), match(graph.outputs, spec.outputs)
    if inputs is None or outputs is None:
        return
    for kind, pairs, renamed in (
        ("input", inputs, context.renamed_inputs),
        ("output", outputs, context.renamed_outputs),
    ):
        for tensor, port in pairs:
            if tensor.name != port.name:
                yield _renaming(graph, kind, tensor, port.name, renamed)
    if [id(tensor) for tensor, _ in inputs] != [id(tensor) for tensor in graph.inputs] or [
        id(tensor) for tensor, _ in outputs
    ] != [id(tensor) for tensor in graph.outputs]:

        def order() -> None:
            graph.inputs = [tensor for tensor, _ in inputs]
            graph.outputs = [tensor for tensor, _ in outputs]

        yield Found(code="", message="inputs or outputs are not in the order of the spec", fix=order)
    for tensor, port in (*inputs, *outputs):
        dims = pinned(declared(graph, tensor), port.dims)
        if dims is not None:
            yield _pinning(graph, tensor, dims)


def match(tensors: Sequence[gs.Tensor], ports: Sequence[Any]) -> Pairs | None:
    """The tensor of each input or output of the spec, in its order; None if they do not match one to one."""
    if len(tensors) != len(ports):
        return None
    by_name = {tensor.name: tensor for tensor in tensors}
    taken = {id(by_name[port.name]) for port in ports if port.name in by_name}
    rest = iter([tensor for tensor in tensors if id(tensor) not in taken])
    pairs = [(by_name[port.name] if port.name in by_name else next(rest), port) for port in ports]
    return pairs if all(port.name == tensor.name or _fits(tensor, port) for tensor, port in pairs) else None


def _fits(tensor: gs.Tensor, port: Any) -> bool:
    if tensor.dtype is not None and np.dtype(tensor.dtype).name != port.dtype:
        return False
    if tensor.shape is None:
        return True
    dims = zip(tensor.shape, port.dims, strict=False)
    clash = any(isinstance(has, int) and isinstance(wants, int) and has != wants for has, wants in dims)
    return len(tensor.shape) == len(port.dims) and not clash


def declared(graph: gs.Graph, tensor: gs.Tensor) -> list[Any] | None:
    """Dims as the file declares them."""
    info = vars(graph).get("output_infos", {}).get(tensor.name) if not getattr(tensor, "is_input", False) else None
    info = info if info is not None else getattr(tensor, "origin", None)
    if info is None or not info.type.tensor_type.HasField("shape"):
        return None
    dims = info.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in dims]


def pinned(old: list[Any] | None, wanted: Sequence[Any]) -> list[Any] | None:
    """The dims to declare, or None when the present ones will do or contradict the spec."""
    if old is None:
        return list(wanted)
    if len(old) != len(wanted):
        return None
    if any(
        isinstance(has, int) and isinstance(wants, int) and has != wants for has, wants in zip(old, wanted, strict=True)
    ):
        return None
    new = [has if isinstance(has, int) else wants for has, wants in zip(old, wanted, strict=True)]
    return None if new == old else new


def _renaming(graph: gs.Graph, kind: str, tensor: gs.Tensor, name: str, renamed: dict[str, str]) -> Finding:
    old = tensor.name

    def rename() -> None:
        infos = vars(graph).get("output_infos", {})
        if kind == "output" and old in infos:
            infos[name] = infos.pop(old)
        first = next((before for before, after in renamed.items() if after == old), old)
        renamed[first] = name
        tensor.name = name

    return Found(code="", message=f"{kind} '{old}' is called '{name}' in the spec", fix=rename)


def _pinning(graph: gs.Graph, tensor: gs.Tensor, dims: list[Any]) -> Finding:
    def pin() -> None:
        tensor.shape = list(dims)
        tensor.snapshot = (None, None)  # so that the exporter declares it anew
        infos = vars(graph).get("output_infos", {})
        if tensor.name in infos and not getattr(tensor, "is_input", False):
            info = onnx.ValueInfoProto()
            info.CopyFrom(infos[tensor.name])
            declare(info, tensor)
            infos[tensor.name] = info

    return Found(code="", message=f"the spec gives '{tensor.name}' the dims {dims}", fix=pin)


PASS = Pass(code="SG301", name="undocumented-interface", find=find, exact=True, kind="interface")
