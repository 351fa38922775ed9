"""Operators of onnxruntime as a table: how each is written in plain ONNX, and when that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import DOMAIN, contrib_nodes
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, finding


@dataclass(frozen=True)
class Form:
    """How one operator is written in plain ONNX.

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
    """A finding for each node that has a form in plain ONNX and that the target does not take."""
    for op, form in forms.items():
        for node in contrib_nodes(graph, context, {op: form.attributes}, form.domain):
            if _known(node, form) and form.holds(node, context):
                message = f"{context.target.name} has no {op} of onnxruntime"
                yield finding(message, node, partial(_rewrite, graph, node, context, code, form))


def _known(node: gs.Node, form: Form) -> bool:
    first = node.inputs[0] if node.inputs else None
    return first is not None and (first.is_empty() or first.dtype is not None) and len(node.inputs) >= form.inputs


def _rewrite(graph: gs.Graph, node: gs.Node, context: Context, code: str, form: Form) -> None:
    build = Build(graph, node, context, code)
    results = form.write(build, node)
    build.replace(*(results if isinstance(results, list) else [results]))


def activated(build: Build, value: gs.Tensor, name: str, parameters: list[float]) -> gs.Tensor:
    """`value` after the activation that onnxruntime has fused into a product or convolution; "" for none."""
    if not name:
        return value
    if name in ("LeakyRelu", "Elu", "ThresholdedRelu"):
        return build(name, value, alpha=parameters[0])
    if name == "HardSigmoid":
        return build(name, value, alpha=parameters[0], beta=parameters[1])
    if name == "Clip":
        low, high = (build.constant(bound, value.dtype) for bound in parameters)
        return build("Clip", value, low, high)
    return build(name, value)


ACTIVATIONS = {  # name: how many parameters it has
    "": 0, "Relu": 0, "Tanh": 0, "Sigmoid": 0, "Softplus": 0, "Softsign": 0,
    "LeakyRelu": 1, "Elu": 1, "ThresholdedRelu": 1, "HardSigmoid": 2, "Clip": 2,
}  # fmt: skip


def operand(node: gs.Node, place: int) -> Any:
    """The input at this place, which must be there, or None where it is left out."""
    return optional_input(node, place)
