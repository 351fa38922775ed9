"""A mask that is cast to numbers to be multiplied by a constant.

What it does: chooses between the constant and zero by the mask itself.
Why: one node less, and no tensor of ones and zeros in memory.
Before → After: `Mul(Cast<float>(m: bool), [0.5, 2])` → `Where(m, [0.5, 2], 0)`
Leaves alone: constants with NaN or infinity, whose product with zero is NaN, or with -0, which onnxruntime's Where
makes 0; large constants with negative numbers, for which the zeros would be stored one by one; a cast that other nodes
read or that is a graph output.
Numerics: exact: zero times a negative number is -0, which is stored as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG029"
LARGEST = 4096  # elements of a constant with negative numbers
KINDS = (np.float16, np.float32, np.float64, np.int32, np.int64)


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 9:
        return
    for node in context.nodes(graph, "Mul"):
        for place in (0, 1):
            cast, other = producer(node.inputs[place], "Cast"), node.inputs[1 - place]
            if cast is None or not isinstance(other, gs.Constant) or other.dtype not in KINDS:
                continue
            made, mask = cast.outputs[0], cast.inputs[0]
            alone = len(made.outputs) == 1 and not context.is_output(graph, made)
            value = context.constant(other)
            if alone and value is not None and mask.dtype == np.bool_ and made.dtype == other.dtype and _fits(value):
                fix = partial(_write, graph, node, mask, other, context)
                yield finding(f"multiplies the mask '{mask.name}' by a constant", node, fix, cast)
                break


def _fits(value: np.ndarray) -> bool:
    negative = np.signbit(value.astype(np.float64))
    if not np.isfinite(value).all() or (negative & (value == 0)).any():
        return False
    return value.size <= LARGEST or not negative.any()


def _write(graph: gs.Graph, node: gs.Node, mask: gs.Tensor, constant: gs.Constant, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    zeros = np.asarray(constant.values) * np.zeros((), constant.dtype)
    build.replace(build("Where", mask, constant, zeros if np.signbit(zeros).any() else zeros.dtype.type(0)))


PASS = Pass(code=CODE, name="masked-constant", find=find, exact=True)
