"""Numbers that are rounded to a step and clipped, and were so before with the same step and bounds.

What it does: removes the second rounding. What lies between the two may only move elements. Whole numbers that are
multiplied by a step, divided by it and rounded are read as they are.
Why: onnxruntime's quantizer writes a QuantizeLinear and a DequantizeLinear before and behind every operator. Where
TensorRT cannot take them, each pair has become a division, Round, Greater, Where, Min and a multiplication.
Before → After: `a = q(x); b = Transpose(a); y = q(b)` → `a = q(x); y = Transpose(a)` with
`q(v) = Min(Where(Round(v / s) > l, Round(v / s), l), h) * s`
Leaves alone: other steps or bounds, steps for each channel, steps that are not normal float32 numbers or whose
multiples are infinite; operators between that compute or add elements; a second rounding that makes an output of the
graph.
Numerics: exact: `k * s / s` is rounded by less than a half while `k` has less than 22 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_uses
from surgery.graph.walk import producer
from surgery.passes.ops.whole_numbers import whole
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 16  # of a bound
# Operators whose results hold nothing but elements of the first input.
MOVES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Gather", "Expand", "Tile")


@dataclass(frozen=True)
class Rounding:
    """`source` divided by `step`, rounded half to even, clipped to the bounds and multiplied by `step`."""

    source: gs.Tensor
    step: bytes
    low: bytes
    high: bytes

    @property
    def parameters(self) -> tuple[bytes, bytes, bytes]:
        return self.step, self.low, self.high


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Mul"):
        result = node.outputs[0]
        second = _rounding(node, context) if result.outputs and not context.is_output(graph, result) else None
        maker = None if second is None else _origin(second.source)
        first = None if maker is None else _rounding(maker, context)
        if second is not None and first is not None and first.parameters == second.parameters:
            message = f"'{second.source.name}' holds multiples of this step already"
            yield finding(message, node, partial(replace_uses, result, second.source))
    yield from _rounded_back(graph, context)


def _rounded_back(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    """`Round(w * step / step)` is `w` for whole numbers `w`."""
    for node in context.nodes(graph, "Round"):
        result, quotient = node.outputs[0], producer(node.inputs[0], "Div")
        product = None if quotient is None else producer(quotient.inputs[0], "Mul")
        step, numbers = _with_number(product, context)
        if (
            quotient is None
            or step is None
            or numbers is None
            or not result.outputs
            or context.is_output(graph, result)
        ):
            continue
        divisor, known = _number(quotient.inputs[1], context), whole(numbers, context)
        same = divisor is not None and divisor.tobytes() == step.tobytes()
        if same and known is not None and known.reach <= LARGEST and _is_normal(step):
            message = f"'{numbers.name}' holds whole numbers of this step already"
            yield finding(message, node, partial(replace_uses, result, numbers))


def _origin(tensor: gs.Tensor) -> gs.Node | None:
    """The Mul whose elements the tensor holds, moved by any operators between."""
    node = producer(tensor, "Mul", *MOVES)
    while node is not None and node.op != "Mul":
        node = producer(node.inputs[0], "Mul", *MOVES) if node.inputs else None
    return node


def _rounding(node: gs.Node, context: Context) -> Rounding | None:
    step, clipped = _with_number(node, context)
    high, floor = _with_number(_maker(clipped, "Min"), context)
    choice = _maker(floor, "Where")
    test = None if choice is None else producer(choice.inputs[0], "Greater")
    if step is None or high is None or choice is None or test is None or test.inputs[0] is not choice.inputs[1]:
        return None
    bounds = [_number(tensor, context) for tensor in (choice.inputs[2], test.inputs[1])]
    rounded = producer(choice.inputs[1], "Round")
    quotient = None if rounded is None else producer(rounded.inputs[0], "Div")
    divisor = None if quotient is None else _number(quotient.inputs[1], context)
    if quotient is None or divisor is None or bounds[0] is None or bounds[1] is None:
        return None
    same = divisor.tobytes() == step.tobytes() and bounds[0].tobytes() == bounds[1].tobytes()
    if not same or not _is_exact(step, bounds[0], high):
        return None
    return Rounding(quotient.inputs[0], step.tobytes(), bounds[0].tobytes(), high.tobytes())


def _is_exact(step: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether every multiple of the step within the bounds is divided and rounded to the same multiple again."""
    integers = low == np.rint(low) and high == np.rint(high) and -LARGEST <= low <= 0 < high <= LARGEST
    return bool(integers and _is_normal(step))


def _is_normal(step: np.ndarray) -> bool:
    """Whether the step is a normal number, and its largest multiple finite."""
    finite = float(step) * LARGEST < float(np.finfo(np.float32).max)
    return bool(np.finfo(np.float32).tiny <= step and finite)


def _with_number(node: gs.Node | None, context: Context) -> tuple[np.ndarray | None, gs.Tensor | None]:
    """The constant operand of a node with two operands, and the other one."""
    if node is None or len(node.inputs) != 2:
        return None, None
    for place in (0, 1):
        value = _number(node.inputs[place], context)
        if value is not None:
            return value, node.inputs[1 - place]
    return None, None


def _number(tensor: gs.Tensor, context: Context) -> np.ndarray | None:
    """The value of a float32 constant without dims."""
    value = context.constant(tensor)
    return value if value is not None and value.dtype == np.float32 and value.ndim == 0 else None


def _maker(tensor: gs.Tensor | None, op: str) -> gs.Node | None:
    return None if tensor is None else producer(tensor, op)


PASS = Pass(code="SG026", name="repeated-quantization", find=find, exact=True)
