"""Half precision simulated in float32: every tensor that half precision would hold is rounded to it and back.

onnxruntime's CPU kernels for float16 sum in float32 and skip the rounding between two float16 nodes, so a float16 model
looks better there than it is on a GPU. With every rounding written out, the error is that of the GPU. Sums inside a
node stay float32, as they do on tensor cores; values beyond the range of the type become infinite.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from verify.model.walk import reads

NUMPY = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Lowered:
    """One node in half precision.

    dtype    "float16" or "bfloat16"
    inputs   names of its float32 inputs that are read in half precision
    outputs  names of its float32 outputs that are stored in half precision
    moves    whether it only moves data, so that its outputs need no rounding of their own
    """

    dtype: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    moves: bool = False


def round_tensors(graph: onnx.GraphProto, lowered: Mapping[int, Lowered], taken: set[str]) -> None:
    """Round what the nodes `lowered` (by their place in the graph) read and write, in place.

    Tensors keep their names and stay float32; graph inputs and outputs stay as they are.

    Args:
        taken: every tensor name of the model; new names are added.
    """
    listed = {value.name for value in graph.input}
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in listed}
    held: dict[str, str] = {}
    forms: dict[tuple[str, str], str] = {}
    nodes: list[onnx.NodeProto] = []
    for index, old in enumerate(graph.node):
        node = onnx.NodeProto()
        node.CopyFrom(old)
        choice = lowered.get(index)
        if choice is None:
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if name not in choice.inputs or held.get(name) == choice.dtype:
                continue
            if (name, choice.dtype) not in forms:
                form = forms[name, choice.dtype] = free_name(f"{name}__{choice.dtype}", taken)
                if name in constants:
                    graph.initializer.append(rounded_constant(constants[name], form, choice.dtype))
                else:
                    nodes += rounding(name, form, choice.dtype, taken)
            node.input[place] = forms[name, choice.dtype]
        after: list[onnx.NodeProto] = []
        for place, name in enumerate(node.output):
            if name in choice.outputs:
                held[name] = choice.dtype
                if not choice.moves:
                    node.output[place] = free_name(f"{name}__exact", taken)
                    after += rounding(node.output[place], name, choice.dtype, taken)
        nodes += [node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph, constants.keys())


def drop_unread(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Remove those initializers among `names` that nothing reads."""
    used = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name in names and graph.initializer[index].name not in used:
            del graph.initializer[index]


def rounding(source: str, target: str, dtype: str, taken: set[str]) -> list[onnx.NodeProto]:
    """Two Casts that round `source` to `dtype` and give it the name `target`."""
    narrow = free_name(f"{target}__narrow", taken)
    return [
        helper.make_node("Cast", [source], [narrow], name=f"{target}__round", to=getattr(TensorProto, dtype.upper())),
        helper.make_node("Cast", [narrow], [target], name=f"{target}__widen", to=TensorProto.FLOAT),
    ]


def lower_values(values: Any, dtype: str) -> Any:
    """float32 values rounded to the nearest value of the other type; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(NUMPY[dtype])


def rounded_constant(tensor: onnx.TensorProto, name: str, dtype: str) -> onnx.TensorProto:
    """A float32 tensor of this name with the values rounded."""
    values = lower_values(numpy_helper.to_array(tensor), dtype)
    return numpy_helper.from_array(values.astype(np.float32), name)


def free_name(name: str, taken: set[str]) -> str:
    """The name, with underscores behind it until no other tensor has it; it is added to `taken`."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
