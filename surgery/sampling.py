"""Interpolation weights computed in the graph from a runtime scale, after ONNX's definition of Resize."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build


def position(build: Build, size: int, out: int, scale: gs.Tensor, place: tuple[int, int]) -> gs.Tensor:
    """float32[out]: where in an input of `size` each output element lies; `place` of how many axes, for the region."""
    mode = build.node.attrs.get("coordinate_transformation_mode", "half_pixel")
    index = np.arange(out, dtype=np.float32)
    if mode == "tf_crop_and_resize":
        number, count = place
        first, last = (build("Gather", build.node.inputs[1], build.ints(at)) for at in (number, number + count))
        if out == 1:
            return build("Mul", build("Add", first, last), np.full(1, 0.5 * (size - 1), np.float32))
        step = build("Mul", build("Sub", last, first), np.float32((size - 1) / (out - 1)))
        return build("Add", build("Mul", first, np.float32(size - 1)), build("Mul", step, index))
    if mode == "align_corners":
        # The length is the scale times the size, not yet rounded.
        length = build("Sub", build("Mul", scale, np.float32(size)), np.float32(1))
        return (
            build("Div", build.constant(index * (size - 1), np.float32), length)
            if out > 1
            else build.constant([0.0], np.float32)
        )
    if mode == "asymmetric":
        return build("Div", build.constant(index), scale)
    middle = build("Sub", build("Div", build.constant(index + 0.5, np.float32), scale), np.float32(0.5))
    if mode == "pytorch_half_pixel" and out == 1:
        return build.constant([-0.5], np.float32)
    if mode == "half_pixel_symmetric":
        adjustment = build("Div", build.constant(out, np.float32), build("Mul", scale, np.float32(size)))
        offset = build("Mul", build("Sub", np.float32(1), adjustment), np.float32(size / 2))
        return build("Add", middle, offset)
    return middle


def nearest(build: Build, at: gs.Tensor, size: int) -> gs.Tensor:
    """int64: the nearest elements."""
    mode = build.node.attrs.get("nearest_mode", "round_prefer_floor")
    if mode == "round_prefer_floor":
        whole = build("Ceil", build("Sub", at, np.float32(0.5)))
    elif mode == "round_prefer_ceil":
        whole = build("Floor", build("Add", at, np.float32(0.5)))
    else:
        whole = build("Floor" if mode == "floor" else "Ceil", at)
    return build.cast(build("Clip", whole, np.float32(0), np.float32(size - 1)), np.int64)


def weights(build: Build, at: gs.Tensor, size: int, out: int, scale: gs.Tensor) -> gs.Tensor:
    """float32[out, size]: linear or cubic weights; those beyond the edge go to the edge, or are left out."""
    attributes = build.node.attrs
    antialias = bool(attributes.get("antialias", 0))
    cubic = attributes.get("mode") == "cubic"
    reach = (2 if cubic else 1) * (int(np.ceil(size / out)) + 1 if antialias else 1) + 2
    places = np.arange(-reach, size + reach, dtype=np.float32)
    if not cubic and not antialias:
        at = build("Clip", at, np.float32(0), np.float32(size - 1))
    gap = build("Abs", build("Sub", build.unsqueeze(at, 1), places[None]))
    if antialias:
        gap = build("Mul", gap, build("Min", scale, np.float32(1)))
    table = cubic_kernel(build, gap) if cubic else build("Relu", build("Sub", np.float32(1), gap))
    inside = np.zeros((len(places), size), np.float32)
    outside_too = not attributes.get("exclude_outside", 0)
    for row, place in enumerate(places.astype(int)):
        if 0 <= place < size or outside_too:
            inside[row, int(np.clip(place, 0, size - 1))] = 1
    table = build("MatMul", table, inside)
    if antialias or not outside_too:
        table = build("Div", table, build.axes("ReduceSum", table, [1], keepdims=1))
    return table


def cubic_kernel(build: Build, gap: gs.Tensor) -> gs.Tensor:
    """Keys' kernel of the distance, with `cubic_coeff_a` (R. Keys, 1981)."""
    a = float(build.node.attrs.get("cubic_coeff_a", -0.75))

    def polynomial(*coefficients: float) -> gs.Tensor:
        total = build.constant(coefficients[0], np.float32)
        for coefficient in coefficients[1:]:
            total = build("Add", build("Mul", total, gap), np.float32(coefficient))
        return total

    near, far = polynomial(a + 2, -(a + 3), 0.0, 1.0), polynomial(a, -5 * a, 8 * a, -4 * a)
    beyond = build("Where", build("Less", gap, np.float32(2)), far, np.float32(0))
    return build("Where", build("LessOrEqual", gap, np.float32(1)), near, beyond)
