"""Models of one node between two others, and whether SG010 removes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from surgery.passes.cleanup.idle.no_op_node import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options

BIG = 2**63 - 1


Spelling = tuple[str, list[Any], dict[str, Any]]


def model(
    spelling: Spelling, shape: tuple[int | str | None, ...] = (2, 3), opset: int = 17, kind: int = 1, outputs: int = 1
) -> onnx.ModelProto:
    """One node between two others; its constant operands are int64 unless they are arrays or None (left out)."""
    op, operands, attributes = spelling
    names = ["a", *(f"c{index}" if value is not None else "" for index, value in enumerate(operands))]
    made = [f"b{index}" for index in range(outputs)]
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node(op, names, made, name="it", **attributes),
        helper.make_node("Identity", ["b0"], ["y"]),
    ]
    stored = [
        numpy_helper.from_array(value if isinstance(value, np.ndarray) else np.array(value, np.int64), name)
        for value, name in zip(operands, names[1:], strict=True)
        if value is not None
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], [onnx.ValueInfoProto(name="y")], stored
    )
    graph.output[0].type.tensor_type.elem_type = attributes["to"] if op == "Cast" else kind
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def goes(source: onnx.ModelProto) -> bool:
    outcome = apply_passes(source, "", [PASS], Options())
    assert [trouble for trouble in outcome.context.troubles if "convert" not in trouble] == []
    return "it" not in [node.name for node in outcome.model.graph.node]


def hands_on(source: onnx.ModelProto) -> bool | None:
    """Whether the node gives what it gets; None where it is no valid node."""
    value = source.graph.input[0].type.tensor_type
    shape = [dim.dim_value for dim in value.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(helper.tensor_dtype_to_np_dtype(value.elem_type))
    try:
        (y,) = ReferenceEvaluator(source).run(None, {"x": x})
    except Exception:  # what the operator refuses
        return None
    return bool(y.shape == x.shape and y.dtype == x.dtype and np.array_equal(x, y))
