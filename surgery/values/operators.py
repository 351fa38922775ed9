"""The contents that each operator of shape arithmetic computes from partly known contents (`surgery.values.propagate`).

A rule takes the node and the contents of its inputs (None where unknown). It returns the contents
of the output, a list of them for several outputs, or None. If it raises, the contents are unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.nodes import constant_of, static_shape_of
from surgery.graph.protos import nbytes
from surgery.values import polynomials

LIMIT = 256
LARGEST = (2**31 - 1, 2**63 - 1)
Contents = Any  # np.ndarray of objects, or None
Arguments = list[Any]


def numbers(value: Contents) -> list[int] | None:
    """The elements as plain ints, or None where one is unknown."""
    if value is None:
        return None
    items = value.reshape(-1).tolist()
    return list(map(int, items)) if all(map(polynomials.known, items)) else None


def _ints(value: Contents) -> list[int]:
    plain = numbers(value)
    if plain is None:
        raise ValueError("not known")
    return plain


def _array(values: list[Any]) -> Contents:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _by_element(operation: Callable[..., Any], *operands: Contents) -> Contents:
    if any(operand is None for operand in operands):
        return None
    arrays = np.broadcast_arrays(*operands)
    flat = _array([operation(*items) for items in zip(*(array.flat for array in arrays), strict=True)])
    return flat.reshape(arrays[0].shape)


def _elementwise(operation: Callable[..., Any]) -> Callable[..., Contents]:
    return lambda node, args: _by_element(operation, *args)


def _shape(node: gs.Node, args: Arguments) -> Contents:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    dims = polynomials.of_dims(shape, node.inputs[0])
    return _array(dims[node.attrs.get("start", 0) : node.attrs.get("end", len(dims))])


def _size(node: gs.Node, args: Arguments) -> Contents:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    total = reduce(polynomials.multiply, polynomials.of_dims(shape, node.inputs[0]), 1)
    return _array([total]).reshape(())


def _constant(node: gs.Node, args: Arguments) -> Contents:
    stored = node.attrs.get("value")
    if isinstance(stored, gs.Constant) and nbytes(stored) > 8 * LIMIT:
        return None  # a weight, which need not be loaded
    value = constant_of(node.outputs[0])
    return None if value is None or value.dtype.kind not in "iub" or value.size > LIMIT else value.astype(object)


def _gather(node: gs.Node, args: Arguments) -> Contents:
    if args[0] is None:
        return None
    index = np.asarray(_ints(args[1]), dtype=np.int64).reshape(args[1].shape)
    taken = np.take(args[0], index, axis=node.attrs.get("axis", 0))
    return taken if isinstance(taken, np.ndarray) else _array([taken]).reshape(())


def _slice(node: gs.Node, args: Arguments) -> Contents:
    if args[0] is None:
        return None
    if len(args) == 1:
        starts, ends, axes = node.attrs["starts"], node.attrs["ends"], node.attrs.get("axes")
        steps = None
    else:
        starts, ends = _ints(args[1]), _ints(args[2])
        axes = _ints(args[3]) if len(args) > 3 and not node.inputs[3].is_empty() else None
        steps = _ints(args[4]) if len(args) > 4 and not node.inputs[4].is_empty() else None
    cuts: list[Any] = [slice(None)] * args[0].ndim
    for place, axis in enumerate(axes if axes is not None else range(len(starts))):
        step = steps[place] if steps is not None else 1
        cuts[axis] = cut(starts[place], ends[place], step, args[0].shape[axis])
    return args[0][tuple(cuts)]


def cut(start: int, end: int, step: int, size: int) -> slice:
    """The elements that ONNX's Slice takes of an axis of `size`, with its rules of clamping.

    Raises:
        ValueError: the step is zero, or runtimes disagree: onnxruntime reads the largest number as "to the first
            element" when the step is negative, ONNX as "to the last one".
    """
    if step == 0 or (step < 0 and end in LARGEST):
        raise ValueError("bounds that runtimes read differently")
    lowest, highest = (0, size) if step > 0 else (-1, size - 1)
    first, last = (
        min(max(bound + size if bound < 0 else bound, low), highest) for bound, low in ((start, 0), (end, lowest))
    )
    return slice(first, None if last < 0 else last, step)


def _concat(node: gs.Node, args: Arguments) -> Contents:
    parts = [arg if arg is not None else _unknown_vector(tensor) for arg, tensor in zip(args, node.inputs, strict=True)]
    return None if any(part is None for part in parts) else np.concatenate(parts, axis=node.attrs.get("axis", 0))


def _unknown_vector(tensor: gs.Tensor) -> Contents:
    """One unknown value for each element of a vector of known, small size."""
    shape = static_shape_of(tensor)
    if shape is None or len(shape) != 1 or shape[0] > LIMIT:
        return None
    return _array([polynomials.symbol(f"?{id(tensor)}:{place}") for place in range(shape[0])])


def _axes(node: gs.Node, args: Arguments) -> list[int] | None:
    if "axes" in node.attrs:
        return list(node.attrs["axes"])
    return _ints(args[1]) if len(args) > 1 and not node.inputs[1].is_empty() else None


def _unsqueeze(node: gs.Node, args: Arguments) -> Contents:
    value = args[0] if args[0] is not None else _unknown_scalar(node.inputs[0])
    axes = _axes(node, args)
    return None if value is None or axes is None else np.expand_dims(value, tuple(axes))


def _unknown_scalar(tensor: gs.Tensor) -> Contents:
    if tensor.shape is None or len(tensor.shape):
        return None
    return _array([polynomials.symbol(f"?{id(tensor)}")]).reshape(())


def _squeeze(node: gs.Node, args: Arguments) -> Contents:
    axes = _axes(node, args)
    return None if args[0] is None else np.squeeze(args[0], None if axes is None else tuple(axes))


def _reshape(node: gs.Node, args: Arguments) -> Contents:
    if args[0] is None or node.attrs.get("allowzero"):
        return None
    dims = [args[0].shape[place] if dim == 0 else dim for place, dim in enumerate(_ints(args[1]))]
    return args[0].reshape(dims)


def _same(node: gs.Node, args: Arguments) -> Contents:
    return args[0]


def _cast(node: gs.Node, args: Arguments) -> Contents:
    source, target = node.inputs[0].dtype, node.outputs[0].dtype
    if args[0] is None or source is None or target is None:
        return None
    if np.dtype(target).kind == "b":
        return _by_element(lambda v: bool(v) if polynomials.known(v) else polynomials.unknown(), args[0])
    return (
        _by_element(lambda v: int(v) if polynomials.known(v) else v, args[0]) if np.dtype(target).kind in "iu" else None
    )


def _fill(node: gs.Node, args: Arguments) -> Contents:
    value = node.attrs.get("value")
    filler = np.asarray(value.values).reshape(-1)[0] if isinstance(value, gs.Constant) else None
    shape = _ints(args[0])
    if filler is None or filler.dtype.kind not in "iub" or int(np.prod(shape)) > LIMIT:
        return None
    return np.full(shape, filler.item(), dtype=object)


def _range(node: gs.Node, args: Arguments) -> Contents:
    start, limit, delta = (_ints(arg)[0] for arg in args)
    return None if (limit - start) // delta > LIMIT else _array(list(range(start, limit, delta)))


def _expand(node: gs.Node, args: Arguments) -> Contents:
    if args[0] is None:
        return None
    shape = np.broadcast_shapes(args[0].shape, tuple(_ints(args[1])))
    return None if int(np.prod(shape)) > LIMIT else np.broadcast_to(args[0], shape)


def _split(node: gs.Node, args: Arguments) -> Any:
    if args[0] is None:
        return None
    axis, parts = node.attrs.get("axis", 0), len(node.outputs)
    sizes = node.attrs.get("split") or (_ints(args[1]) if len(args) > 1 and not node.inputs[1].is_empty() else None)
    if sizes is None:
        width = -(-args[0].shape[axis] // parts)
        sizes = [width] * (parts - 1)
    return np.split(args[0], np.cumsum(sizes)[: parts - 1], axis=axis)


def _reduce(operation: Callable[..., Any], start: int) -> Callable[..., Contents]:
    def rule(node: gs.Node, args: Arguments) -> Contents:
        axes = _axes(node, args)
        if args[0] is None or args[0].ndim != 1 or axes not in (None, [0], [-1]):
            return None
        if axes is None and node.attrs.get("noop_with_empty_axes"):
            return args[0]
        total = _array([reduce(operation, args[0].flat, start)])
        return total if node.attrs.get("keepdims", 1) else total.reshape(())

    return rule


def _pairwise(operation: Callable[..., Any]) -> Callable[..., Contents]:
    return lambda node, args: reduce(lambda left, right: _by_element(operation, left, right), args)


def _mod(node: gs.Node, args: Arguments) -> Contents:
    return None if node.attrs.get("fmod") else _by_element(polynomials.remainder, *args)


def _logical(operation: Callable[[bool, bool], bool], decisive: bool) -> Callable[..., Contents]:
    def both(left: Any, right: Any) -> Any:
        if polynomials.known(left) and polynomials.known(right):
            return operation(bool(left), bool(right))
        return decisive if left is decisive or right is decisive else polynomials.unknown()

    return _elementwise(both)


def _not(value: Any) -> Any:
    return not value if polynomials.known(value) else polynomials.unknown()


RULES: dict[str, Callable[..., Any]] = {
    "Shape": _shape,
    "Size": _size,
    "Constant": _constant,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Identity": _same,
    "Cast": _cast,
    "ConstantOfShape": _fill,
    "Range": _range,
    "Expand": _expand,
    "Split": _split,
    "Add": _elementwise(polynomials.add),
    "Sub": _elementwise(polynomials.subtract),
    "Mul": _elementwise(polynomials.multiply),
    "Div": _elementwise(polynomials.divide),
    "Mod": _mod,
    "Neg": _elementwise(lambda value: polynomials.subtract(0, value)),
    "Max": _pairwise(polynomials.largest),
    "Min": _pairwise(polynomials.smallest),
    "Equal": _elementwise(polynomials.equal),
    "Less": _elementwise(polynomials.less),
    "Greater": _elementwise(lambda left, right: polynomials.less(right, left)),
    "Not": _elementwise(_not),
    "And": _logical(lambda left, right: left and right, False),
    "Or": _logical(lambda left, right: left or right, True),
    "Where": _elementwise(polynomials.select),
    "ReduceProd": _reduce(polynomials.multiply, 1),
    "ReduceSum": _reduce(polynomials.add, 0),
}
