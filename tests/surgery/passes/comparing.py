"""Runs a small model before and after `fix`, with the inputs a test gives, and compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

import surgery


def parse(text: str, opset: int) -> onnx.ModelProto:
    """A model of the default domain from ONNX text."""
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{text}')


def run(model: onnx.ModelProto, inputs: dict[str, Any]) -> list[Any]:
    """What onnxruntime gives, each node as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return list(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs))


def same(
    text: str, opset: int, code: str, sets: list[dict[str, Any]], *, exact: bool = False, **options: Any
) -> onnx.ModelProto:
    """The fixed model, after the pass `code` was seen at work and every set of inputs gave the same."""
    model = parse(text, opset)
    fixed, report = surgery.fix_model(model, guard=False, **options)
    assert code in {finding.code for finding in report.findings}
    for inputs in sets:
        for wanted, got in zip(run(model, inputs), run(fixed, inputs), strict=True):
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
            if exact:
                np.testing.assert_array_equal(got, wanted)
            else:
                np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)
    return fixed


def equal_values(before: onnx.ModelProto, after: onnx.ModelProto, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Assert that ONNX's reference evaluator gives the same for both, on normal inputs of the declared types."""
    rng = np.random.default_rng(0)
    inputs = {}
    for value in before.graph.input:
        kind = value.type.tensor_type
        drawn = rng.normal(size=[dim.dim_value for dim in kind.shape.dim])
        inputs[value.name] = drawn.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    wanted, got = (ReferenceEvaluator(model).run(None, inputs) for model in (before, after))
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_allclose(other, one, rtol=rtol, atol=atol, strict=True)


def left_alone(text: str, opset: int, code: str, **options: Any) -> None:
    """Assert that the pass finds nothing."""
    _, report = surgery.fix_model(parse(text, opset), select=(code,), guard=False, **options)
    assert [finding.message for finding in report.findings] == []


def operators(model: onnx.ModelProto) -> set[str]:
    """Operators of the main graph."""
    return {node.op_type for node in model.graph.node}
