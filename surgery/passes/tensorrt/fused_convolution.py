"""Convolutions with something fused in or channels last: FusedConv, NhwcConv and NhwcFusedConv of com.microsoft.

What it does: writes the convolution, the addition and the activation as nodes of their own, with Transpose around them
where channels come last.
Why: TensorRT's parser knows none of these operators, which onnxruntime's optimizer writes.
Before → After: `y = com.microsoft.FusedConv<activation = "Relu">(x, w, b, z)` → `y = Relu(Add(Conv(x, w, b), z))`
Leaves alone: activations of another name or without their parameters; channels last in an input of unknown rank.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib_forms import ACTIVATIONS, Form, activated, operand, plain_findings
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
    return _fused(build, node, node.inputs[0], operand(node, 3))


def _last(build: Build, node: gs.Node) -> gs.Tensor:
    added = operand(node, 3)
    added = None if added is None else channels_first(build, added)
    made = _fused(build, node, channels_first(build, node.inputs[0]), added)
    return channels_last(build, made, len(node.inputs[0].shape))


def _fused(build: Build, node: gs.Node, data: gs.Tensor, added: gs.Tensor | None) -> gs.Tensor:
    attributes = {name: node.attrs[name] for name in WINDOW if name in node.attrs}
    made = build("Conv", data, node.inputs[1], operand(node, 2), **attributes)
    made = made if added is None else build("Add", made, added)
    return activated(build, made, str(node.attrs.get("activation", "")), _parameters(node))


def _parameters(node: gs.Node) -> list[float]:
    return [float(value) for value in node.attrs.get("activation_params", ())]


def _known(node: gs.Node, context: Context) -> bool:
    needed = ACTIVATIONS.get(str(node.attrs.get("activation", "")))
    return needed is not None and needed == len(_parameters(node))


def _known_rank(node: gs.Node, context: Context) -> bool:
    added = operand(node, 3)
    known = context.rank(node.inputs[0]) is not None and (added is None or context.rank(added) is not None)
    return known and _known(node, context)


FORMS = {
    "FusedConv": Form(_convolution, inputs=2, attributes=(*WINDOW, *FUSED), holds=_known),
    **dict.fromkeys(
        ("NhwcConv", "NhwcFusedConv"), Form(_last, inputs=2, attributes=(*WINDOW, *FUSED), holds=_known_rank)
    ),
}
PASS = Pass(code="SG173", name="fused-convolution", find=find, exact=False, kind="replace")
