"""Helpers that write ONNX messages: attributes, declared types, and constants as they were stored."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import numpy_helper

from surgery.graph.nodes import number_of
from surgery.graph.schemas import attribute_type

Attribute = onnx.AttributeProto
MADE_UP = re.compile(r"unk__\d+@\d+|@.*:\d+", re.DOTALL)  # dim names that `surgery.graph.infer` makes up


def copy_fields(source: Any, target: Any, left_out: set[str]) -> None:
    """Copy all set fields except those in `left_out`."""
    for field, value in source.ListFields():
        if field.name in left_out:
            continue
        if isinstance(value, (str, int, bytes, float)):
            setattr(target, field.name, value)
        else:
            getattr(target, field.name).MergeFrom(value)


def nbytes(constant: gs.Constant) -> int:
    """Bytes of the values, without loading them."""
    return int(constant._values.nbytes)


def is_external(constant: gs.Constant) -> bool:
    """Whether the values are in a file beside the model."""
    return getattr(constant, "stored", None) is not None and bool(constant.stored.external)


def untouched(constant: gs.Constant) -> bool:
    """Whether the constant still has the values that were read from the file."""
    stored = getattr(constant, "stored", None)
    values = constant._values
    return stored is not None and (values is stored or (stored.loaded is not None and values is stored.loaded))


def declare(proto: onnx.ValueInfoProto, tensor: gs.Variable) -> None:
    """Put dtype and shape of `tensor` into its declared type; doc string and denotations of unchanged dims stay."""
    kind = proto.type.tensor_type
    kind.elem_type = number_of(tensor.dtype)
    if tensor.shape is None:
        kind.ClearField("shape")
        return
    old = [(d.dim_param or (d.dim_value if d.HasField("dim_value") else None), d.denotation) for d in kind.shape.dim]
    kind.shape.SetInParent()
    del kind.shape.dim[:]
    for axis, dim in enumerate(tensor.shape):
        new = kind.shape.dim.add()
        if isinstance(dim, str):
            new.dim_param = "" if MADE_UP.fullmatch(dim) else dim
        elif dim is not None and dim >= 0:
            new.dim_value = int(dim)
        if axis < len(old) and old[axis][1]:
            new.denotation = old[axis][1]


def type_proto(tensor: gs.Tensor) -> onnx.TypeProto | None:
    """The type and shape of a tensor as a message, None where its dtype is not known."""
    if tensor.dtype is None:
        return None
    return onnx.helper.make_tensor_type_proto(number_of(tensor.dtype), tensor.shape)


def make_attribute(node: gs.Node, name: str, value: Any) -> onnx.AttributeProto:
    """A new attribute; for an empty list the operator's schema gives the type of its elements."""
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(value)
    elif isinstance(value, (np.dtype, type)):
        value = number_of(value)
    elif isinstance(value, (bool, np.bool_)):
        value = int(value)
    elif isinstance(value, gs.Node.AttributeRef):
        kind = attribute_type(node, name)
        return onnx.AttributeProto(name=name, ref_attr_name=value.name, type=kind or Attribute.INT)
    elif isinstance(value, (list, tuple)):
        value = list(value)
        if not value:
            return onnx.AttributeProto(name=name, type=attribute_type(node, name) or Attribute.INTS)
    wanted = attribute_type(node, name)
    if wanted == Attribute.FLOAT:
        value = float(value)
    elif wanted == Attribute.FLOATS:
        value = [float(item) for item in value]
    return onnx.helper.make_attribute(name, value)
