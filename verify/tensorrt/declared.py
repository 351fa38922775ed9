"""Inputs and outputs as TensorRT's parser understands them, against those that the file declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from verify.interface.check import read_dims, show
from verify.model.walk import fed_inputs
from verify.tensorrt.engine import Port

if TYPE_CHECKING:
    import onnx

# TensorRT's name of each type, and of those that it may take in its place.
TYPES: dict[str, tuple[str, ...]] = {
    "FLOAT": ("FLOAT",),
    "DOUBLE": ("FLOAT",),
    "FLOAT16": ("HALF",),
    "BFLOAT16": ("BF16",),
    "BOOL": ("BOOL",),
    "INT8": ("INT8",),
    "UINT8": ("UINT8",),
    "INT32": ("INT32",),
    "INT64": ("INT64", "INT32"),  # INT32 before TensorRT 10
    "FLOAT8E4M3FN": ("FP8",),
}
Dims = tuple[int | str, ...]


def undeclared(model: onnx.ModelProto, ports: Sequence[Port]) -> Iterator[str]:
    """A sentence for each input and output whose type or dims in TensorRT contradict the declaration.

    A dim that is declared free may be a fixed number, because exporters do not always know it; but not where an input
    has a free dim of the same name on the same axis.
    """
    sides = {"input": fed_inputs(model.graph), "output": list(model.graph.output)}
    values = {(side, value.name): value for side, found in sides.items() for value in found}
    free = {(axis, dim) for value in sides["input"] for axis, dim in enumerate(read_dims(value) or ()) if dim != ""}
    named = {(port.side, port.name) for port in ports}
    yield from (
        f"TensorRT has no {side} {name}, which the file declares" for side, name in values if (side, name) not in named
    )
    for port in ports:
        value = values.get((port.side, port.name))
        if value is None:
            yield f"TensorRT has an {port.side} {port.name}, which the file does not declare"
            continue
        here = f"{port.side} {port.name}"
        dims, kind = read_dims(value), _element_type(value)
        problem = "" if dims is None or port.dims is None else _problem(dims, port.dims, free)
        if problem:
            yield f"TensorRT reads {here} as {_shown(port.dims)}, the file declares {_shown(dims)}: {problem}"
        elif kind in TYPES and port.dtype not in TYPES[kind]:
            yield f"TensorRT reads {here} as {port.dtype}, the file declares {kind}"


def _element_type(value: onnx.ValueInfoProto) -> str:
    import onnx

    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def _shown(dims: Sequence[int | str] | None) -> str:
    return show(tuple("" if dim == -1 else dim for dim in dims or ()))


def _problem(declared: Dims, found: Sequence[int], free: set[tuple[int, int | str]]) -> str:
    """Why dims cannot be the declared ones; empty where they may be."""
    if len(declared) != len(found):
        return f"rank {len(found)} instead of {len(declared)}"
    pairs = list(zip(declared, found, strict=True))
    wrong = [i for i, (dim, size) in enumerate(pairs) if isinstance(dim, int) and size >= 0 and dim != size]
    fixed = [i for i, (dim, size) in enumerate(pairs) if isinstance(dim, str) and (i, dim) in free and size >= 0]
    if wrong or fixed:
        numbers = [dim if isinstance(dim, int) else -1 for dim in declared]
        if sorted(numbers) == sorted(found):
            return "transposed?"
        at = (wrong or fixed)[0]
        return f"dim {at} is {found[at]}, whatever the inputs are"
    return ""
