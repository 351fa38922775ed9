"""What the user binds before the passes run: input shapes, inputs that become constants, other outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_uses
from surgery.graph.nodes import Constant
from surgery.graph.walk import nodes_inside
from verify.errors import SurgeonError, did_you_mean


def bind(
    graph: gs.Graph, shapes: Mapping[str, Sequence[int | str]], values: Mapping[str, Any], outputs: Sequence[str]
) -> bool:
    """Apply what the user binds; returns whether there was anything to do.

    Args:
        shapes: dims of inputs by name.
        values: inputs that become constants, by name.
        outputs: names of the tensors that become the outputs; empty keeps those of the model.

    Raises:
        SurgeonError: a name is no input or tensor of the model, or a shape or value does not fit.
    """
    pin_shapes(graph, shapes)
    set_inputs(graph, values)
    cut_outputs(graph, outputs)
    return bool(shapes or values or outputs)


def _input(graph: gs.Graph, name: str) -> gs.Variable:
    for tensor in graph.inputs:
        if tensor.name == name:
            return tensor
    raise SurgeonError(f"no input '{name}'; the model has {', '.join(t.name for t in graph.inputs) or 'none'}")


def pin_shapes(graph: gs.Graph, shapes: Mapping[str, Sequence[int | str]]) -> None:
    """Give inputs the dims stated: a number or name for a free dim, -1 to leave a dim as it is.

    A dim that the model fixes to a number stays that number: its nodes may hold the same number as a constant.
    """
    for name, dims in shapes.items():
        tensor = _input(graph, name)
        old = list(tensor.shape) if tensor.shape is not None else [None] * len(dims)
        if len(old) != len(dims):
            raise SurgeonError(f"input '{name}' has {len(old)} dims, not {len(dims)}: {list(dims)}")
        for axis, (was, dim) in enumerate(zip(old, dims, strict=True)):
            if isinstance(was, int) and was != dim and not (isinstance(dim, int) and dim < 0):
                more = "; export the model with a free dim" if isinstance(dim, str) else ""
                raise SurgeonError(f"input '{name}' is fixed at {was} in dim {axis}, so it cannot be {dim}{more}")
        tensor.shape = [was if isinstance(dim, int) and dim < 0 else dim for was, dim in zip(old, dims, strict=True)]


def set_inputs(graph: gs.Graph, values: Mapping[str, Any]) -> None:
    """Turn inputs into constants of the stated value, brought to the input's dtype, and to its shape when static."""
    for name, value in values.items():
        tensor = _input(graph, name)
        try:
            array = np.asarray(value, dtype=tensor.dtype)
            if tensor.shape is not None and all(isinstance(dim, int) for dim in tensor.shape):
                array = np.broadcast_to(array, tensor.shape) if array.ndim == 0 else array.reshape(tensor.shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise SurgeonError(f"input '{name}' cannot be {value!r}: {error}") from None
        constant = Constant(name, np.ascontiguousarray(array).reshape(array.shape))
        replace_uses(tensor, constant)
        graph.inputs = [other for other in graph.inputs if other is not tensor]
        graph.outputs = [constant if other is tensor else other for other in graph.outputs]


def cut_outputs(graph: gs.Graph, names: Sequence[str]) -> None:
    """Make the tensors of these names the outputs, in this order; what only fed the others becomes unused."""
    if not names:
        return
    known = {tensor.name: tensor for tensor in graph.inputs}
    for node in graph.nodes:
        known.update((tensor.name, tensor) for tensor in node.outputs if tensor.name)
    inner = {t.name for node in graph.nodes for other in nodes_inside(node) for t in other.outputs}
    for name in names:
        if name not in known:
            place = "inside a subgraph" if name in inner else "not in the model"
            hint = did_you_mean(name, known) or "; name a tensor of the main graph"
            raise SurgeonError(f"--outputs '{name}': {place}{hint}")
    graph.outputs = [known[name] for name in dict.fromkeys(names)]
