"""Every rule finds its breach and nothing else, all breaches are found at once, and hostile files do no harm."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
import verify
from tests.verify.lint.models import (
    BRANCHES,
    attribute,
    before_ir_4,
    changed,
    default_of_another_shape,
    function,
    function_not_imported,
    parsed,
    weights,
    without_ir_version,
)
from verify.lint import RULES, lint, rule_texts

CASES: dict[str, list[onnx.ModelProto]] = {
    "SG700": [
        changed(lambda m: m.ClearField("ir_version")),
        changed(lambda m: setattr(m, "ir_version", 99)),
        without_ir_version(),
    ],
    "SG701": [changed(lambda m: m.ClearField("opset_import"))],
    "SG702": [changed(lambda m: m.opset_import.add(domain="own", version=0))],
    "SG703": [changed(lambda m: m.opset_import.add(domain="ai.onnx", version=17))],
    "SG704": [changed(lambda m: [m.metadata_props.add(key="k", value=v) for v in "ab"])],
    "SG705": [function(8, 2)],
    "SG706": [function(7)],
    "SG710": [changed(lambda m: m.graph.ClearField("name"))],
    "SG711": [changed(lambda m: m.graph.input.add().type.tensor_type.MergeFrom(m.graph.input[0].type.tensor_type))],
    "SG712": [parsed("g (float[2] x) => (float[2] y) { y = Neg(a)  a = Relu(x) }")],
    "SG713": [
        parsed("g (float[2] x) => (float[2] y) { y = Add(x, gone) }"),
        parsed(BRANCHES.format(made="v", read="gone")),
        parsed(BRANCHES.format(made="v", read="w")),
    ],
    "SG714": [parsed("g (float[2] x) => (float[2] y, float[2] z) { y = Neg(x) }")],
    "SG715": [
        parsed("g (float[2] x) => (float[2] y) { y = Neg(x)  y = Relu(x) }"),
        parsed("g (float[2] x) => (float[2] y) { x = Relu(x)  y = Neg(x) }"),
    ],
    "SG716": [changed(lambda m: m.graph.input.append(m.graph.input[0]))],
    "SG717": [parsed(BRANCHES.format(made="a", read="x"))],
    "SG718": [changed(lambda m: [setattr(node, "name", "same") for node in m.graph.node])],
    "SG719": [
        changed(lambda m: m.graph.input[0].ClearField("type")),
        changed(lambda m: m.graph.output[0].type.tensor_type.ClearField("elem_type")),
    ],
    "SG720": [before_ir_4()],
    "SG721": [default_of_another_shape()],
    "SG730": [changed(lambda m: m.graph.node[0].ClearField("op_type"))],
    "SG731": [changed(lambda m: setattr(m.graph.node[0], "domain", "own")), function_not_imported()],
    "SG732": [changed(lambda m: setattr(m.graph.node[0], "op_type", "Rleu"))],
    "SG733": [parsed("g (float[2,2] x) => (float[2,2] y) { y = Scatter(x, x, x) }")],
    "SG734": [
        parsed("g (float[2] x) => (float[2] y) { y = Relu(x, x) }"),
        parsed("g (float[2] x) => (float[2] y) { y, z = Relu(x) }"),
        parsed("g (float[2] x) => (float[2] y) { y = Add(x) }"),
    ],
    "SG735": [changed(lambda m: m.graph.node[1].input.__setitem__(0, ""))],
    "SG736": [parsed("g (float[2] x) => (float[2] y) { y = Relu <alpha = 1.0> (x) }")],
    "SG737": [parsed("g (float[2] x) => (float[4] y) { y = Concat(x, x) }")],
    "SG738": [parsed("g (float[2] x) => (float[4] y) { y = Concat <axis = 1.5> (x, x) }")],
    "SG739": [
        changed(lambda m: attribute(m, type=onnx.AttributeProto.INT, i=1)),
        changed(lambda m: [attribute(m, name="axis", type=onnx.AttributeProto.INT, i=1) for _ in "ab"],
                "g (float[2] x) => (float[2] y) { y = Softmax(x) }"),
        changed(lambda m: attribute(m, name="axis", type=onnx.AttributeProto.INT, f=1.0),
                "g (float[2] x) => (float[2] y) { y = Softmax(x) }"),
        changed(lambda m: attribute(m, name="axis", ref_attr_name="n", type=onnx.AttributeProto.INT),
                "g (float[2] x) => (float[2] y) { y = Softmax(x) }"),
        changed(lambda m: attribute(m, name="axis", type=onnx.AttributeProto.INT, i=0, f=1.0),
                "g (float[2] x) => (float[2] y) { y = Softmax(x) }"),
        changed(lambda m: attribute(m, name="axis"), "g (float[2] x) => (float[2] y) { y = Softmax(x) }"),
        changed(lambda m: attribute(m, name="value", type=onnx.AttributeProto.TENSOR),
                "g (float[2] x) => (float[2] y, float z) { y = Neg(x)  z = Constant() }"),
    ],
    "SG750": [weights(data_type=0), weights(data_type=999)],
    "SG751": [weights(dims=[-2])],
    "SG752": [
        weights(int32_data=[1, 2]),
        weights(float_data=[], int32_data=[1, 2]),
        weights(raw_data=np.float32([1, 2]).tobytes()),
        weights(data_type=onnx.TensorProto.STRING, float_data=[], raw_data=b"ab"),
    ],
    "SG753": [
        weights(float_data=[1.0]),
        weights(float_data=[], raw_data=b"1234567"),
        weights(float_data=[]),
        weights(dims=[2, 3]),
        weights(data_type=onnx.TensorProto.COMPLEX64),
        weights(data_type=onnx.TensorProto.INT4, float_data=[], raw_data=b"ab"),
    ],
}  # fmt: skip


EVERY = [(code, index) for code, models in CASES.items() for index in range(len(models))]


BY_CODE = {rule.code: rule for rule in RULES}


# What onnx.checker takes although the specification forbids it.
CHECKER_TAKES = {("SG703", 0), ("SG721", 0), ("SG739", 3), ("SG753", 5)}


def test_every_rule_has_a_case_and_a_code_of_its_own() -> None:
    assert sorted(CASES) == sorted(BY_CODE)
    assert len(BY_CODE) == len(RULES)
    assert set(rule_texts()) == set(BY_CODE)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(("code", "index"), EVERY)
def test_the_breach_is_found(code: str, index: int) -> None:
    found = {finding.code: finding for finding in lint(CASES[code][index])}
    assert code in found
    assert found[code].severity == BY_CODE[code].severity
    assert found[code].advice
    assert found[code].message


@pytest.mark.parametrize(("code", "index"), EVERY)
def test_nothing_else_is_found(code: str, index: int) -> None:
    together = {"SG721": {"SG753"}, "SG738": set(), "SG750": set(), "SG711": set()}
    follows = {
        ("SG702", 0): {"SG702"}, ("SG739", 5): {"SG737"}, ("SG752", 0): set(), ("SG752", 1): {"SG753"},
        ("SG737", 0): set(), ("SG733", 0): set(),
    }  # fmt: skip
    allowed = {code} | together.get(code, set()) | follows.get((code, index), set())
    assert {finding.code for finding in lint(CASES[code][index])} <= allowed


@pytest.mark.parametrize(("code", "index"), EVERY)
def test_onnx_checker_refuses_what_is_an_error(code: str, index: int) -> None:
    takes = BY_CODE[code].severity == "warning" or (code, index) in CHECKER_TAKES
    try:
        onnx.checker.check_model(CASES[code][index])
        refused = False
    except (onnx.checker.ValidationError, ValueError, RuntimeError):
        refused = True
    assert refused is not takes


@pytest.mark.parametrize("code", [rule.code for rule in RULES if rule.fixable])
def test_fix_repairs_what_the_rule_says_it_repairs(code: str) -> None:
    for model in CASES[code]:
        fixed, _ = surgery.fix_model(model)
        assert code not in {finding.code for finding in lint(fixed)}


def test_all_breaches_are_found_at_once() -> None:
    model = parsed("""g (float[2] x) => (float[2] y, float[2] z) {
      a = Relu(gone, x)  y = Neg <alpha = 1.0> (b)  b = Foo(x)  c = Concat(x, x) }""")
    found = [finding.code for finding in lint(model)]
    assert found == ["SG712", "SG713", "SG714", "SG732", "SG734", "SG736", "SG737"]
    report = verify.verify_model(model, goldens=None, tensorrt=False)
    assert [finding.code for finding in report.findings] == found
    assert not report.ok


def test_a_breach_that_the_checker_takes_fails_the_check() -> None:
    report = verify.verify_model(CASES["SG703"][0], goldens=None, tensorrt=False)
    (check,) = report.checks
    assert (check.name, check.status) == ("onnx", "fail")
    assert check.message == "1 breach of the ONNX specification, which onnx.checker does not see"


def test_a_warning_does_not_fail() -> None:
    report = verify.verify_model(CASES["SG718"][0], goldens=None, tensorrt=False)
    assert report.ok
    assert [finding.code for finding in report.findings] == ["SG718"]


def test_place_of_a_breach_inside_a_branch_and_a_function() -> None:
    (finding,) = lint(CASES["SG713"][1])
    assert (finding.path, finding.op) == ("If_1/then_branch", "Neg")
    model = function(8)
    model.functions[0].node[0].input[0] = "gone"
    (finding,) = lint(model)
    assert (finding.code, finding.path) == ("SG713", "function mine::Twice")


def test_a_breach_about_values_names_the_tensor() -> None:
    (named,) = [one.message for one in lint(CASES["SG753"][0]) if one.code == "SG753"]
    assert named == "tensor 'w' has 2 values by its dims, and 1 of 2 entries of float_data are stored"
    model = weights(float_data=[1.0])
    node = model.graph.node.add(op_type="Constant", output=["k"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=model.graph.initializer[0])
    node.attribute[0].t.ClearField("name")
    messages = [one.message for one in lint(model) if one.code == "SG753"]
    assert "a tensor has 2 values by its dims, and 1 of 2 entries of float_data are stored" in messages
