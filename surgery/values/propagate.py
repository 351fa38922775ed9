"""The contents of small integer tensors (shapes, sizes, axes), as far as they are known for every input.

Contents are NumPy arrays of objects in the tensor's shape; an element is a number or a polynomial over dims
(`surgery.values.polynomials`). Only the operators of shape arithmetic are followed, for at most `LIMIT` elements.
int64 and bool tensors may hold polynomials, other types of 32 bits or more single dims (no model has dims of 2^31), and
smaller types only numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph import infer
from surgery.graph.protos import nbytes
from surgery.graph.read import snapshot
from surgery.graph.walk import has_reference, inner_graphs
from surgery.values import polynomials
from surgery.values.operators import LIMIT, RULES, Contents, numbers
from surgery.values.shapes import SHAPE_RULES, chosen_shapes, has_unknown_dims, is_more_precise, shape_from
from verify.model.walk import dims_of


class Memory(Protocol):
    """A cache that is emptied whenever a graph changes; the pipeline's `Context` is one."""

    opsets: dict[str, int]
    root: gs.Graph | None
    inferred: dict[Any, list[Any]]  # shapes of outputs by all that ONNX's inference reads of a node; holds for good

    def memo(self, key: str, make: Callable[[], Any]) -> Any:
        """The cached result of `make` under `key`."""


def contents(graph: gs.Graph, context: Memory) -> dict[int, Contents]:
    """Contents of the tensors that this graph makes or can see, by id; tensors with unknown contents are missing.

    The first call after a change follows the whole model, and sets the shapes that follow from contents.
    """
    known: dict[int, dict[int, Contents]] = context.memo("contents", lambda: _of_model(context))
    if id(graph) not in known:
        _evaluate(graph, {}, known, context)
    return known[id(graph)]


def _of_model(context: Memory) -> dict[int, dict[int, Contents]]:
    known: dict[int, dict[int, Contents]] = {}
    if context.root is not None:
        _evaluate(context.root, {}, known, context)
    return known


def content_of(tensor: gs.Tensor, found: dict[int, Contents]) -> Contents:
    """Contents of a small integer constant, or those in `found`; None where neither is there."""
    if isinstance(tensor, gs.Constant):
        values, kept = getattr(tensor, "contents", (None, None))
        if values is not tensor._values:
            kept = _of_constant(tensor)
            tensor.contents = (tensor._values, kept)  # `_of_constant` may have loaded the values
        return kept
    return found.get(id(tensor))


def _of_constant(tensor: gs.Constant) -> Contents:
    if tensor.dtype is None or np.dtype(tensor.dtype).kind not in "iub" or nbytes(tensor) > LIMIT * 8:
        return None
    return np.asarray(tensor.values).astype(object)


def _evaluate(
    graph: gs.Graph, outer: dict[int, Contents], known: dict[int, dict[int, Contents]], context: Memory
) -> None:
    """Evaluate one graph and, at each node, the graphs inside it; `outer` holds the contents known around the graph."""
    found = known[id(graph)] = dict(outer)
    for node in graph.nodes:
        bodies = [body for _, body in inner_graphs(node)]
        for body in bodies:
            _evaluate(body, found, known, context)
        if node.domain or has_reference(node):
            continue
        if any(map(has_unknown_dims, node.outputs)):
            _set_shapes(node, bodies, found, context)
        rule = RULES.get(node.op)
        if rule is None or not node.outputs:
            continue
        try:
            results = rule(node, [content_of(tensor, found) for tensor in node.inputs])
        except (ValueError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError):
            continue
        for tensor, value in zip(node.outputs, results if isinstance(results, list) else [results], strict=False):
            if value is not None and value.size <= LIMIT and _fits(tensor, value):
                found[id(tensor)] = value


def _set_shapes(node: gs.Node, bodies: list[gs.Graph], found: dict[int, Contents], context: Memory) -> None:
    """Set the shapes of outputs that follow from contents, or from shapes that were set before in this way.

    A tensor keeps the mark of such a shape: a pass may give it new readers, whose shapes follow from it then.

    Args:
        bodies: the graphs inside the node.
    """
    if node.op == "If":
        results = chosen_shapes(bodies) if any(_is_improved(t) for body in bodies for t in body.outputs) else []
    else:
        results = [] if bodies else _better_shapes(node, found, context)
    for tensor, shape in zip(node.outputs, results, strict=False):
        if shape is not None and isinstance(tensor, gs.Variable) and is_more_precise(shape, tensor.shape):
            tensor.shape = shape
            tensor.snapshot = snapshot(tensor)
            tensor.shape_from_contents = True


def _dims(kind: Any) -> list[int | str | None] | None:
    """Dims of an inferred type; None for the names that inference made up."""
    dims = None if kind is None or not kind.HasField("tensor_type") else dims_of(kind.tensor_type)
    return dims and [None if isinstance(dim, str) and dim.startswith("unk__") else dim for dim in dims]


def _is_improved(tensor: gs.Tensor) -> bool:
    """Whether its shape follows from contents, so that ONNX's inference does not know it."""
    return getattr(tensor, "shape_from_contents", False)


def _better_shapes(node: gs.Node, found: dict[int, Contents], context: Memory) -> list[Any]:
    """Shapes of the outputs, None where nothing is known beyond what inference has found."""
    wanted = [content_of(tensor, found) for tensor in node.inputs]
    if node.op in SHAPE_RULES:
        shape = shape_from(node, wanted)
        if shape is not None:
            return [shape]
    if not any(id(tensor) in found or _is_improved(tensor) for tensor in node.inputs):
        return []
    data = {place: plain for place, value in enumerate(wanted) if (plain := numbers(value)) is not None}
    seen = any(not isinstance(node.inputs[place], gs.Constant) for place in data)
    if not seen and not any(map(_is_improved, node.inputs)):
        return []
    asked = _inference_input(node, data, wanted, context.opsets)
    shapes = context.inferred.get(asked)
    if shapes is None:
        values = {place: _numeric(node.inputs[place], plain, wanted[place]) for place, plain in data.items()}
        shapes = [_dims(kind) for kind in infer.infer_node(node, context.opsets, values)]
        if asked is not None:
            context.inferred[asked] = shapes
    return [None if shape is None else list(shape) for shape in shapes]


def _inference_input(
    node: gs.Node, data: dict[int, list[int]], wanted: list[Contents], opsets: dict[str, int]
) -> tuple[Any, ...] | None:
    """All that inference reads of a node; None where an attribute is no number, text or list of these."""
    attributes = []
    for name, value in node.attrs.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (int, float, str)) for item in items):
            return None
        attributes.append((name, type(value), *[(type(item), item) for item in items]))
    types = [None if tensor.is_empty() else snapshot(tensor) for tensor in node.inputs]
    values = [(place, wanted[place].shape, *plain) for place, plain in data.items()]
    return node.op, tuple(opsets.items()), len(node.outputs), tuple(attributes), tuple(types), tuple(values)


def _numeric(tensor: gs.Tensor, plain: list[int], value: Contents) -> Any:
    return np.asarray(plain, dtype=np.dtype(tensor.dtype)).reshape(value.shape)


def _fits(tensor: gs.Tensor, value: Contents) -> bool:
    """Whether the values are in the range of the tensor's type; polynomials of int64 and bool, dims from 32 bits on."""
    if tensor.dtype is None:
        return False
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "b":
        return True
    if dtype.kind not in "iu":
        return False
    least, most = _range(dtype)
    return all(
        least <= v <= most
        if polynomials.known(v)
        else dtype == np.int64 or (dtype.itemsize >= 4 and polynomials.is_dim(v))
        for v in value.flat
    )


@cache
def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The least and the largest number of an integer type."""
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


__all__ = ["LIMIT", "Contents", "content_of", "contents", "numbers"]
