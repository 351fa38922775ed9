"""Models with onnxruntime's own operators before and after `fix`: values in onnxruntime, and TensorRT-RTX's verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest

import surgery
from surgery.targets.probe import ask_tensorrt
from tests.surgery.passes.comparing import Case, drawn, parse, run
from verify.tensorrt import engine

HEAD = '<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n'
DOMAIN = "com.microsoft"


def contrib(name: str, text: str, opset: int = 17, **inputs: Any) -> Case:
    """A case whose text has operators of com.microsoft."""
    return Case(name, HEAD.format(opset=opset) + text, opset=opset, inputs=inputs)


def written(model: onnx.ModelProto, code: str) -> onnx.ModelProto:
    """The fixed model, after the pass was seen at work and no operator of onnxruntime's is left."""
    fixed, report = surgery.fix_model(model, guard=False)
    assert code in {finding.code for finding in report.findings}
    assert [node.op_type for node in fixed.graph.node if node.domain == DOMAIN] == []
    onnx.checker.check_model(fixed, full_check=True)
    return fixed


def keeps_plain(code: str, case: Case, atol: float = 2e-6, rtol: float = 2e-5) -> None:
    """Assert that the model has no operator of com.microsoft after `fix`, and the same values in onnxruntime."""
    model = parse(case.text, case.opset)
    fixed = written(model, code)
    feeds = drawn(model, case.inputs)
    near(run(model, feeds), run(fixed, feeds), atol, rtol)


def near(expected: list[Any], got: list[Any], atol: float, rtol: float) -> None:
    """Assert that all outputs have the same type, shape and, within the tolerance, values."""
    for wanted, value in zip(expected, got, strict=True):
        assert (value.dtype, value.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(value.astype(np.float64), wanted.astype(np.float64), rtol=rtol, atol=atol)


def accepted(case: Case) -> None:
    """Assert that TensorRT-RTX builds the fixed model; skip where it is not installed."""
    builds(surgery.fix_model(parse(case.text, case.opset), guard=False)[0], case.inputs)


def builds(fixed: onnx.ModelProto, inputs: Mapping[str, Any]) -> None:
    """Assert that TensorRT-RTX builds the model at the sizes of these inputs; skip where it is not installed."""
    if not engine.available():
        pytest.skip("TensorRT-RTX is not installed: nothing here can say whether it takes the model")
    free = {info.name for info in fixed.graph.input if any(not d.dim_value for d in info.type.tensor_type.shape.dim)}
    profile = {name: list(value.shape) for name, value in drawn(fixed, inputs).items() if name in free}
    assert ask_tensorrt(fixed, profile) is None
