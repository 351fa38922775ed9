"""A table of onnxruntime's own operators: how each is written in plain ONNX, and when that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, finding

DOMAIN = "com.microsoft"
ACTIVATIONS: dict[str, tuple[str, ...]] = {  # fused into a product or a convolution: name -> its parameters in order
    "": (), "Relu": (), "HardSwish": (), "Tanh": (), "Sigmoid": (), "Softplus": (), "Softsign": (),
    "LeakyRelu": ("alpha",), "Elu": ("alpha",), "ThresholdedRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How to write one of onnxruntime's operators in plain ONNX.

    write       makes the nodes and gives the tensor, or the list of them, that takes over the outputs
    inputs      how many the node must have at least
    attributes  names of all that the rewrite knows; a node with another one is left alone
    holds       whether the rewrite is right for this node
    domain      of the operator
    """

    write: Callable[[Build, gs.Node], Any]
    inputs: int = 1
    attributes: tuple[str, ...] = ()
    holds: Callable[[gs.Node, Context], bool] = lambda node, context: True
    domain: str = DOMAIN


def plain_findings(graph: gs.Graph, context: Context, code: str, forms: Mapping[str, Form]) -> Iterator[Finding]:
    """A finding for each node that has a form in plain ONNX and that the target does not take.

    Left out are calls of a function that the model defines under the same name.
    """
    functions = getattr(context.root, "functions", ()) or ()
    own = {(function.domain, function.name) for function in functions}
    for op, form in forms.items():
        name = f"{form.domain}::{op}" if form.domain else op
        if (form.domain, op) in own or context.target.refuses(f"op:{name}") is None:
            continue
        for node in context.nodes(graph, name):
            if not set(node.attrs) - set(form.attributes) and _known(node, form) and form.holds(node, context):
                message = f"{context.target.name} has no {op}, which onnxruntime writes"
                yield finding(message, node, partial(_rewrite, graph, node, context, code, form))


def _known(node: gs.Node, form: Form) -> bool:
    first = node.inputs[0] if node.inputs else None
    return first is not None and (first.is_empty() or first.dtype is not None) and len(node.inputs) >= form.inputs


def _rewrite(graph: gs.Graph, node: gs.Node, context: Context, code: str, form: Form) -> None:
    build = Build(graph, node, context, code)
    results = form.write(build, node)
    build.replace(*(results if isinstance(results, list) else [results]))


def activated(build: Build, value: gs.Tensor, name: str, parameters: dict[str, Any]) -> gs.Tensor:
    """`value` after an activation of ACTIVATIONS; a parameter that is left out has ONNX's default."""
    if not name:
        return value
    if name == "Clip":
        return build("Clip", value, *(build.constant(parameters[bound], value.dtype) for bound in ACTIVATIONS[name]))
    made: gs.Tensor = build(name, value, **parameters)
    return made


def has_output(node: gs.Node, index: int) -> bool:
    """Whether the output at this place has a name."""
    return index < len(node.outputs) and not node.outputs[index].is_empty()


def float_kind(node: gs.Node, *places: int) -> Any:
    """NumPy dtype of the first of these inputs whose dtype is known, or of the first output; None where none is."""
    tensors = [tensor for place in places if (tensor := optional_input(node, place)) is not None]
    return next((np.dtype(tensor.dtype) for tensor in (*tensors, *node.outputs[:1]) if tensor.dtype is not None), None)


def text(value: Any) -> str:
    """A string attribute."""
    return value.decode() if isinstance(value, bytes) else str(value)


def split_last(build: Build, tensor: gs.Tensor, sizes: Sequence[int]) -> list[gs.Tensor]:
    """Consecutive pieces of these sizes of the last dim."""
    ends = np.cumsum(sizes).tolist()
    return [build.slice(tensor, [-1], [end - size], [end]) for end, size in zip(ends, sizes, strict=True)]


def dim(build: Build, tensor: gs.Tensor, axis: int) -> gs.Tensor:
    """The size of one dim (counted from the front) as int64[1]."""
    size = tensor.shape[axis] if tensor.shape is not None else None
    if isinstance(size, int):
        return build.ints([size])
    return build.slice(build("Shape", tensor), [0], [axis], [axis + 1])
