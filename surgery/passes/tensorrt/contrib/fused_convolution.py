"""Convolutions with a fused activation or with channels last: FusedConv, NhwcConv and NhwcFusedConv of com.microsoft.

What it does: writes the convolution, the addition and the activation as separate nodes, with Transpose around them
where channels come last.
Why: TensorRT's parser knows none of these operators, which onnxruntime's optimizer writes.
Before → After: `y = com.microsoft.FusedConv<activation = "Relu">(x, w, b, z)` → `y = Relu(Add(Conv(x, w, b), z))`
Leaves alone: activations that ONNX does not have or whose parameters are missing; channels last in an input of unknown
rank.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import ACTIVATIONS, Form, activated, plain_findings, text
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
FUSED = ("activation", "activation_params")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG173", FORMS)


def channels_first(build: Build, tensor: gs.Tensor) -> gs.Tensor:
    """The tensor with its last dim moved to place 1."""
    rank = len(tensor.shape)
    return build("Transpose", tensor, perm=[0, rank - 1, *range(1, rank - 1)])


def channels_last(build: Build, tensor: gs.Tensor, rank: int) -> gs.Tensor:
    """The tensor with dim 1 moved to the end."""
    return build("Transpose", tensor, perm=[0, *range(2, rank), 1])


def _convolution(build: Build, node: gs.Node) -> gs.Tensor:
    return _fused(build, node, node.inputs[0], optional_input(node, 3))


def _last(build: Build, node: gs.Node) -> gs.Tensor:
    added = optional_input(node, 3)
    added = None if added is None else channels_first(build, added)
    made = _fused(build, node, channels_first(build, node.inputs[0]), added)
    return channels_last(build, made, len(node.inputs[0].shape))


def _fused(build: Build, node: gs.Node, data: gs.Tensor, added: gs.Tensor | None) -> gs.Tensor:
    attributes = {name: node.attrs[name] for name in WINDOW if name in node.attrs}
    made = build("Conv", data, node.inputs[1], optional_input(node, 2), **attributes)
    made = made if added is None else build("Add", made, added)
    return fused_activation(build, node, made)


def fused_activation(build: Build, node: gs.Node, value: gs.Tensor) -> gs.Tensor:
    """`value` after the activation of FusedConv and its kind, whose parameters stand in a list."""
    name = text(node.attrs.get("activation", ""))
    return activated(build, value, name, dict(zip(ACTIVATIONS[name], _parameters(node), strict=True)))


def _parameters(node: gs.Node) -> list[float]:
    return [float(value) for value in node.attrs.get("activation_params", ())]


def known_activation(node: gs.Node, context: Context) -> bool:
    """Whether the fused activation is one of ONNX and has all its parameters."""
    needed = ACTIVATIONS.get(text(node.attrs.get("activation", "")))
    return needed is not None and len(needed) == len(_parameters(node))


def _known_rank(node: gs.Node, context: Context) -> bool:
    added = optional_input(node, 3)
    known = context.rank(node.inputs[0]) is not None and (added is None or context.rank(added) is not None)
    return known and known_activation(node, context)


FORMS = {
    "FusedConv": Form(_convolution, inputs=2, attributes=(*WINDOW, *FUSED), holds=known_activation),
    **dict.fromkeys(
        ("NhwcConv", "NhwcFusedConv"), Form(_last, inputs=2, attributes=(*WINDOW, *FUSED), holds=_known_rank)
    ),
}
PASS = Pass(code="SG173", name="fused-convolution", find=find, exact=False, kind="replace")
