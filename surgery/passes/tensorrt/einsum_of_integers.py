"""Einsum of integers.

What it does: gives every factor a dim for each letter, multiplies them elementwise, and sums over the letters that the
result does not have.
Why: TensorRT multiplies matrices of floating-point numbers only.
Before → After: `y = Einsum<equation = "ij,jk->ik">(a, b)` of int32 → `y =
ReduceSum(Mul(Unsqueeze(a), Unsqueeze(b)), [j])`
Leaves alone: unknown sizes, an ellipsis, a letter twice in one factor, and more than four million products.
Numerics: exact: the sums wrap around as the original's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.passes.tensorrt.einsum_letters import lower_case
from surgery.passes.tensorrt.integer_product import LARGEST
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

INTEGERS = ("int32", "int64")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Einsum"):
        equation = lower_case(text(node.attrs.get("equation", "")))
        kind = node.inputs[0].dtype
        if kind is not None and np.dtype(kind).name in INTEGERS and _within(equation, node, context):
            yield finding("Einsum multiplies integers", node, partial(rewrite, graph, node, context, equation))


def _within(equation: str, node: gs.Node, context: Context) -> bool:
    """Whether every letter has one known size and the product of the sizes is small."""
    factors = equation.partition("->")[0].split(",")
    shapes = [context.static_shape(tensor) for tensor in node.inputs]
    if not equation or "." in equation or len(factors) != len(shapes):
        return False
    sizes: dict[str, int] = {}
    for letters, shape in zip(factors, shapes, strict=True):
        if shape is None or len(set(letters)) != len(letters) or len(letters) != len(shape):
            return False
        if any(sizes.setdefault(letter, size) != size for letter, size in zip(letters, shape, strict=True)):
            return False
    return prod(sizes.values()) <= LARGEST


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, equation: str) -> None:
    """Products of all factors with a dim for each letter, then the sums."""
    build = Build(graph, node, context, PASS.code)
    left, _, right = equation.partition("->")
    summed = [letter for letter in dict.fromkeys(left.replace(",", "")) if letter not in right]
    order = [*right, *summed]
    factors = [
        _spread(build, tensor, letters, order) for letters, tensor in zip(left.split(","), node.inputs, strict=True)
    ]
    product = reduce(partial(build, "Mul"), factors)
    axes = list(range(len(right), len(order)))
    build.replace(build.axes("ReduceSum", product, axes, keepdims=0) if axes else product)


def _spread(build: Build, tensor: gs.Tensor, letters: str, order: list[str]) -> gs.Tensor:
    """The factor with its letters in this order, and dims of one for those that it lacks."""
    there = [letter for letter in order if letter in letters]
    perm = [letters.index(letter) for letter in there]
    moved = tensor if perm == sorted(perm) else build("Transpose", tensor, perm=perm)
    missing = [place for place, letter in enumerate(order) if letter not in letters]
    return build.unsqueeze(moved, *missing) if missing else moved


PASS = Pass(code="SG192", name="einsum-of-integers", find=find, exact=True, kind="replace", feature="int-gemm")
