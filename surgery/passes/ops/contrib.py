"""Operators that onnxruntime's optimiser and quantizer write: which ones a pass may rewrite, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context

DOMAIN = "com.microsoft"


def contrib_nodes(
    graph: gs.Graph, context: Context, attributes: Mapping[str, Iterable[str]], domain: str = DOMAIN
) -> Iterator[gs.Node]:
    """Nodes of onnxruntime's own operators that the target lacks.

    Left out are calls of a function that the model defines under the same name, and nodes with an attribute that is not
    listed, whose meaning the pass does not know.

    Args:
        attributes: operator -> the attributes that the pass reads.
    """
    functions = getattr(context.root, "functions", ()) or ()
    own = {function.name for function in functions if function.domain == domain}
    for op, known in attributes.items():
        name = f"{domain}::{op}" if domain else op
        if op in own or context.target.refuses(f"op:{name}") is None:
            continue
        for node in context.nodes(graph, name):
            if not set(node.attrs) - set(known):
                yield node


def given(node: gs.Node, index: int) -> gs.Tensor | None:
    """The input at this place, or None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) and not node.inputs[index].is_empty() else None


def read(node: gs.Node, index: int) -> bool:
    """Whether the output at this place has a name."""
    return index < len(node.outputs) and not node.outputs[index].is_empty()


def float_kind(node: gs.Node, *places: int) -> Any:
    """NumPy dtype of the first of these inputs whose dtype is known, or of the first output; None where none is."""
    tensors = [tensor for place in places if (tensor := given(node, place)) is not None]
    return next((np.dtype(tensor.dtype) for tensor in (*tensors, *node.outputs[:1]) if tensor.dtype is not None), None)


def text(value: Any) -> str:
    """A string attribute."""
    return value.decode() if isinstance(value, bytes) else str(value)


def split_last(build: Build, tensor: gs.Tensor, sizes: Iterable[int]) -> list[gs.Tensor]:
    """Consecutive pieces of these sizes of the last dim."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(build.slice(tensor, [-1], [start], [start + size]))
        start += size
    return pieces


def dim(build: Build, tensor: gs.Tensor, axis: int) -> gs.Tensor:
    """The size of one dim (counted from the front) as int64[1]."""
    size = tensor.shape[axis] if tensor.shape is not None else None
    if isinstance(size, int):
        return build.ints([size])
    return build.slice(build("Shape", tensor), [0], [axis], [axis + 1])


def layer_norm(build: Build, tensor: gs.Tensor, scale: gs.Tensor, bias: gs.Tensor | None, epsilon: float) -> gs.Tensor:
    """LayerNormalization over the last dim."""
    made: gs.Tensor = build("LayerNormalization", tensor, scale, bias, axis=-1, epsilon=float(epsilon))
    return made


def rms_norm(build: Build, tensor: gs.Tensor, scale: gs.Tensor, epsilon: float, kind: Any) -> gs.Tensor:
    """`tensor` over the root of the mean of its squares in the last dim, times `scale`; computed in float32."""
    wide = tensor if kind == np.float32 else build("Cast", tensor, to=1)
    mean = build.axes("ReduceMean", build("Mul", wide, wide), [-1], keepdims=1)
    root = build("Sqrt", build("Add", mean, np.float32(epsilon)))
    made = build("Mul", build("Div", wide, root), build.cast(scale, np.float32))
    return made if kind == np.float32 else build.cast(made, kind)
