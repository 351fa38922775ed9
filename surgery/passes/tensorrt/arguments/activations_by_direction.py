"""Bidirectional LSTM, GRU and RNN whose directions have different activations.

What it does: writes one recurrent operator for each direction, with the weights, biases and states of that direction,
and concatenates the results. Names of activations are spelled as in the ONNX specification.
Why: TensorRT has one set of activations for both directions, and tells `tanh` from `Tanh`.
Before → After: `y = LSTM<direction = "bidirectional", activations = [f, g, h, k, l, m]>(x, w, r)` → `y =
Concat(LSTM<[f, g, h]>(x, w[0], r[0]), LSTM<"reverse", [k, l, m]>(x, w[1], r[1]))`
Leaves alone: nodes that set parameters of the activations (`activation_alpha`, `activation_beta`) or put the batch
first (`layout`).
Numerics: exact: the directions are computed independently.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CELLS = ("LSTM", "GRU", "RNN")
SHARED = (0, 4)  # the data and the lengths of the sequences
DIRECTIONS = ("forward", "reverse")
ACTIVATIONS = {
    name.lower(): name
    for name in (
        "Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus", "Softsign", "Tanh",
        "ThresholdedRelu",
    )
}  # fmt: skip


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *CELLS):
        names = spelled(node)
        half = len(names) // 2
        plain = not node.attrs.get("layout") and not {"activation_alpha", "activation_beta"} & set(node.attrs)
        if text(node.attrs.get("direction", "forward")) == "bidirectional" and plain and names[:half] != names[half:]:
            yield finding("the directions have different activations", node, partial(rewrite, graph, node, context))
        elif names != [text(name) for name in node.attrs.get("activations", ())]:
            yield finding(
                "activations are spelled in another case", node, partial(node.attrs.update, activations=names)
            )


def spelled(node: gs.Node) -> list[str]:
    """The names of the activations as ONNX spells them."""
    given = [text(name) for name in node.attrs.get("activations", ())]
    return [ACTIVATIONS.get(name.lower(), name) for name in given]


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """One operator for each direction."""
    build = Build(graph, node, context, PASS.code)
    made = [_one_way(build, node, place) for place in range(2)]
    axes = (1, 0, 0)[: len(node.outputs)]
    build.replace(*(build("Concat", *pair, axis=axis) for *pair, axis in zip(*made, axes, strict=True)))


def _one_way(build: Build, node: gs.Node, place: int) -> tuple[gs.Tensor, ...]:
    """The outputs of one direction."""
    names = spelled(node)
    half = len(names) // 2
    attributes = node.attrs | {
        "activations": names[place * half : (place + 1) * half],
        "direction": DIRECTIONS[place],
    }
    inputs = [
        tensor if tensor is None or index in SHARED else build.slice(tensor, [0], [place], [place + 1])
        for index, tensor in ((index, optional_input(node, index)) for index in range(len(node.inputs)))
    ]
    outputs = build(node.op, *inputs, outputs=len(node.outputs), **attributes)
    return outputs if len(node.outputs) > 1 else (outputs,)


PASS = Pass(
    code="SG193",
    name="activations-by-direction",
    find=find,
    exact=True,
    kind="replace",
    feature="activations-by-direction",
)
