"""Store sine position tables as their factor: the encodings of n places instead of those of n x n pairs.

This edits the ONNX file, because torch's exporter folds small expressions of constants and would store the table again.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
import onnx
from onnx import helper, numpy_helper

SMALLEST = 64 << 10  # bytes; smaller tables stay as they are


def factor_tables(model: onnx.ModelProto) -> int:
    """Replace each table [n * n, C] that joins an encoding of the row and one of the column; returns how many.

    The nodes Expand, Transpose, Concat and Reshape compute the same values, bit for bit, from [n, C / 2].
    """
    graph = model.graph
    found = [(tensor, _factor(tensor)) for tensor in graph.initializer if tensor.ByteSize() >= SMALLEST]
    nodes: list[onnx.NodeProto] = []
    for tensor, factor in found:
        if factor is not None:
            nodes += _spread(graph, tensor.name, factor)
            graph.initializer.remove(tensor)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    return len(nodes) // 4


def _factor(tensor: onnx.TensorProto) -> np.ndarray | None:
    """The encodings [n, C / 2] of a table [n * n, C] made of the row's, then the column's; else None."""
    if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2 or tensor.dims[1] % 2:
        return None
    size, channels = isqrt(tensor.dims[0]), tensor.dims[1] // 2
    if size < 2 or size * size != tensor.dims[0]:
        return None
    grid = numpy_helper.to_array(tensor).reshape(size, size, 2 * channels)
    factor = grid[0, :, channels:]
    same = np.all(grid[..., channels:] == factor) and np.all(grid[..., :channels] == factor[:, None])
    return np.ascontiguousarray(factor) if same else None


def _spread(graph: onnx.GraphProto, name: str, factor: np.ndarray) -> list[onnx.NodeProto]:
    size, channels = factor.shape
    constants = {
        "factor": factor,
        "size": np.array([size, size, channels], np.int64),
        "shape": np.array([size * size, 2 * channels], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"{name}.{part}") for part, value in constants.items())
    return [
        helper.make_node("Expand", [f"{name}.factor", f"{name}.size"], [f"{name}.by_column"], f"{name}.by_column"),
        helper.make_node("Transpose", [f"{name}.by_column"], [f"{name}.by_row"], f"{name}.by_row", perm=[1, 0, 2]),
        helper.make_node("Concat", [f"{name}.by_row", f"{name}.by_column"], [f"{name}.grid"], f"{name}.grid", axis=2),
        helper.make_node("Reshape", [f"{name}.grid", f"{name}.shape"], [name], f"{name}.flat"),
    ]
