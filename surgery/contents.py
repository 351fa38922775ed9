"""What small integer tensors hold, as far as it is known for every input: numbers and dims (see `surgery.symbols`).

Contents are NumPy arrays of objects of the tensor's shape. Only operators that the arithmetic of shapes is made of are
followed, over at most `LIMIT` elements; int64 and bool follow symbols, other integer types only numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery import shapes, symbols
from surgery.context import Context
from surgery.exporter import nbytes
from surgery.importer import snapshot

LIMIT = 256
Contents = Any  # np.ndarray of objects, or None
Arguments = list[Any]


def contents(graph: gs.Graph, context: Context) -> dict[int, Contents]:
    """Contents of the tensors this graph makes, by id; those of which nothing is known are missing."""
    return context.memo(f"contents {id(graph)}", lambda: _evaluate(graph, context))  # type: ignore[no-any-return]


def of(tensor: gs.Tensor, found: dict[int, Contents]) -> Contents:
    """Contents of one tensor: of a small integer constant, or as found; else None."""
    if isinstance(tensor, gs.Constant):
        if tensor.dtype is None or np.dtype(tensor.dtype).kind not in "iub" or nbytes(tensor) > LIMIT * 8:
            return None
        return np.asarray(tensor.values).astype(object)
    return found.get(id(tensor))


def numbers(value: Contents) -> list[int] | None:
    """The elements as plain ints, or None where one is unknown."""
    if value is None or not all(symbols.known(item) for item in value.flat):
        return None
    return [int(item) for item in value.flat]


def _evaluate(graph: gs.Graph, context: Context) -> dict[int, Contents]:
    found: dict[int, Contents] = {}
    improved: set[int] = set()
    for node in graph.nodes:
        _improve(node, found, improved, context)
        rule = RULES.get(node.op) if not node.domain else None
        if rule is None or not node.outputs:
            continue
        try:
            results = rule(node, [of(tensor, found) for tensor in node.inputs], context)
        except (ValueError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError):
            continue
        for tensor, value in zip(node.outputs, results if isinstance(results, list) else [results], strict=False):
            if value is not None and value.size <= LIMIT and _fits(tensor, value):
                found[id(tensor)] = value
    return found


def _improve(node: gs.Node, found: dict[int, Contents], improved: set[int], context: Context) -> None:
    """Set the shapes of outputs that follow from contents found here, or from a shape that was set so."""
    if node.domain or not any(_open(out) for out in node.outputs):
        return
    if node.op in SHAPED and len(node.inputs) > 1:
        wanted = of(node.inputs[1], found)
        dims = None if wanted is None else SHAPED[node.op](node, wanted)
        results = [dims]
    elif any(id(tensor) in improved for tensor in node.inputs) and not _holds_graph(node):
        data = {p: _numeric(t, of(t, found)) for p, t in enumerate(node.inputs) if numbers(of(t, found)) is not None}
        results = shapes.infer_node(node, context.opsets, data)
    else:
        return
    for tensor, shape in zip(node.outputs, results, strict=False):
        if shape is not None and isinstance(tensor, gs.Variable) and _better(shape, tensor.shape):
            tensor.shape = shape
            tensor.snapshot = snapshot(tensor)
            improved.add(id(tensor))


def _open(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Variable) and (
        tensor.shape is None or any(dim is None or _made_up(dim) for dim in tensor.shape)
    )


def _made_up(dim: Any) -> bool:
    """Whether inference gave this dim a name of its own, knowing nothing of it."""
    return isinstance(dim, str) and dim.startswith("unk__")


def _better(new: list[Any], old: Any) -> bool:
    """Whether a shape says more than the one before, and nothing against it."""
    if old is None:
        return True
    if len(old) != len(new):
        return False
    gained = any((was is None or _made_up(was)) and dim is not None for was, dim in zip(old, new, strict=True))
    lost = any(isinstance(was, int) and was != dim for was, dim in zip(old, new, strict=True))
    return gained and not lost


def _holds_graph(node: gs.Node) -> bool:
    return any(isinstance(value, gs.Graph) for value in node.attrs.values())


def _numeric(tensor: gs.Tensor, value: Contents) -> Any:
    return np.asarray(numbers(value), dtype=np.dtype(tensor.dtype)).reshape(value.shape)


def _dim(value: Any) -> int | str | None:
    """A value as a dim: a number, the name it is, or None."""
    if symbols.known(value):
        return int(value) if value >= 0 else None
    ((names, factor), *more) = value.terms.items()
    plain = factor == 1 and len(names) == 1 and not more and names[0][0] != "?" and not names[0].startswith("dim ")
    return names[0] if plain else None


def _reshaped(node: gs.Node, wanted: Contents) -> list[Any] | None:
    source = node.inputs[0]
    if wanted.ndim != 1 or node.attrs.get("allowzero"):
        return None
    own = symbols.of_dims(source.shape, source) if source.shape is not None else None
    dims = list(wanted)
    for place, dim in enumerate(dims):
        if symbols.known(dim) and dim == 0:
            dims[place] = own[place] if own is not None and place < len(own) else symbols.unknown()
    holes = [place for place, dim in enumerate(dims) if symbols.known(dim) and dim == -1]
    if len(holes) == 1 and own is not None:
        given = reduce(symbols.multiply, [dim for place, dim in enumerate(dims) if place not in holes], 1)
        dims[holes[0]] = symbols.divide(reduce(symbols.multiply, own, 1), given)
    return [_dim(dim) for dim in dims]


def _expanded(node: gs.Node, wanted: Contents) -> list[Any] | None:
    source = node.inputs[0]
    if source.shape is None or wanted.ndim != 1:
        return None
    own = symbols.of_dims(source.shape, source)
    rank = max(len(own), wanted.size)
    left = [1] * (rank - len(own)) + own
    right = [1] * (rank - wanted.size) + list(wanted)
    return [_dim(_broadcast(one, other)) for one, other in zip(left, right, strict=True)]


def _broadcast(left: Any, right: Any) -> Any:
    if symbols.known(left) and left == 1:
        return right
    if (symbols.known(right) and right == 1) or left == right:
        return left
    known = [value for value in (left, right) if symbols.known(value)]
    return known[0] if known and known[0] > 1 else symbols.unknown()


def _fits(tensor: gs.Tensor, value: Contents) -> bool:
    """Whether the values are in the range of the tensor's type; symbols only of int64 and bool."""
    if tensor.dtype is None:
        return False
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "b":
        return True
    if dtype.kind not in "iu":
        return False
    span = np.iinfo(dtype)
    return all(span.min <= v <= span.max if symbols.known(v) else dtype == np.int64 for v in value.flat)


def _ints(value: Contents) -> list[int]:
    plain = numbers(value)
    if plain is None:
        raise ValueError("not known")
    return plain


def _array(values: list[Any]) -> Contents:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _each(operation: Callable[..., Any], *operands: Contents) -> Contents:
    if any(operand is None for operand in operands):
        return None
    arrays = np.broadcast_arrays(*operands)
    flat = _array([operation(*items) for items in zip(*(array.flat for array in arrays), strict=True)])
    return flat.reshape(arrays[0].shape)


def _elementwise(operation: Callable[..., Any]) -> Callable[..., Contents]:
    return lambda node, args, context: _each(operation, *args)


def _shape(node: gs.Node, args: Arguments, context: Context) -> Contents:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    dims = symbols.of_dims(shape, node.inputs[0])
    return _array(dims[node.attrs.get("start", 0) : node.attrs.get("end", len(dims))])


def _size(node: gs.Node, args: Arguments, context: Context) -> Contents:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    total = reduce(symbols.multiply, symbols.of_dims(shape, node.inputs[0]), 1)
    return _array([total]).reshape(())


def _constant(node: gs.Node, args: Arguments, context: Context) -> Contents:
    value = context.constant(node.outputs[0])
    return None if value is None or value.dtype.kind not in "iub" or value.size > LIMIT else value.astype(object)


def _gather(node: gs.Node, args: Arguments, context: Context) -> Contents:
    if args[0] is None:
        return None
    index = np.asarray(_ints(args[1]), dtype=np.int64).reshape(args[1].shape)
    taken = np.take(args[0], index, axis=node.attrs.get("axis", 0))
    return taken if isinstance(taken, np.ndarray) else _array([taken]).reshape(())


def _slice(node: gs.Node, args: Arguments, context: Context) -> Contents:
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
        start, end, size = starts[place], ends[place], args[0].shape[axis]
        floor = -1 if step < 0 else 0
        end = max(end + size, floor) if end < 0 else end
        cuts[axis] = slice(start, None if step < 0 and end < 0 else end, step)
    return args[0][tuple(cuts)]


def _concat(node: gs.Node, args: Arguments, context: Context) -> Contents:
    parts = [arg if arg is not None else _unread(tensor) for arg, tensor in zip(args, node.inputs, strict=True)]
    return None if any(part is None for part in parts) else np.concatenate(parts, axis=node.attrs.get("axis", 0))


def _unread(tensor: gs.Tensor) -> Contents:
    """Unknown values in a tensor of known small shape."""
    shape = Context.static_shape(tensor)
    if shape is None or len(shape) != 1 or shape[0] > LIMIT:
        return None
    return _array([symbols.symbol(f"?{id(tensor)}:{place}") for place in range(shape[0])])


def _axes(node: gs.Node, args: Arguments) -> list[int] | None:
    if "axes" in node.attrs:
        return list(node.attrs["axes"])
    return _ints(args[1]) if len(args) > 1 and not node.inputs[1].is_empty() else None


def _unsqueeze(node: gs.Node, args: Arguments, context: Context) -> Contents:
    value = args[0] if args[0] is not None else _unread_scalar(node.inputs[0])
    axes = _axes(node, args)
    return None if value is None or axes is None else np.expand_dims(value, tuple(axes))


def _unread_scalar(tensor: gs.Tensor) -> Contents:
    if tensor.shape is None or len(tensor.shape):
        return None
    return _array([symbols.symbol(f"?{id(tensor)}")]).reshape(())


def _squeeze(node: gs.Node, args: Arguments, context: Context) -> Contents:
    axes = _axes(node, args)
    return None if args[0] is None else np.squeeze(args[0], None if axes is None else tuple(axes))


def _reshape(node: gs.Node, args: Arguments, context: Context) -> Contents:
    if args[0] is None or node.attrs.get("allowzero"):
        return None
    dims = [args[0].shape[place] if dim == 0 else dim for place, dim in enumerate(_ints(args[1]))]
    return args[0].reshape(dims)


def _same(node: gs.Node, args: Arguments, context: Context) -> Contents:
    return args[0]


def _cast(node: gs.Node, args: Arguments, context: Context) -> Contents:
    source, target = node.inputs[0].dtype, node.outputs[0].dtype
    if args[0] is None or source is None or target is None:
        return None
    if np.dtype(target).kind == "b":
        return _each(lambda v: bool(v) if symbols.known(v) else symbols.unknown(), args[0])
    return _each(lambda v: int(v) if symbols.known(v) else v, args[0]) if np.dtype(target).kind in "iu" else None


def _fill(node: gs.Node, args: Arguments, context: Context) -> Contents:
    value = node.attrs.get("value")
    filler = np.asarray(value.values).reshape(-1)[0] if isinstance(value, gs.Constant) else None
    shape = _ints(args[0])
    if filler is None or filler.dtype.kind not in "iub" or int(np.prod(shape)) > LIMIT:
        return None
    return np.full(shape, filler.item(), dtype=object)


def _range(node: gs.Node, args: Arguments, context: Context) -> Contents:
    start, limit, delta = (_ints(arg)[0] for arg in args)
    return None if (limit - start) // delta > LIMIT else _array(list(range(start, limit, delta)))


def _expand(node: gs.Node, args: Arguments, context: Context) -> Contents:
    if args[0] is None:
        return None
    shape = np.broadcast_shapes(args[0].shape, tuple(_ints(args[1])))
    return None if int(np.prod(shape)) > LIMIT else np.broadcast_to(args[0], shape)


def _split(node: gs.Node, args: Arguments, context: Context) -> Any:
    if args[0] is None:
        return None
    axis, parts = node.attrs.get("axis", 0), len(node.outputs)
    sizes = node.attrs.get("split") or (_ints(args[1]) if len(args) > 1 and not node.inputs[1].is_empty() else None)
    if sizes is None:
        width = -(-args[0].shape[axis] // parts)
        sizes = [width] * (parts - 1)
    return np.split(args[0], np.cumsum(sizes)[: parts - 1], axis=axis)


def _reduce(operation: Callable[..., Any], start: int) -> Callable[..., Contents]:
    def rule(node: gs.Node, args: Arguments, context: Context) -> Contents:
        axes = _axes(node, args)
        if args[0] is None or args[0].ndim != 1 or axes not in (None, [0], [-1]):
            return None
        if axes is None and node.attrs.get("noop_with_empty_axes"):
            return args[0]
        total = _array([reduce(operation, args[0].flat, start)])
        return total if node.attrs.get("keepdims", 1) else total.reshape(())

    return rule


def _fold(operation: Callable[..., Any]) -> Callable[..., Contents]:
    return lambda node, args, context: reduce(lambda left, right: _each(operation, left, right), args)


def _mod(node: gs.Node, args: Arguments, context: Context) -> Contents:
    return None if node.attrs.get("fmod") else _each(symbols.remainder, *args)


def _truth(operation: Callable[[bool, bool], bool], decisive: bool) -> Callable[..., Contents]:
    def both(left: Any, right: Any) -> Any:
        if symbols.known(left) and symbols.known(right):
            return operation(bool(left), bool(right))
        return decisive if left is decisive or right is decisive else symbols.unknown()

    return _elementwise(both)


def _not(value: Any) -> Any:
    return not value if symbols.known(value) else symbols.unknown()


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
    "Add": _elementwise(symbols.add),
    "Sub": _elementwise(symbols.subtract),
    "Mul": _elementwise(symbols.multiply),
    "Div": _elementwise(symbols.divide),
    "Mod": _mod,
    "Neg": _elementwise(lambda value: symbols.subtract(0, value)),
    "Max": _fold(symbols.largest),
    "Min": _fold(symbols.smallest),
    "Equal": _elementwise(symbols.equal),
    "Less": _elementwise(symbols.less),
    "Greater": _elementwise(lambda left, right: symbols.less(right, left)),
    "Not": _elementwise(_not),
    "And": _truth(lambda left, right: left and right, False),
    "Or": _truth(lambda left, right: left or right, True),
    "Where": _elementwise(symbols.select),
    "ReduceProd": _reduce(symbols.multiply, 1),
    "ReduceSum": _reduce(symbols.add, 0),
}
SHAPED: dict[str, Callable[[gs.Node, Contents], list[Any] | None]] = {"Reshape": _reshaped, "Expand": _expanded}
