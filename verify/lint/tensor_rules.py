"""Rules of stored tensors: type, dims, and as many values as the dims say. No value is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from verify.lint.rule import Breach, Rule, Scope, shown
from verify.report import counted

if TYPE_CHECKING:
    import onnx

# Bits of one value in raw_data, the field for typed values, and how many of its entries one value takes: 0 where an
# entry is a byte that holds several values.
TYPES: dict[str, tuple[int, str, int]] = {
    "FLOAT": (32, "float_data", 1), "DOUBLE": (64, "double_data", 1), "INT64": (64, "int64_data", 1),
    "UINT64": (64, "uint64_data", 1), "UINT32": (32, "uint64_data", 1), "COMPLEX64": (64, "float_data", 2),
    "COMPLEX128": (128, "double_data", 2), "STRING": (0, "string_data", 1),
    "INT32": (32, "int32_data", 1),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), (16, "int32_data", 1)),
    **dict.fromkeys(("INT8", "UINT8", "BOOL", "FLOAT8E8M0"), (8, "int32_data", 1)),
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), (8, "int32_data", 1)),
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), (4, "int32_data", 0)),
    **dict.fromkeys(("INT2", "UINT2"), (2, "int32_data", 0)),
}  # fmt: skip
TYPED = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def tensor_type(scope: Scope) -> Iterator[Breach]:
    for tensor, node in _tensors(scope):
        if _kind(tensor) not in TYPES:
            yield Breach(f"{_called(tensor)} has the type {_kind(tensor) or tensor.data_type}", node)


def negative_dim(scope: Scope) -> Iterator[Breach]:
    for tensor, node in _tensors(scope):
        if any(dim < 0 for dim in tensor.dims):
            yield Breach(f"{_called(tensor)} has the dims {list(tensor.dims[:8])}", node)


def storage(scope: Scope) -> Iterator[Breach]:
    for tensor, node in _tensors(scope):
        used = [field for field in TYPED if len(getattr(tensor, field))]
        external = tensor.data_location == tensor.EXTERNAL
        raw = tensor.HasField("raw_data")
        kind = _kind(tensor)
        if len(used) > 1 or (used and raw and tensor.raw_data):
            yield Breach(f"{_called(tensor)} stores values in several fields", node)
        elif external and (used or (raw and tensor.raw_data)):
            yield Breach(f"{_called(tensor)} stores values here and in another file", node)
        elif kind in TYPES and used and used != [TYPES[kind][1]]:
            yield Breach(f"{_called(tensor)} is {kind} and stores its values in {used[0]}", node)
        elif kind == "STRING" and raw and not used:
            yield Breach(f"{_called(tensor)} holds strings and stores them as raw bytes", node)


def number_of_values(scope: Scope) -> Iterator[Breach]:
    for tensor, node in _tensors(scope):
        kind = _kind(tensor)
        if kind not in TYPES or any(dim < 0 for dim in tensor.dims) or tensor.data_location == tensor.EXTERNAL:
            continue
        bits, field, entries = TYPES[kind]
        wanted = math.prod(tensor.dims)
        typed = len(getattr(tensor, field))
        size = f"{_called(tensor)} has {counted(wanted, 'value')} by its dims"
        if tensor.HasField("raw_data") and not typed:
            if kind != "STRING" and len(tensor.raw_data) != (need := (wanted * bits + 7) // 8):
                yield Breach(
                    f"{size}, which take {counted(need, 'byte')}, and {len(tensor.raw_data):,} are stored", node
                )
        else:
            need = wanted * entries if entries else (wanted * bits + 7) // 8
            if typed != need:
                yield Breach(f"{size}, and {typed:,} of {need:,} entries of {field} are stored", node)


def _tensors(scope: Scope) -> Iterator[tuple[onnx.TensorProto, onnx.NodeProto | None]]:
    """Initializers of the scope, and tensors in attributes of its nodes with the node."""
    for tensor in getattr(scope.graph, "initializer", ()):
        yield tensor, None
    for node in scope.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t, node
            yield from ((tensor, node) for tensor in attribute.tensors)


def _kind(tensor: onnx.TensorProto) -> str:
    names = type(tensor).DataType
    return str(names.Name(tensor.data_type)) if tensor.data_type in names.values() else ""


def _called(tensor: onnx.TensorProto) -> str:
    return f"tensor {shown(tensor.name)}" if tensor.name else "a tensor"


RULES = (
    Rule(
        "SG750",
        "tensor-type",
        "A stored tensor has one of ONNX's types.",
        "Export again, or with a newer onnx if the type is newer than the installed one.",
        tensor_type,
    ),
    Rule("SG751", "negative-dim", "The dims of a stored tensor are numbers from 0 up.", "Export again.", negative_dim),
    Rule(
        "SG752",
        "tensor-storage",
        "A stored tensor has its values in one field, the one of its type, or as raw bytes.",
        "Store it again with onnx.numpy_helper.from_array.",
        storage,
    ),
    Rule(
        "SG753",
        "number-of-values",
        "A stored tensor has as many values as its dims say.",
        "Export again; values are missing, or the dims are wrong.",
        number_of_values,
    ),
)
