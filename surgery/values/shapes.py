"""Output shapes that follow from the contents of shape operands, and which of two shapes is more precise."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import onnx_graphsurgeon as gs

from surgery.values import polynomials
from surgery.values.operators import Contents


def same_shape(left: gs.Tensor, right: gs.Tensor) -> bool:
    """Whether two tensors have the same shape for every input."""
    if left.shape is None or right.shape is None or len(left.shape) != len(right.shape):
        return False
    pairs = zip(polynomials.of_dims(left.shape, left), polynomials.of_dims(right.shape, right), strict=True)
    return all(one == other for one, other in pairs)


def has_unknown_dims(tensor: gs.Tensor) -> bool:
    if not isinstance(tensor, gs.Variable):
        return False
    if tensor.shape is None:
        return True
    for dim in tensor.shape:  # noqa: SIM110 - called so often that a generator costs time
        if dim is None or _made_up(dim):
            return True
    return False


def _made_up(dim: Any) -> bool:
    """Whether inference made up this dim's name, which says nothing about its size."""
    return isinstance(dim, str) and dim.startswith("unk__")


def is_more_precise(new: list[Any], old: Any) -> bool:
    """Whether `new` gives a dim that `old` leaves open, and contradicts none of its sizes."""
    if old is None:
        return True
    if len(old) != len(new):
        return False
    gained = any((was is None or _made_up(was)) and dim is not None for was, dim in zip(old, new, strict=True))
    lost = any(isinstance(was, int) and was != dim for was, dim in zip(old, new, strict=True))
    return gained and not lost


def _dim(value: Any) -> int | str | None:
    """A value as a dim: a number, the name of a dim, or None for any other polynomial."""
    if polynomials.known(value):
        return int(value) if value >= 0 else None
    ((names, factor), *more) = value.terms.items()
    plain = factor == 1 and len(names) == 1 and not more and names[0][0] != "?" and not names[0].startswith("dim ")
    return names[0] if plain else None


def _reshaped(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    source, wanted = node.inputs[0], operands[1]
    if wanted.ndim != 1 or node.attrs.get("allowzero"):
        return None
    own = polynomials.of_dims(source.shape, source) if source.shape is not None else None
    dims = list(wanted)
    for place, dim in enumerate(dims):
        if polynomials.known(dim) and dim == 0:
            dims[place] = own[place] if own is not None and place < len(own) else polynomials.unknown()
    holes = [place for place, dim in enumerate(dims) if polynomials.known(dim) and dim == -1]
    if len(holes) == 1 and own is not None:
        given = reduce(polynomials.multiply, [dim for place, dim in enumerate(dims) if place not in holes], 1)
        dims[holes[0]] = polynomials.divide(reduce(polynomials.multiply, own, 1), given)
    return [_dim(dim) for dim in dims]


def _expanded(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    source, wanted = node.inputs[0], operands[1]
    if source.shape is None or wanted.ndim != 1:
        return None
    own = polynomials.of_dims(source.shape, source)
    rank = max(len(own), wanted.size)
    left = [1] * (rank - len(own)) + own
    right = [1] * (rank - wanted.size) + list(wanted)
    return [_dim(_broadcast(one, other)) for one, other in zip(left, right, strict=True)]


def _broadcast(left: Any, right: Any) -> Any:
    if polynomials.known(left) and left == 1:
        return right
    if (polynomials.known(right) and right == 1) or left == right:
        return left
    known = [value for value in (left, right) if polynomials.known(value)]
    return known[0] if known and known[0] > 1 else polynomials.unknown()


def _tiled(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    source, wanted = node.inputs[0], operands[1]
    if source.shape is None or wanted.shape != (len(source.shape),):
        return None
    own = polynomials.of_dims(source.shape, source)
    return [_dim(polynomials.multiply(dim, times)) for dim, times in zip(own, wanted, strict=True)]


def _filled(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    return [_dim(dim) for dim in operands[0]] if operands[0].ndim == 1 else None


def _counted(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    start, limit, delta = (operand.reshape(-1)[0] for operand in operands)
    return (
        [_dim(limit)] if polynomials.known(start) and start == 0 and polynomials.known(delta) and delta == 1 else None
    )


SHAPE_RULES: dict[str, tuple[tuple[int, ...], Callable[[gs.Node, list[Contents]], list[Any] | None]]] = {
    "Reshape": ((1,), _reshaped),
    "Expand": ((1,), _expanded),
    "Tile": ((1,), _tiled),
    "ConstantOfShape": ((0,), _filled),
    "Range": ((0, 1, 2), _counted),
}


def shape_from(node: gs.Node, operands: list[Contents]) -> list[Any] | None:
    """The shape that a node of `SHAPE_RULES` gives, with names of dims where operands hold them, else None."""
    places, rule = SHAPE_RULES[node.op]
    if any(place >= len(operands) or operands[place] is None for place in places):
        return None
    return rule(node, operands)


def chosen_shapes(bodies: list[gs.Graph]) -> list[list[Any] | None]:
    """What both branches of an If agree on, for each output."""
    branches = [body.outputs for body in bodies]
    if len(branches) != 2 or len(branches[0]) != len(branches[1]):
        return []
    return [_agreed(one.shape, other.shape) for one, other in zip(*branches, strict=True)]


def _agreed(one: Any, other: Any) -> list[Any] | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return [left if left == right else None for left, right in zip(one, other, strict=True)]
