"""A read-only view of a model for diagnosis: names, types and neighbours of its nodes, without its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import onnx

from surgery.diagnose.provenance import source_of
from surgery.targets.graph_facts import DTYPES, types_of
from verify.model.infer import infer_types
from verify.model.walk import dims_of, op_of, reads

Types = dict[str, onnx.TypeProto]
DRAWN = 12


class ModelView:
    """The main graph of a model with the type of every tensor that ONNX can infer."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}

    @cached_property
    def inferred(self) -> onnx.ModelProto:
        """The model with inferred types written in, without the values of its weights."""
        return infer_types(self.model)

    @cached_property
    def types(self) -> Types:
        """Types of the main graph's tensors, constants included."""
        return types_of(self.inferred.graph)

    @cached_property
    def made_by(self) -> dict[str, int]:
        """Tensor -> index of the node that makes it."""
        return {name: index for index, node in enumerate(self.nodes) for name in node.output if name}

    @cached_property
    def readers(self) -> dict[str, list[int]]:
        """Tensor -> indices of the nodes that read it."""
        found: dict[str, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for name in reads(node):
                found.setdefault(name, []).append(index)
        return found

    def details(self, node: onnx.NodeProto, types: Types | None = None) -> dict[str, Any]:
        """Inputs and outputs of a node as `Finding.details` has them."""
        known = {**self.types, **(types or {})}
        return {
            "inputs": [port(name, known) for name in node.input if name],
            "outputs": [port(name, known) for name in node.output if name],
        }

    def where(self, node: onnx.NodeProto) -> str:
        """Torch module or source line of a node, "" where the exporter left none."""
        return source_of(node)

    def neighbourhood(self, index: int) -> dict[str, Any]:
        """The node with the makers of its inputs and the readers of its outputs, as `Finding.details` has it."""
        node = self.nodes[index]
        near = [self.made_by[name] for name in reads(node) if name in self.made_by]
        near += [reader for name in node.output for reader in self.readers.get(name, [])]
        shown = list(dict.fromkeys([index, *near]))[:DRAWN]
        boxes = [{"id": str(i), "label": _label(self.nodes[i]), "refused": i == index} for i in sorted(shown)]
        edges = [
            {"from": str(maker), "to": str(reader), "label": port_label(port(name, self.types))}
            for name, maker in self._tensors_between(shown)
            for reader in self.readers.get(name, [])
            if reader in shown and index in (maker, reader)
        ]
        for name in dict.fromkeys(node.input):
            if name and name not in self.made_by:
                kind = "constant" if name in self.initializers else "input"
                boxes.insert(0, {"id": f"t:{name}", "label": f"{kind} {name}", "refused": False})
                label = port_label(port(name, self.types))
                edges.append({"from": f"t:{name}", "to": str(index), "label": label})
        return {"nodes": boxes, "edges": edges}

    def _tensors_between(self, shown: list[int]) -> Iterator[tuple[str, int]]:
        return ((name, index) for index in shown for name in self.nodes[index].output if name)


def port(name: str, types: Mapping[str, onnx.TypeProto]) -> dict[str, Any]:
    """A tensor's name, dtype and shape; dims are numbers, symbols or None."""
    kind = types.get(name)
    if kind is None or not kind.HasField("tensor_type"):
        return {"name": name, "dtype": "" if kind is None else (kind.WhichOneof("value") or ""), "shape": None}
    tensor = kind.tensor_type
    dtype = dtype_name(tensor.elem_type) if tensor.elem_type else ""
    return {"name": name, "dtype": dtype, "shape": dims_of(tensor)}


def dtype_name(number: int) -> str:
    """NumPy's name of one of ONNX's numbers for element types: "float32" for 1."""
    name: str = DTYPES.get(number, f"type {number}")
    return {"float": "float32", "double": "float64"}.get(name, name)


def port_label(described: Mapping[str, Any]) -> str:
    """dtype and shape without spaces for a drawing; "" where neither is known."""
    if not described["dtype"]:
        return ""
    if described["shape"] is None:
        return str(described["dtype"])
    return f"{described['dtype']}[{', '.join('?' if dim is None else str(dim) for dim in described['shape'])}]"


def _label(node: onnx.NodeProto) -> str:
    return op_of(node) if not node.name or len(node.name) > 40 else f"{op_of(node)} {node.name}"
