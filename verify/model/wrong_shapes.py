"""Shapes that ONNX's own inference gets wrong, and what is known of them.

Each case was found by comparing the inferred shapes with those that onnxruntime computes:

- an If before opset 11 gets the shape of one branch, whatever the other branch returns;
- a Slice of opset 10 keeps the name of a free dim that it cuts;
- a backward Slice whose end is the largest integer has no elements by inference; onnxruntime gives all up to the first;
- a pool with `ceil_mode` gets windows that start in the padding at the end, one with `auto_pad` SAME gets a size
  without regard to its dilations, and a window that is larger than the data still gives an element;
- a ConvTranspose with `auto_pad` SAME gets `output_padding` on top of the padded size;
- a PRelu gets the shape of its data even where the slope broadcasts it;
- SplitToSequence without `keepdims` keeps the axis where the sizes are given, which onnxruntime removes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import onnx
from onnx.helper import get_attribute_value

from verify.model.walk import dims_of, subgraphs

Dims = list[int | str | None]
Types = Mapping[str, onnx.TypeProto]
Constants = Mapping[str, np.ndarray]
LARGEST = (np.iinfo(np.int32).max, np.iinfo(np.int64).max)


def known_outputs(node: onnx.NodeProto, types: Types, constants: Constants, opset: int) -> dict[str, onnx.TypeProto]:
    """The outputs of a node whose inferred type may be wrong, with the type that is known; empty where all is right.

    Args:
        types: inferred types by tensor name.
        constants: values of the operands by tensor name, where they are fixed.
        opset: of ONNX's own operators.
    """
    check = CHECKS.get(node.op_type)
    if check is None or node.domain not in ("", "ai.onnx"):
        return {}
    try:
        return check(node, types, constants, opset)
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return {}  # a node that breaks ONNX's rules, of which inference says nothing either


def _if(node: onnx.NodeProto, _types: Types, _constants: Constants, opset: int) -> dict[str, onnx.TypeProto]:
    if opset >= 11:
        return {}
    bodies = dict(subgraphs(node))
    if not {"then_branch", "else_branch"} <= set(bodies):
        return {}
    pairs = zip(node.output, bodies["then_branch"].output, bodies["else_branch"].output, strict=False)
    known = {name: (_common(one.type, other.type), one.type, other.type) for name, one, other in pairs if name}
    return {name: common for name, (common, *branches) in known.items() if any(common != kind for kind in branches)}


def _common(one: onnx.TypeProto, other: onnx.TypeProto) -> onnx.TypeProto:
    """What holds for values of either type; a type that is not known may be of any rank."""
    if not one.HasField("value"):
        return other if not other.HasField("value") else _with_dims(other, None)
    left, right = dims_of(one.tensor_type), dims_of(other.tensor_type)
    if left is None or right is None or len(left) != len(right):
        return _with_dims(one, None)
    return _with_dims(one, [a if a == b else None for a, b in zip(left, right, strict=True)])


def _slice(node: onnx.NodeProto, types: Types, constants: Constants, opset: int) -> dict[str, onnx.TypeProto]:
    data, found = _dims(node.input[0], types), _dims(node.output[0], types)
    if opset < 10 or data is None or found is None or len(found) != len(data):
        return {}
    ends, axes, steps = (_numbers(node, place, constants) for place in (2, 3, 4))
    if axes is None:
        axes = list(range(len(data)))
    known = list(found)
    for axis, end, step in zip_longest(axes, ends or (), steps or ()):
        if axis is None or not -len(data) <= axis < len(data):
            continue
        kept = opset == 10 and isinstance(found[axis], str) and found[axis] == data[axis]
        if kept or (end in LARGEST and step is not None and step < 0):
            known[axis] = None
    return _changed(node, types, known)


def _pool(node: onnx.NodeProto, types: Types, _constants: Constants, _opset: int) -> dict[str, onnx.TypeProto]:
    attributes = _attributes(node)
    kernel = attributes.get("kernel_shape", ())
    data, found = _dims(node.input[0], types), _dims(node.output[0], types)
    if data is None or found is None or not len(data) == len(found) == len(kernel) + 2:
        return {}
    count = len(kernel)
    strides, dilations = (list(attributes.get(name) or [1] * count) for name in ("strides", "dilations"))
    pads = list(attributes.get("pads") or [0] * 2 * count)
    same = attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    ceil = bool(attributes.get("ceil_mode", 0))
    known = list(found)
    for i, size in enumerate(data[2:]):
        window = (kernel[i] - 1) * dilations[i] + 1
        if not isinstance(size, int) or not isinstance(found[i + 2], int):
            continue
        if same:
            doubtful = ceil or dilations[i] > 1
        else:
            rest = size + pads[i] + pads[i + count] - window
            last = -(-rest // strides[i]) * strides[i]
            doubtful = rest < 0 or (ceil and last >= size + pads[i])
        if doubtful:
            known[i + 2] = None
    return _changed(node, types, known)


def _conv_transpose(
    node: onnx.NodeProto, types: Types, _constants: Constants, _opset: int
) -> dict[str, onnx.TypeProto]:
    attributes = _attributes(node)
    found = _dims(node.output[0], types)
    same = attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    if found is None or not same or not any(attributes.get("output_padding", ())):
        return {}
    return _changed(node, types, [*found[:2], *[None] * len(found[2:])])


def _prelu(node: onnx.NodeProto, types: Types, _constants: Constants, _opset: int) -> dict[str, onnx.TypeProto]:
    data, slope = (_dims(name, types) for name in node.input[:2])
    if data is None or slope is None or _dims(node.output[0], types) is None:
        return {}
    if len(slope) > len(data):
        return {node.output[0]: _with_dims(types[node.output[0]], None)}
    pairs = list(zip_longest(data[::-1], slope[::-1], fillvalue=1))[::-1]
    return _changed(node, types, [one if other == 1 or one == other else None for one, other in pairs])


def _split_to_sequence(node: onnx.NodeProto, types: Types, _c: Constants, _opset: int) -> dict[str, onnx.TypeProto]:
    if _attributes(node).get("keepdims", 1) or len(node.input) < 2 or not node.input[1]:
        return {}
    found = types.get(node.output[0])
    if found is None or not found.sequence_type.elem_type.tensor_type.HasField("shape"):
        return {}
    known = onnx.TypeProto()
    known.CopyFrom(found)
    known.sequence_type.elem_type.tensor_type.ClearField("shape")
    return {node.output[0]: known}


CHECKS: dict[str, Callable[[onnx.NodeProto, Types, Constants, int], dict[str, onnx.TypeProto]]] = {
    "If": _if,
    "Slice": _slice,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "ConvTranspose": _conv_transpose,
    "PRelu": _prelu,
    "SplitToSequence": _split_to_sequence,
}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def _dims(name: str, types: Types) -> Dims | None:
    return dims_of(types[name].tensor_type) if name in types and types[name].HasField("tensor_type") else None


def _numbers(node: onnx.NodeProto, place: int, constants: Constants) -> list[int] | None:
    """The fixed numbers of an operand; None where they are computed or the operand is left out."""
    name = node.input[place] if place < len(node.input) else ""
    return constants[name].reshape(-1).tolist() if name in constants else None


def _changed(node: onnx.NodeProto, types: Types, dims: Dims) -> dict[str, onnx.TypeProto]:
    """These dims for every output that has others (a MaxPool has two outputs of one shape)."""
    outputs = [name for name in node.output if name in types and _dims(name, types) is not None]
    return {name: _with_dims(types[name], dims) for name in outputs if _dims(name, types) != dims}


def _with_dims(known: onnx.TypeProto, dims: Sequence[int | str | None] | None) -> onnx.TypeProto:
    """The type with other dims; None for an unknown rank."""
    changed = onnx.TypeProto()
    changed.CopyFrom(known)
    if not changed.HasField("tensor_type"):
        return changed
    changed.tensor_type.ClearField("shape")
    if dims is not None:
        changed.tensor_type.shape.SetInParent()
    for dim in dims or ():
        entry = changed.tensor_type.shape.dim.add()
        if isinstance(dim, int):
            entry.dim_value = dim
        elif dim is not None:
            entry.dim_param = dim
    return changed
