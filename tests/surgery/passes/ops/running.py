"""Run what passes build in a node's place, and open a node as a pass sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from surgery.graph import edit, infer
from surgery.graph.read import to_graph
from surgery.graph.write import to_model
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context


def computed(inputs: dict[str, Any], build_result: Callable[[Build, list[gs.Tensor]], gs.Tensor]) -> Any:
    """What a node gives whose place `build_result` took, run on these inputs."""
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    node = onnx.helper.make_node("Placeholder", list(inputs), ["y"], domain="tests")
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name="y")]),
        opset_imports=[onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("tests", 1)],
    )
    graph, context = to_graph(model), Context(None, {"": 18})
    context.root = graph
    build = Build(graph, graph.nodes[0], context, "SG000")
    build.replace(build_result(build, list(graph.inputs)))
    edit.sweep(graph)
    return ReferenceEvaluator(to_model(graph)).run(None, inputs)[0]


def node_of(body: str, inputs: str) -> tuple[gs.Graph, gs.Node, Context]:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> g ({inputs}) => (y) {{ {body} }}')
    graph, context = to_graph(model), Context(None, {"": 18})
    context.root = graph
    infer.infer(graph, context.opsets)
    return graph, graph.nodes[-1], context
