"""Infer the dtype and shape of every tensor with ONNX's own inference, on a copy of the graph without weights.

Two dims of the graph's inputs are never taken to be equal because they share a name: exporters write '?' or
'batch_size' for dims that have nothing to do with each other. Every free input dim gets a name of its own here, so two
dims that carry the same name after inference are equal for every input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.contrib_types import adopt
from surgery.graph.names import Names
from surgery.graph.nodes import dtype_of
from surgery.graph.protos import declare, type_proto
from surgery.graph.read import snapshot
from surgery.graph.schemas import schema
from surgery.graph.walk import inner_graphs, with_inner_graphs
from surgery.graph.write import attribute_protos, to_skeleton
from verify.model.infer import infer_types
from verify.model.walk import dims_of, subgraphs, walk_graphs
from verify.model.wrong_shapes import known_outputs

RUNS = count(1)


def infer(graph: gs.Graph, opsets: dict[str, int]) -> None:
    """Set dtype and shape of every tensor of the main graph and the graphs inside it, as far as they are known.

    Declared types of inner tensors count where inference finds nothing; declared shapes of graph outputs never do.
    Never fails: what cannot be inferred stays as it is. A dim is a number, a name, or None.
    """
    _declare_changed_types(graph)
    for tensor in graph.outputs:
        if isinstance(tensor, gs.Variable) and not tensor.snapshot_inferred:
            tensor.shape = None if not tensor.is_input else tensor.shape
    model, names = to_skeleton(graph, opsets)
    adopt(model)
    _name_free_dims(model.graph, main=True)
    # ONNX's data propagation is wrong where a Slice starts at run time, where a Cast changes the value and where bounds
    # are clamped: `surgery.values` follows the contents of shapes instead.
    faults: list[str] = []
    inferred = infer_types(model, data_prop=False, faults=faults)
    if faults and _open_false_shapes(model):
        inferred = infer_types(model, data_prop=False)
    run = next(RUNS)
    todo = [(graph, inferred.graph)]
    while todo:
        inner, proto = todo.pop()
        _read_types(inner, proto, names, run)
        for node, written in zip(inner.nodes, proto.node, strict=True):
            if bodies := inner_graphs(node):
                graphs = dict(subgraphs(written))
                todo += [(body, graphs[name]) for name, body in bodies]


def _declare_changed_types(graph: gs.Graph) -> None:
    """Declare the types that passes have set, so that inference keeps them.

    The file's own declarations of these tensors are replaced, because they no longer hold; those of the outputs of the
    main graph stay as they are.
    """
    promised = {id(tensor) for tensor in graph.outputs if tensor.name in vars(graph).get("output_infos", {})}
    for inner in with_inner_graphs(graph):
        infos: dict[str, onnx.ValueInfoProto] = vars(inner).get("output_infos", {})
        made = (out for node in inner.nodes for out in node.outputs if getattr(out, "origin", None) is not None)
        for tensor in (*inner.inputs, *inner.outputs, *made):
            if not isinstance(tensor, gs.Variable) or snapshot(tensor) == getattr(tensor, "snapshot", (None, None)):
                continue
            if id(tensor) in promised and not tensor.is_input:
                continue
            info = onnx.ValueInfoProto()
            if getattr(tensor, "origin", None) is not None:
                info.CopyFrom(tensor.origin)
            info.name = tensor.name
            declare(info, tensor)
            tensor.origin, tensor.snapshot = info, snapshot(tensor)
            if tensor.name in infos:
                infos[tensor.name] = info


def _open_false_shapes(model: onnx.ModelProto) -> bool:
    """Remove declared shapes that ONNX infers otherwise where it is not given them; returns whether there are any.

    Those of inputs stay: they are given.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for graph in walk_graphs(bare.graph):
        for info in _inner_infos(graph):
            info.type.tensor_type.ClearField("shape")
    removed = False
    for graph, proven in zip(walk_graphs(model.graph), walk_graphs(infer_types(bare, False).graph), strict=True):
        known = {info.name: dims_of(info.type.tensor_type) for info in _inner_infos(proven)}
        for info in _inner_infos(graph):
            if not _agree(dims_of(info.type.tensor_type), known.get(info.name)):
                info.type.tensor_type.ClearField("shape")
                removed = True
    return removed


def _inner_infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Declarations of tensors that nodes make."""
    return (info for info in (*graph.value_info, *graph.output) if info.type.HasField("tensor_type"))


def _agree(declared: Sequence[Any] | None, found: Sequence[Any] | None) -> bool:
    """Whether no dim of the two has two numbers."""
    if declared is None or found is None:
        return True
    pairs = zip(declared, found, strict=False)
    numbers = ((was, now) for was, now in pairs if isinstance(was, int) and isinstance(now, int))
    return len(declared) == len(found) and all(was == now for was, now in numbers)


def _name_free_dims(graph: onnx.GraphProto, main: bool = False) -> None:
    """Give each free dim of the main inputs a name of its own, and remove the names of dims elsewhere."""
    inputs = list(graph.input) if main else []
    for info in inputs:
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                dim.dim_param = f"@{info.name}:{axis}"
    for info in (*graph.value_info, *graph.output, *(() if main else graph.input)):
        for dim in info.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                dim.Clear()
    for info in graph.output if main else ():
        if info.type.WhichOneof("value") == "tensor_type":
            info.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for _, inner in subgraphs(node):
            _name_free_dims(inner)


def _read_types(graph: gs.Graph, proto: onnx.GraphProto, names: Names, run: int) -> None:
    """Read the types of one graph back into its tensors."""
    found = {info.name: info for info in (*proto.value_info, *proto.output, *proto.input)}
    for tensor in names.tensors_of(graph):
        info = found.get(names.of(tensor))
        if info is None or not isinstance(tensor, gs.Variable) or not info.type.HasField("tensor_type"):
            continue
        dtype = dtype_of(info.type.tensor_type.elem_type)
        if dtype is not None:
            tensor.dtype = dtype
        known = tensor.shape if tensor.snapshot_inferred else None  # what the file declares is in the inferred shape
        tensor.shape = _merged(known, dims_of(info.type.tensor_type), run)
        tensor.snapshot, tensor.snapshot_inferred = snapshot(tensor), True
        _correct_declaration(graph, tensor)


def _correct_declaration(graph: gs.Graph, tensor: gs.Variable) -> None:
    """Open the dims of the file's declaration that inference has found to be wrong; the main outputs keep theirs."""
    declared = getattr(tensor, "origin", None)
    promised = vars(graph).get("output_infos", {})
    if declared is None or tensor.is_input or (tensor.name in promised and "model" in vars(graph)):
        return
    dims = dims_of(declared.type.tensor_type) if declared.type.HasField("tensor_type") else None
    if dims is None:
        return
    found = tensor.shape
    kept = (isinstance(now, int) or not isinstance(was, int) for was, now in zip(dims, found or (), strict=False))
    if found is not None and _agree(dims, found) and all(kept):
        return
    tensor.origin = onnx.ValueInfoProto()
    tensor.origin.CopyFrom(declared)
    tensor.origin.type.tensor_type.ClearField("shape")
    if tensor.name in promised:
        promised[tensor.name] = tensor.origin


def _merged(old: Any, new: list[int | str | None] | None, run: int) -> list[int | str | None] | None:
    """The inferred shape with the numbers that are known already; None where inference leaves a declared shape open.

    Names that inference made up are valid for one run only.
    """
    if new is None:
        return None
    named = [f"{dim}@{run}" if isinstance(dim, str) and dim.startswith("unk__") else dim for dim in new]
    if old is None or len(old) != len(named):
        return named
    return [
        was if isinstance(was, int) and not isinstance(dim, int) else dim for was, dim in zip(old, named, strict=True)
    ]


def infer_node(node: gs.Node, opsets: dict[str, int], data: dict[int, Any]) -> list[onnx.TypeProto | None]:
    """The type of each output of one node by ONNX's inference for its operator, None where it finds none.

    Args:
        data: values (arrays) of inputs by position, for operands such as a shape.
    """
    domain = node.domain or ""
    known = schema(node.op, domain, opsets.get(domain, 1))
    present = {f"i{place}": tensor for place, tensor in enumerate(node.inputs) if not tensor.is_empty()}
    nothing = [None] * len(node.outputs)
    if known is None or any(tensor.dtype is None for tensor in present.values()):
        return nothing
    types = {name: type_proto(tensor) for name, tensor in present.items()}
    values = {f"i{place}": onnx.numpy_helper.from_array(value, f"i{place}") for place, value in data.items()}
    names = ["" if tensor.is_empty() else f"i{place}" for place, tensor in enumerate(node.inputs)]
    outputs = [f"o{place}" for place in range(len(node.outputs))]
    try:
        proto = onnx.helper.make_node(node.op, names, outputs, domain=domain)
        proto.attribute.extend(attribute_protos(node))
        imports = [onnx.helper.make_opsetid(imported, version) for imported, version in opsets.items()]
        found = onnx.shape_inference.infer_node_outputs(known, proto, types, values, opset_imports=imports)
    except Exception:  # onnx raises its C++ errors as several bare types
        return nothing
    operands = {f"i{place}": value for place, value in data.items()}
    found |= known_outputs(proto, {**types, **found}, operands, opsets.get("", 1))
    return [found.get(name) for name in outputs]
