"""Each replacing pass: its rewrite keeps the values under onnxruntime, and it leaves alone what it says it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes import all_passes
from tests.surgery.passes.tensorrt.replacement_cases import LEFT_ALONE, REWRITES


def parse(text: str, opset: int) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{text}')


def feeds(model: onnx.ModelProto, values: dict[str, Any]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    made = {}
    for info in model.graph.input:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        drawn = (
            generator.integers(0, 2 if dtype.kind == "b" else 100, shape)
            if dtype.kind in "iub"
            else generator.random(shape)
        )
        made[info.name] = np.array(values.get(info.name, drawn), dtype)
    return made


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def check(model: onnx.ModelProto, fixed: onnx.ModelProto, values: dict[str, Any], gone: tuple[str, ...]) -> None:
    assert not set(gone) & set(operators(fixed))
    inputs = feeds(model, values)
    # onnxruntime 1.32 does not run Swish above opset 24, and dies of an output left out in the middle.
    lacking = {"SwiGLU", "Swish"} & set(operators(model)) or any("" in node.output for node in model.graph.node)
    expected = ReferenceEvaluator(model).run(None, inputs) if lacking else run(model, inputs)
    for wanted, got in zip(expected, run(fixed, inputs), strict=True):
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-6)


IDS = [f"{case[0]} {case[1]}" for case in REWRITES]


@pytest.mark.parametrize(("code", "case", "opset", "text", "gone", "values"), REWRITES, ids=IDS)
def test_values_are_kept(
    code: str, case: str, opset: int, text: str, gone: tuple[str, ...], values: dict[str, Any]
) -> None:
    model = parse(text, opset)
    fixed, report = surgery.fix_model(model, guard=False)
    assert code in {finding.code for finding in report.findings}, case
    check(model, fixed, values, gone)


@pytest.mark.parametrize(
    ("code", "reason", "opset", "text"), LEFT_ALONE, ids=[f"{case[0]} {case[1]}" for case in LEFT_ALONE]
)
def test_left_alone(code: str, reason: str, opset: int, text: str) -> None:
    _, report = surgery.fix_model(parse(text, opset), select=(code,), guard=False)
    assert [finding.message for finding in report.findings] == [], reason


@pytest.mark.parametrize("case", REWRITES, ids=IDS)
def test_a_target_that_takes_it_keeps_it(case: Any) -> None:
    code, _, opset, text, _, _ = case
    kinds = {rule.code: rule.kind for rule in all_passes()}
    _, report = surgery.fix_model(parse(text, opset), target="onnxruntime", guard=False)
    applied = {finding.code for finding in report.findings}
    assert "Swish" in text or "SwiGLU" in text or kinds[code] != "replace" or code not in applied


def test_every_replacing_pass_has_cases() -> None:
    tested = {case[0] for case in REWRITES}
    assert {rule.code for rule in all_passes() if "SG100" < rule.code < "SG200"} - tested == set()


def test_an_output_left_out_in_the_middle_is_compared_too() -> None:
    model = parse("g (float[6] x) => (float[2] a, float[2] b) { a, , b = Split<num_outputs = 3>(x) }", 18)
    _, report = surgery.fix_model(model)
    assert next(check for check in report.checks if check.name == "parity").status == "pass"
