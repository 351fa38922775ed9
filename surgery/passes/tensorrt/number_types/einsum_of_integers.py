"""Einsum of integers.

What it does: gives every factor a dim for each letter, multiplies them elementwise, and sums over the letters that the
result does not have.
Why: TensorRT multiplies matrices of floating-point numbers only.
Before → After: `y = Einsum<equation = "ij,jk->ik">(a, b)` of int32 → `y =
ReduceSum(Mul(Unsqueeze(a), Unsqueeze(b)), [j])`
Leaves alone: unknown ranks, ellipses of different length or that the result lacks, a letter twice in one factor, and
more than 4M products, where a free size counts as 256.
Numerics: exact: the sums wrap around as the original's do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import chain

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.passes.ops.sums import LARGEST, elements, whole_sum
from surgery.passes.tensorrt.number_types.einsum_letters import lower_case
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

INTEGERS = ("int32", "int64")
Labels = list[str]
Dims = Sequence[int | str | None]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Einsum"):
        kind = node.inputs[0].dtype
        if kind is None or np.dtype(kind).name not in INTEGERS:
            continue
        dims = labels(lower_case(text(node.attrs.get("equation", ""))), [tensor.shape for tensor in node.inputs])
        if dims is not None and _within(dims[0], [tensor.shape for tensor in node.inputs]):
            yield finding("Einsum multiplies integers", node, partial(rewrite, graph, node, context, *dims))


def labels(equation: str, shapes: Sequence[Dims | None]) -> tuple[list[Labels], Labels] | None:
    """A label for every dim of the factors and of the result; None where they are not known."""
    left, arrow, right = equation.partition("->")
    factors = left.split(",")
    if not arrow or len(factors) != len(shapes) or any(shape is None for shape in shapes):
        return None
    counts = {
        len(shape or ()) - len(factor.replace("...", ""))
        for factor, shape in zip(factors, shapes, strict=True)
        if "..." in factor
    }
    if len(counts) > 1 or min(counts, default=0) < 0 or ("..." in left) != ("..." in right):
        return None
    found = [_labels(factor, max(counts, default=0)) for factor in (*factors, right)]
    return found[:-1], found[-1]


def _labels(factor: str, count: int) -> Labels:
    """The letters, and a number for each of the `count` dims of an ellipsis."""
    before, dots, after = factor.partition("...")
    return [*before, *(map(str, range(count)) if dots else ()), *after]


def _within(factors: list[Labels], shapes: Sequence[Dims]) -> bool:
    """Whether every label stands once in a factor, its sizes agree, and the product of the sizes is small."""
    sizes: dict[str, int | str | None] = {}
    for letters, shape in zip(factors, shapes, strict=True):
        if len(set(letters)) != len(letters) or len(letters) != len(shape):
            return False
        for letter, size in zip(letters, shape, strict=True):
            known = sizes.get(letter, 1)
            if isinstance(known, int) and isinstance(size, int) and 1 not in (known, size) and known != size:
                return False
            sizes[letter] = size if known == 1 or (isinstance(size, int) and size != 1) else known
    return elements(sizes.values()) <= LARGEST


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, factors: list[Labels], right: Labels) -> None:
    """Products of all factors with a dim for each label, then the sums."""
    build = Build(graph, node, context, PASS.code)
    summed = [letter for letter in dict.fromkeys(chain(*factors)) if letter not in right]
    order = [*right, *summed]
    spread = (_spread(build, tensor, letters, order) for letters, tensor in zip(factors, node.inputs, strict=True))
    product = reduce(partial(build, "Mul"), spread)
    axes = list(range(len(right), len(order)))
    build.replace(whole_sum(build, product, axes) if axes else product)


def _spread(build: Build, tensor: gs.Tensor, letters: Labels, order: Labels) -> gs.Tensor:
    """The factor with its labels in this order, and dims of one for those that it lacks."""
    there = [letter for letter in order if letter in letters]
    perm = [letters.index(letter) for letter in there]
    moved = tensor if perm == sorted(perm) else build("Transpose", tensor, perm=perm)
    missing = [place for place, letter in enumerate(order) if letter not in letters]
    return build.unsqueeze(moved, *missing) if missing else moved


PASS = Pass(code="SG192", name="einsum-of-integers", find=find, exact=True, kind="replace", feature="int-gemm")
