"""Bit operations on integers.

What it does: splits both operands into bits (floor division by powers of two in a new last dim), combines the bits with
Mul, Max or Max - Min, and sums them again; BitwiseNot is -1 - x, or 255 - x for uint8.
Why: TensorRT's parser has no BitwiseAnd, BitwiseOr, BitwiseXor and BitwiseNot.
Before → After: `c = BitwiseAnd(a, b)` → `c = ReduceSum(bits(a) * bits(b) * [1, 2, 4, ...]) - sign`
Leaves alone: unsigned types of 16, 32 and 64 bits and int16, which TensorRT cannot hold; inputs of unknown type or
rank.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.bits import bits, number, width, work_type
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

TYPES = ("int8", "uint8", "int32", "int64")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"):
        if all(
            tensor.dtype is not None and np.dtype(tensor.dtype).name in TYPES and tensor.shape is not None
            for tensor in node.inputs
        ):
            message = f"{context.target.name} has no {node.op}"
            yield finding(message, node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Compute in int32 or int64, and cast back."""
    build = Build(graph, node, context, PASS.code)
    kind = np.dtype(node.inputs[0].dtype)
    operands = [build.cast(tensor, work_type(kind)) for tensor in node.inputs]
    if node.op == "BitwiseNot":
        value = build("Sub", build.constant(255 if kind == np.uint8 else -1, work_type(kind)), operands[0])
    else:
        value = combine(build, node.op, operands, kind)
    build.replace(build.cast(value, kind))


def combine(build: Build, op: str, operands: list[gs.Tensor], kind: np.dtype[np.generic]) -> gs.Tensor:
    """Both operands' bits combined; the sign bit of signed types separately, because it does not fit a power of two."""
    count = width(kind) if kind.kind == "u" else width(kind) - 1
    digits = meet(build, op, *(bits(build, value, count) for value in operands))
    signs = [build.cast(build("Less", value, 0), value.dtype) for value in operands]
    return number(build, digits, meet(build, op, *signs), count)


def meet(build: Build, op: str, left: gs.Tensor, right: gs.Tensor) -> gs.Tensor:
    """Zeros and ones combined."""
    if op == "BitwiseAnd":
        return build("Mul", left, right)
    if op == "BitwiseOr":
        return build("Max", left, right)
    return build("Sub", build("Max", left, right), build("Min", left, right))


PASS = Pass(code="SG111", name="bitwise-operator", find=find, exact=True, kind="replace", feature="bitwise")
