"""Passes that look for a pattern, on the whole pattern and on near misses: what they rewrite keeps its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from surgery.passes import all_passes
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.near_misses import commuted, inside_a_branch, near_misses, side_by_side, strangers
from tests.surgery.passes.tables import patterns

PATTERNS = patterns()
RULES = {rule.code: rule for rule in all_passes()}
HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'
IDS = [f"{code} {name}" for code, name, _ in PATTERNS]


def pattern(text: str) -> onnx.ModelProto:
    """The model, with its nodes named for their outputs."""
    made = onnx.parser.parse_model(text if "ir_version" in text else HEAD + text)
    for node in made.graph.node:
        node.name = node.output[0]
    return made


def inputs_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Numbers of both signs, and masks with both values, for every input."""
    chance = np.random.default_rng(3)
    feeds = {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        drawn = chance.normal(size=shape)
        feeds[value.name] = (
            drawn > 0 if value.type.tensor_type.elem_type == onnx.TensorProto.BOOL else drawn.astype(np.float32)
        )
    return feeds


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """The model in onnxruntime without optimizations; raises what onnxruntime raises."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def loads(model: onnx.ModelProto) -> bool:
    try:
        return bool(session(model))
    except Exception:
        return False


def run(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any] | None:
    """What the model gives, or None where it cannot be run."""
    try:
        return list(session(model).run(None, feeds))
    except Exception:
        return None


def same(before: list[Any], after: list[Any] | None, exact: bool, tolerance: float = 2e-5) -> bool:
    if after is None or len(before) != len(after):
        return False
    for one, other in zip(before, after, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        if not (np.array_equal(one, other, equal_nan=one.dtype.kind == "f") if exact else close(one, other, tolerance)):
            return False
    return True


def close(one: Any, other: Any, tolerance: float) -> bool:
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True))


@pytest.mark.parametrize(("code", "name", "text"), PATTERNS, ids=IDS)
def test_one_difference(code: str, name: str, text: str) -> None:
    base = pattern(text)
    feeds = inputs_of(base)
    wrong, alone = [], []
    for what, model in near_misses(base):
        outcome = fix(model, code)
        if outcome.model is model and not outcome.context.troubles:
            alone.append(model)
            continue
        values = run(model, feeds)
        if values is None and not (outcome.context.troubles and loads(model)):  # no model at all
            continue
        if outcome.context.troubles or values is None or not same(values, run(outcome.model, feeds), RULES[code].exact):
            wrong.append((what, outcome.context.troubles))
    assert wrong == []
    beside = fix(side_by_side([base, *alone, base]), code)
    assert len(beside.applied) == 2 * len(fix(base, code).applied), "one that is left alone does not hide the next"
    assert beside.context.troubles == []


@pytest.mark.parametrize(("code", "name", "text"), PATTERNS, ids=IDS)
def test_the_whole_pattern(code: str, name: str, text: str) -> None:
    base = pattern(text)
    fixed = fix(base, code).model
    assert fixed is not base
    for what, model in commuted(base):
        assert operators(fix(model, code).model.graph) == operators(fixed.graph), what
    assert fix(fixed, code).model is fixed
    for kind in (np.float32, np.float64, np.float16):
        before = of_type(base, kind)
        after = fix(before, code).model
        feeds = {n: v.astype(kind) if v.dtype.kind == "f" else v for n, v in inputs_of(base).items()}
        values = [ReferenceEvaluator(each).run(None, feeds) for each in (before, after)]
        assert same(*values, RULES[code].exact, 2e-2 if kind == np.float16 else 2e-5), kind


@pytest.mark.parametrize(("code", "name", "text"), PATTERNS, ids=IDS)
def test_operators_go_by_name_and_domain(code: str, name: str, text: str) -> None:
    for what, models in strangers(pattern(text)):
        outcomes = [fix(model, code) for model in models]
        assert len({tuple(found.message for found in outcome.applied) for outcome in outcomes}) == 1, what
        assert all(outcome.context.troubles == [] for outcome in outcomes), what


@pytest.mark.parametrize(("code", "name", "text"), PATTERNS, ids=IDS)
def test_inside_a_branch(code: str, name: str, text: str) -> None:
    base = pattern(text)
    model = inside_a_branch(base)
    fixed = fix(model, code).model
    branches = [a.g for a in fixed.graph.node[-1].attribute if a.name == "then_branch"]
    assert [operators(branch) for branch in branches] == [operators(fix(base, code).model.graph)]
    for taken in (True, False):
        feeds = inputs_of(base) | {"taken": np.array(taken)}
        values = run(model, feeds)
        assert values is not None
        assert same(values, run(fixed, feeds), RULES[code].exact)


@pytest.mark.parametrize(("code", "name", "text"), PATTERNS, ids=IDS)
def test_a_node_that_is_skipped_stays(code: str, name: str, text: str) -> None:
    base = pattern(text)
    left = {node.name for node in fix(base, code).model.graph.node}
    for node in base.graph.node:
        if node.name not in left:
            fixed = fix(base, code, skip_nodes=frozenset({node.name})).model
            assert node.SerializeToString() in [each.SerializeToString() for each in fixed.graph.node], node.name


def fix(model: onnx.ModelProto, code: str, **options: Any) -> Outcome:
    return apply_passes(model, "", [RULES[code]], Options(select=(code,), **options))


def operators(graph: onnx.GraphProto) -> list[str]:
    return [node.op_type for node in graph.node if node.op_type != "Constant"]


def of_type(model: onnx.ModelProto, kind: Any) -> onnx.ModelProto:
    """The model with another floating-point type."""
    made, number = onnx.ModelProto(), onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    made.CopyFrom(model)
    for value in (*made.graph.input, *made.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = number
    for tensor in made.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(kind), tensor.name))
    return made
