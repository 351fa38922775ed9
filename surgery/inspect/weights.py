"""The weights of a model: how many, of which type, how large, and in which file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx

from surgery.diagnose.model_view import dtype_name
from verify.model.external import external_entry
from verify.model.walk import every_node, node_name, subgraphs

BITS = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 64),
    **dict.fromkeys(("float32", "int32", "uint32"), 32),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16),
    **dict.fromkeys(("int4", "uint4", "float4e2m1"), 4),
    **dict.fromkeys(("int2", "uint2"), 2),
    "complex128": 128,
}


@dataclass(frozen=True)
class Weight:
    """A stored tensor: an initializer, or a tensor attribute, which has the name of its node.

    shape  as stored
    bytes  that its values take in the file, or in the external file
    file   the external file; "" if the values are in the model file
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    file: str = ""

    @property
    def elements(self) -> int:
        return max(prod(self.shape), 0)


@dataclass
class Total:
    """Number of tensors, of their elements, and of their bytes."""

    tensors: int = 0
    elements: int = 0
    bytes: int = 0

    def add(self, weight: Weight) -> None:
        self.tensors += 1
        self.elements += weight.elements
        self.bytes += weight.bytes


def weights(model: onnx.ModelProto) -> list[Weight]:
    """Every weight of the model, also of graphs inside nodes and of functions, the largest first."""
    return sorted((_weight(*stored) for stored in _stored(model)), key=lambda weight: (-weight.bytes, weight.name))


def by_type(found: list[Weight]) -> dict[str, Total]:
    """The total of each dtype, the one with the most bytes first."""
    totals: dict[str, Total] = {}
    for weight in found:
        totals.setdefault(weight.dtype, Total()).add(weight)
    return dict(sorted(totals.items(), key=lambda item: (-item[1].bytes, item[0])))


def by_file(found: list[Weight], folder: Path) -> dict[str, tuple[Total, int]]:
    """For each external file the total of the tensors in it, and the size of the file in bytes."""
    totals: dict[str, Total] = {}
    for weight in found:
        if weight.file:
            totals.setdefault(weight.file, Total()).add(weight)
    return {file: (total, (folder / file).stat().st_size) for file, total in sorted(totals.items())}


def _stored(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    yield from _initializers(model.graph)
    for node in every_node(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield node_name(node), attribute.t
            yield from ((node_name(node), tensor) for tensor in attribute.tensors)
        for _, graph in subgraphs(node):
            yield from _initializers(graph)


def _initializers(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    yield from ((tensor.values.name, tensor.values) for tensor in graph.sparse_initializer)


def _weight(name: str, tensor: onnx.TensorProto) -> Weight:
    dtype, shape = dtype_name(tensor.data_type), tuple(tensor.dims)
    size = (max(prod(shape), 0) * BITS.get(dtype, 8) + 7) // 8
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        file, _, length = external_entry(tensor)
        return Weight(name, dtype, shape, size if length is None else length, file)
    if tensor.HasField("raw_data"):
        size = len(tensor.raw_data)
    elif tensor.string_data:
        size = sum(map(len, tensor.string_data))
    return Weight(name, dtype, shape, size)
