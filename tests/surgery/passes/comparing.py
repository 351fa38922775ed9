"""Small models before and after `fix`: what a pass makes of them, and whether they still compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes import all_passes
from tests.surgery.passes.structure import structure

RULES = {rule.code: rule for rule in all_passes()}
FREE = 3  # the size of a dim that is not fixed
HEAD = '<ir_version: {ir}, opset_import: ["" : {opset}]>\n'
CONTRIB = (
    '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>\n'  # begins a text with onnxruntime's operators
)


class Case(NamedTuple):
    """A model that a pass rewrites, or leaves alone for the reason that is its name.

    text    the model as ONNX text; `opset` is that of its head if it has none
    after   the same after the pass, as ONNX text; "" where the values are compared only
    gone    operators that are no longer there after all passes
    inputs  values of inputs that may not be random
    """

    name: str
    text: str
    after: str = ""
    opset: int = 17
    gone: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = {}

    def __str__(self) -> str:
        return self.name


def parse(text: str, opset: int) -> onnx.ModelProto:
    """A model of the default domain from ONNX text."""
    head = "" if "ir_version" in text else HEAD.format(ir=8 if opset < 19 else 10, opset=opset)
    return onnx.parser.parse_model(head + text)


def run(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> list[Any]:
    """What onnxruntime gives, each node as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return list(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs))


def becomes(code: str, case: Case) -> None:
    """Assert that the pass alone makes `case.after` of the model, with the same values."""
    model = parse(case.text, case.opset)
    fixed, report = surgery.fix_model(model, select=(code, "SG002"))
    assert code in {finding.code for finding in report.findings}
    assert structure(fixed) == structure(parse(case.after, case.opset))
    assert [check.status for check in report.checks if check.name == "parity"] in (["pass"], ["skip"])
    onnx.checker.check_model(fixed)
    equal_outputs(model, fixed, case.inputs, exact=RULES[code].exact)


def keeps_values(code: str, case: Case) -> None:
    """Assert that the pass is at work, and that the model after all passes has the same values."""
    if case.after:
        becomes(code, case)
    model = parse(case.text, case.opset)
    fixed, report = surgery.fix_model(model, guard=False)
    assert code in {finding.code for finding in report.findings}
    assert not set(case.gone) & operators(fixed)
    equal_outputs(model, fixed, case.inputs, exact=False)


def mends_fault(code: str, case: Case, target: str) -> None:
    """Assert that the pass is at work for a target that computes this model wrongly, keeps its values to the bit, and
    finds nothing in its own result.
    """
    fixed = same(case.text, case.opset, code, [dict(case.inputs)], exact=True, target=target)
    assert not set(case.gone) & operators(fixed)
    not_at_work(code, fixed, target)


def not_at_work(code: str, model: onnx.ModelProto, *targets: str) -> None:
    """Assert that the pass finds nothing in the model for any of these targets, with all other passes at work."""
    for target in targets:
        _, report = surgery.fix_model(model, target=target, guard=False)
        assert code not in {finding.code for finding in report.findings}


def stays(code: str, case: Case) -> None:
    """Assert that the pass finds nothing."""
    left_alone(case.text, case.opset, code)


def equal_outputs(model: onnx.ModelProto, fixed: onnx.ModelProto, values: Mapping[str, Any], *, exact: bool) -> None:
    """Assert that both give the same in onnxruntime for `values` and random other inputs.

    Where onnxruntime cannot run the original, ONNX's reference evaluator gives what is expected.
    """
    feeds = drawn(model, values)
    expected = ReferenceEvaluator(model).run(None, feeds) if lacking(model) else run(model, feeds)
    for wanted, got in zip(expected, run(fixed, feeds), strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=0.0 if exact else 2e-5, atol=0.0 if exact else 1e-6)


def lacking(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime 1.32 does not run the model: Swish above opset 24, an output left out, one name twice.

    Its own operators run with outputs left out.
    """
    made = [name for node in model.graph.node for name in node.output if name or node.domain != "com.microsoft"]
    return bool({"SwiGLU", "Swish"} & operators(model)) or "" in made or len(set(made)) < len(made)


def drawn(model: onnx.ModelProto, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Numbers from 0 to 1, integers from 0 to 99 and booleans for every input that has no value yet."""
    generator = np.random.default_rng(0)
    made = {}
    for info in model.graph.input:
        kind = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = [dim.dim_value if dim.HasField("dim_value") else FREE for dim in info.type.tensor_type.shape.dim]
        whole = generator.integers(0, 2 if kind.kind == "b" else 100, shape)
        numbers = whole if kind.kind in "iub" else generator.random(shape)
        made[info.name] = np.array(values.get(info.name, numbers), kind)
    return made


def same(
    text: str, opset: int, code: str, sets: list[dict[str, Any]], *, exact: bool = False, **options: Any
) -> onnx.ModelProto:
    """The fixed model, after the pass `code` was seen at work and every set of inputs gave the same."""
    model = parse(text, opset)
    fixed, report = surgery.fix_model(model, guard=False, **options)
    assert code in {finding.code for finding in report.findings}
    for values in sets:
        inputs = drawn(model, values)
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
        normal = rng.normal(size=[dim.dim_value for dim in kind.shape.dim])
        inputs[value.name] = normal.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
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
