"""Eight-bit results rounded where onnxruntime's kernels round them: ties then fall on the same side.

QuantizeLinear rounds `value / scale` and adds the zero point; most kernels of com.microsoft round the sum of both, in
float32. With two scales that are alike a quarter of the results of a pool are ties.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import RANGES, requantized, single_number

TIE = 1e-3  # steps: float32 moves a result of 256 steps by less
UNITS = (0, 1, -1, 2, -2)  # in the last place, by which a scale may be moved
MOST_TIES = 4096  # with more results near a tie, moved scales do not help


def combined(build: Build, op: str, left: gs.Tensor, right: gs.Tensor) -> gs.Tensor:
    """The product or quotient of two scalars in float32, computed at once where both are constants."""
    values = [build.context.constant(tensor) for tensor in (left, right)]
    if any(value is None for value in values):
        made: gs.Tensor = build(op, left, right)
        return made
    one, other = (np.asarray(value, np.float32).reshape(()) for value in values)
    return build.constant(one * other if op == "Mul" else one / other, np.float32)


def rounded_with_zero(build: Build, steps: gs.Tensor, scale: gs.Tensor, zero: gs.Tensor) -> gs.Tensor:
    """`round(steps + zero)`, limited to the type of `zero`, by a QuantizeLinear."""
    shift = build.cast(build.cast(zero, np.int32), np.float32)
    return unshifted(build, build("Add", steps, shift), scale, zero)


def unshifted(build: Build, steps: gs.Tensor, scale: gs.Tensor, zero: gs.Tensor) -> gs.Tensor:
    """`round(steps)`, which has the zero point in it, limited to the type of `zero`, by a QuantizeLinear."""
    shift = build.cast(build.cast(zero, np.int32), np.float32)
    return rounded(build, build("Sub", build("Round", steps), shift), scale, zero)


def rounded(build: Build, steps: gs.Tensor, scale: gs.Tensor, zero: gs.Tensor) -> gs.Tensor:
    """`steps + zero` for whole numbers of steps, limited to the type of `zero`, by a QuantizeLinear."""
    if single_number(zero, build.context) is not None:
        return requantized(build, steps, build.constant(1.0, np.float32), zero)
    return requantized(build, build("Mul", steps, scale), scale, zero)


class Sum(NamedTuple):
    """How to write a sum.

    scales     of both terms and of the result; with `shift` both terms are unsigned or signed numbers as they stand,
               scaled to steps of the result
    with_zero  whether to round with the zero point
    shift      what is added to the scaled terms: the zero points of all three in steps of the result
    """

    scales: Sequence[Any]
    with_zero: bool = False
    shift: Any = None


def form_of_sum(scales: Sequence[np.ndarray], zeros: Sequence[np.ndarray]) -> Sum | None:
    """The form that gives what onnxruntime's kernel gives for all pairs of eight-bit numbers; None if none was found.

    Args:
        scales: float32 scalars of both terms and of the result.
        zeros: their zero points, which have the type of the terms.
    """
    low, high = RANGES[zeros[0].dtype.name]
    points = [int(zero) for zero in zeros]
    left, right = _near_ties(scales, points, low, high)
    shift = _shift(scales, points)
    wanted = np.clip(_kernel_sum(left, right, scales, shift), low, high)
    for form in _forms(scales, shift, len(left)):
        if np.array_equal(wanted, np.clip(_written_sum(left, right, form, points), low, high)):
            return form
    return None


def _near_ties(scales: Sequence[np.ndarray], points: list[int], low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs whose sum is near a tie: all others round alike in every form."""
    numbers = np.arange(low, high + 1)
    left, right = (grid.reshape(-1) for grid in np.meshgrid(numbers, numbers, indexing="ij"))
    first, second, last = (scale.astype(np.float64) for scale in scales)
    exact = ((left - points[0]) * first + (right - points[1]) * second) / last + points[2]
    near = np.abs(exact - np.floor(exact) - 0.5) < TIE
    return left[near], right[near]


def _forms(scales: Sequence[np.ndarray], shift: np.ndarray, ties: int) -> Iterator[Sum]:
    """Forms to try, the plainest first; scales are moved only where few sums are near a tie."""
    first, second = (np.asarray(scale / scales[2], np.float32) for scale in scales[:2])
    for units in product(UNITS, repeat=3) if ties <= MOST_TIES else [(0, 0, 0)]:
        moved = [_moved(scale, count) for scale, count in zip(scales, units, strict=True)]
        yield Sum(moved)
        yield Sum(moved, with_zero=True)
        ratios = [_moved(ratio, count) for ratio, count in zip((first, second), units, strict=False)]
        yield Sum([*ratios, scales[2]], shift=_moved(shift, units[2]))


def _moved(value: np.ndarray, units: int) -> np.ndarray:
    return np.asarray(value + np.float32(units) * np.spacing(value), np.float32)


def _shift(scales: Sequence[np.ndarray], points: list[int]) -> np.ndarray:
    first, second = (np.float32(scale / scales[2]) for scale in scales[:2])
    return np.asarray(np.float32(points[2]) - _fused(np.float32(points[0]), first, np.float32(points[1]) * second))


def _kernel_sum(left: np.ndarray, right: np.ndarray, scales: Sequence[np.ndarray], shift: np.ndarray) -> np.ndarray:
    """What the kernel computes with fused multiplications and additions."""
    first, second = (np.float32(scale / scales[2]) for scale in scales[:2])
    rest = _fused(right.astype(np.float32), second, shift)
    return np.asarray(np.rint(_fused(left.astype(np.float32), first, rest)))


def _fused(left: Any, right: Any, term: Any) -> Any:
    return np.asarray(np.float64(left) * np.float64(right) + np.float64(term)).astype(np.float32)


def _written_sum(left: np.ndarray, right: np.ndarray, form: Sum, points: list[int]) -> np.ndarray:
    """What the nodes of a form compute."""
    first, second, last = form.scales
    if form.shift is not None:
        steps = left.astype(np.float32) * first + (right.astype(np.float32) * second + form.shift)
        return np.asarray(np.rint(steps))
    one, other = (left - points[0]).astype(np.float32), (right - points[1]).astype(np.float32)
    steps = (one * first + other * second) / last
    return np.asarray(np.rint(steps + np.float32(points[2])) if form.with_zero else np.rint(steps) + points[2])
