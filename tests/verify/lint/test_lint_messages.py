"""What a user reads of a breach: the node, the way to it, and the names and numbers at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.verify.lint.models import HEAD, attribute, changed, function, parsed, weights
from tests.verify.lint.test_lint import CASES
from verify.lint import lint

MESSAGES = {
    "SG700": [
        "IR version 0; the first is 1",
        f"IR version 99; the installed onnx knows versions up to {onnx.IR_VERSION}",
        "IR version 0; the first is 1",
    ],
    "SG701": ["the model imports no operator set"],
    "SG702": ["version 0 of 'own'; the first is 1"],
    "SG703": ["'ai.onnx' is imported in versions 18, 17"],
    "SG704": ["2 entries have the key 'k'"],
    "SG705": ["2 functions are 'mine::Twice'"],
    "SG706": ["IR version 7 has no functions; they came with version 8"],
    "SG710": ["the graph has no name"],
    "SG711": ["1 input without a name"],
    "SG712": ["node_of_y: reads 'a', which a later node computes"],
    "SG713": [
        "node_of_y: reads 'gone', which does not exist",
        "node_of_v in If_1/then_branch: reads 'gone', which does not exist",
        "node_of_v in If_1/then_branch: reads 'w', which does not exist",
    ],
    "SG714": ["nothing computes the output 'z'"],
    "SG715": [
        "node_of_y: makes 'y', which another node makes too",
        "node_of_x: makes 'x', which an input or initializer makes too",
    ],
    "SG716": ["2 inputs have the name 'x'"],
    "SG717": [" in If_1/then_branch: 'a' is the name of a tensor of the graph around it, too"],
    "SG718": ["2 nodes have the name 'same'"],
    "SG719": ["input 'x' has no type", "output 'y' has no element type"],
    "SG720": ["initializer 'w' is no input, as IR version 3 wants it"],
    "SG721": ["initializer 'w' has other dims than the input of its name"],
    "SG730": ["node_of_a: the node names no operator"],
    "SG731": [
        "node_of_a: the domain 'own' of 'own::Relu' is not imported",
        "node_of_y: the domain 'mine' of 'mine::Twice' is not imported",
    ],
    "SG732": ["node_of_a: version 18 of ai.onnx has no operator 'Rleu'"],
    "SG733": ["node_of_y: Scatter is deprecated since version 11"],
    "SG734": [
        "node_of_y: 2 inputs; Relu has 1",
        "node_of_y: 2 outputs; Relu has 1",
        "node_of_y: 1 input; Add has 2",
    ],
    "SG735": ["node_of_y: the input 'X' is left out and not optional"],
    "SG736": ["node_of_y: Relu of version 14 has no attribute 'alpha'"],
    "SG737": ["node_of_y: the attribute 'axis' is missing"],
    "SG738": ["node_of_y: the attribute 'axis' is FLOAT, and has to be INT"],
    "SG739": [
        "node_of_y: an attribute has no name",
        "node_of_y: 2 attributes have the name 'axis'",
        "node_of_y: the attribute 'axis' is INT, and its value is of another type",
        "node_of_y: the attribute 'axis' refers to 'n', an attribute of a function, outside of functions",
        "node_of_y: the attribute 'axis' has values of several types",
        "node_of_y: the attribute 'axis' has no type",
        "node_of_z: the attribute 'value' is TENSOR, and has no value",
    ],
    "SG750": ["tensor 'w' has the type UNDEFINED", "tensor 'w' has the type 999"],
    "SG751": ["tensor 'w' has the dims [-2]"],
    "SG752": [
        "tensor 'w' stores values in several fields",
        "tensor 'w' is FLOAT and stores its values in int32_data",
        "tensor 'w' stores values in several fields",
        "tensor 'w' holds strings and stores them as raw bytes",
    ],
    "SG753": [
        "tensor 'w' has 2 values by its dims, and 1 of 2 entries of float_data are stored",
        "tensor 'w' has 2 values by its dims, which take 8 bytes, and 7 are stored",
        "tensor 'w' has 2 values by its dims, and 0 of 2 entries of float_data are stored",
        "tensor 'w' has 6 values by its dims, and 2 of 6 entries of float_data are stored",
        "tensor 'w' has 2 values by its dims, and 2 of 4 entries of float_data are stored",
        "tensor 'w' has 2 values by its dims, which take 1 byte, and 2 are stored",
    ],
}


def lines(model: onnx.ModelProto, code: str = "") -> list[str]:
    """`node in path: message` of each breach of the rule, without what is empty."""
    found = [finding for finding in lint(model) if finding.code.startswith(code)]
    places = [f"{one.node} in {one.path}" if one.path else one.node for one in found]
    return [f"{place}: {one.message}" if place else one.message for place, one in zip(places, found, strict=True)]


@pytest.mark.parametrize("code", list(CASES))
def test_one_line_says_what_and_where(code: str) -> None:
    assert [lines(model, code) for model in CASES[code]] == [[message] for message in MESSAGES[code]]


def two_nameless(kind: str) -> onnx.ModelProto:
    model = weights()
    (value,) = getattr(model.graph, kind)[:1]
    for _ in "ab":
        getattr(model.graph, kind).add().CopyFrom(value)
        getattr(model.graph, kind)[-1].name = ""
    return model


@pytest.mark.parametrize("kind", ["input", "output", "initializer"])
def test_nameless_values_are_counted(kind: str) -> None:
    assert lines(two_nameless(kind), "SG711") == [f"2 {kind}s without a name"]


def of_function(change: Any) -> onnx.ModelProto:
    model = function(8)
    change(model.functions[0])
    return model


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [
        (of_function(lambda f: f.ClearField("name")), "SG710", " in function mine::: the function has no name"),
        (of_function(lambda f: f.input.append("x")), "SG716", " in function mine::Twice: 2 inputs have the name 'x'"),
        (
            of_function(lambda f: f.output.append("z")),
            "SG714",
            " in function mine::Twice: nothing computes the output 'z'",
        ),
        (
            of_function(lambda f: f.node[0].input.append("x")),
            "SG734",
            "node_of_y in function mine::Twice: 2 inputs; Neg has 1",
        ),
        (parsed("g (bool c, float[2] x) => (float[2] y) { y = If (c) <then_branch = t () => (float[2] x) { }, "
                "else_branch = e () => (float[2] w) { w = Abs(x) }> }"), "SG714", None),
        (parsed("g (bool c, float[2] x) => (float[2] y) { y = If (c) <then_branch = t () => (float[2] no) { }, "
                "else_branch = e () => (float[2] w) { w = Abs(x) }> }"), "SG714",
         " in If_0/then_branch: nothing computes the output 'no'"),
        (changed(lambda m: m.graph.output.append(m.graph.output[0])), "SG716", None),
        (weights(dims=list(range(-9, 0))), "SG751", "tensor 'w' has the dims [-9, -8, -7, -6, -5, -4, -3, -2]"),
        (weights(dims=[1], float_data=[]), "SG753",
         "tensor 'w' has 1 value by its dims, and 0 of 1 entries of float_data are stored"),
        (weights(dims=[0]), "SG753",
         "tensor 'w' has 0 values by its dims, and 2 of 0 entries of float_data are stored"),
        (weights(dims=[-1], float_data=[]), "SG753", None),
        (weights(data_location=1, external_data=[]), "SG752", "tensor 'w' stores values here and in another file"),
        (weights(data_type=onnx.TensorProto.FLOAT16, float_data=[], raw_data=b"123"), "SG753",
         "tensor 'w' has 2 values by its dims, which take 4 bytes, and 3 are stored"),
        (weights(data_type=onnx.TensorProto.UINT32, float_data=[], uint64_data=[1]), "SG753",
         "tensor 'w' has 2 values by its dims, and 1 of 2 entries of uint64_data are stored"),
        (weights(data_type=onnx.TensorProto.COMPLEX128, float_data=[], double_data=[1, 2, 3]), "SG753",
         "tensor 'w' has 2 values by its dims, and 3 of 4 entries of double_data are stored"),
        (weights(data_type=onnx.TensorProto.STRING, float_data=[], string_data=[b"a"]), "SG753",
         "tensor 'w' has 2 values by its dims, and 1 of 2 entries of string_data are stored"),
        (weights(data_type=onnx.TensorProto.INT4, dims=[5], float_data=[], int32_data=[1, 2]), "SG753",
         "tensor 'w' has 5 values by its dims, and 2 of 3 entries of int32_data are stored"),
        (parsed("g (float[2,2] x) => (float[2,2] y) { y = Concat <axis = 0> () }"), "SG734",
         "node_of_y: 0 inputs; Concat has at least 1"),
        (parsed("g (float[2] x) => (float[2] y) { y = Clip(x, x, x, x) }"), "SG734",
         "node_of_y: 4 inputs; Clip has at most 3"),
        (changed(lambda m: setattr(m.graph.node[0], "op_type", "R" * 90)), "SG732",
         f"node_of_a: version 18 of ai.onnx has no operator '{'R' * 80}...' (90 characters)"),
        (changed(lambda m: attribute(m, name="a", ref_attr_name="b", type=onnx.AttributeProto.INT, i=3),
                 "g (float[2] x) => (float[2] y) { y = Softmax(x) }"), "SG739",
         "node_of_y: the attribute 'a' refers to 'b', an attribute of a function, outside of functions"),
        (of_function(lambda f: f.node[0].attribute.add(name="a", ref_attr_name="b", type=2, i=3)), "SG739",
         "node_of_y in function mine::Twice: the attribute 'a' has a value and refers to another attribute"),
    ],
)  # fmt: skip
def test_places_and_numbers(model: onnx.ModelProto, code: str, said: str | None) -> None:
    assert lines(model, code) == ([] if said is None else [said])


def test_three_of_a_name_are_one_line() -> None:
    triple = changed(lambda m: [m.metadata_props.add(key=key, value="v") for key in ("k", "k", "k", "other")])
    assert lines(triple) == ["3 entries have the key 'k'"]
    three = parsed("g (float[2] x) => (float[2] y) { y = Neg(x)  y = Relu(x)  y = Abs(x) }")
    assert lines(three) == ["node_of_y: makes 'y', which another node makes too"]


def test_a_name_that_one_node_reads_twice_is_one_line() -> None:
    assert lines(parsed("g (float[2] x) => (float[2] y) { y = Add(gone, gone) }")) == [
        "node_of_y: reads 'gone', which does not exist"
    ]
    assert lines(parsed("g (float[2] x) => (float[2] y) { y = Add(a, a)  a = Neg(x) }")) == [
        "node_of_y: reads 'a', which a later node computes"
    ]


def test_a_domain_is_named_once_at_its_first_node() -> None:
    model = parsed("g (float[2] x) => (float[2] y) { a = own.One(x)  b = own.Two(a)  y = Neg(b) }")
    assert lines(model) == ["node_of_a: the domain 'own' of 'own::One' is not imported"]


def test_default_of_an_input_has_its_type_and_dims() -> None:
    def default(dtype: int, dims: list[int | str] | None) -> onnx.ModelProto:
        model = weights()
        model.graph.input.append(onnx.helper.make_tensor_value_info("w", dtype, dims))
        return model

    assert lines(default(onnx.TensorProto.FLOAT, [2])) == []
    assert lines(default(onnx.TensorProto.FLOAT, ["n"])) == []
    assert lines(default(onnx.TensorProto.FLOAT, None)) == []
    assert lines(default(onnx.TensorProto.DOUBLE, [2])) == [
        "initializer 'w' has another element type than the input of its name"
    ]
    for dims in ([3], [2, 1], ["n", 2], []):
        assert lines(default(onnx.TensorProto.FLOAT, dims)) == [
            "initializer 'w' has other dims than the input of its name"
        ]


@pytest.mark.parametrize(
    ("version", "said"),
    [(1, True), (3, True), (4, False), (8, False)],
)
def test_initializers_are_inputs_before_ir_4(version: int, said: bool) -> None:
    model = weights()
    model.ir_version = version
    message = f"initializer 'w' is no input, as IR version {version} wants it"
    assert lines(model, "SG720") == ([message] if said else [])


def test_an_unknown_ir_version_is_one_breach() -> None:
    model = weights()
    model.ir_version = 0
    assert lines(model) == ["IR version 0; the first is 1"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_model_before_ir_3_imports_no_operator_set(version: int) -> None:
    model = changed(lambda m: m.ClearField("opset_import"))
    model.ir_version = version
    assert lines(model, "SG701") == []


def test_the_newest_ir_version_and_the_first_are_known() -> None:
    for version in (1, onnx.IR_VERSION):
        assert lines(changed(lambda m, version=version: setattr(m, "ir_version", version)), "SG700") == []
    assert lines(changed(lambda m: setattr(m, "ir_version", onnx.IR_VERSION + 1)), "SG700")


def own_relu(model: onnx.ModelProto) -> None:
    """Relu of two inputs, as a function of the model."""
    body = parsed("g (float[2] x, float[2] z) => (float[2] y) { y = Add(x, z) }").graph.node
    imports = [onnx.helper.make_opsetid("", 18)]
    model.functions.append(onnx.helper.make_function("", "Relu", ["x", "z"], ["y"], body, imports))
    model.graph.node[0].input.append("x")


def test_an_operator_that_the_model_defines_is_its_own() -> None:
    assert lines(changed(own_relu)) == []
    assert lines(changed(lambda m: m.graph.node[0].input.append("x"))) == ["node_of_a: 2 inputs; Relu has 1"]


def overloads(names: str) -> onnx.ModelProto:
    model = function(8, 2)
    for one, name in zip(model.functions, names, strict=True):
        one.name += name
    model.graph.node[0].op_type += names[0]
    return model


def test_functions_of_other_names_or_one_alone_are_legal() -> None:
    assert lines(overloads("ab")) == []
    assert lines(function(8)) == []


def test_one_key_and_one_version_given_twice_are_legal() -> None:
    assert lines(changed(lambda m: [m.metadata_props.add(key=key, value="v") for key in "ab"])) == []
    assert lines(changed(lambda m: m.opset_import.add(domain="ai.onnx", version=18))) == []


def test_versions_of_domains_begin_at_1() -> None:
    assert lines(changed(lambda m: m.opset_import.add(domain="own", version=1))) == []
    assert lines(changed(lambda m: m.opset_import.add(domain="own", version=-1)), "SG702") == [
        "version -1 of 'own'; the first is 1"
    ]


def test_tensors_of_attributes_are_looked_at_with_their_node() -> None:
    model = parsed("g (float[2] x) => (float[2] y) { k = Constant <value = float[2] {1, 2}> ()  y = Add(x, k) }")
    model.graph.node[0].attribute[0].t.dims[0] = 3
    said = "node_of_k: a tensor has 3 values by its dims, and 2 of 3 entries of float_data are stored"
    assert lines(model, "SG75") == [said]
    model = parsed("g (float[2] x) => (float[2] y) { y = own.Op(x) }", HEAD.replace("18]", '18, "own" : 1]'))
    tensors = [onnx.numpy_helper.from_array(np.zeros(2, np.float32), name) for name in "ab"]
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("tables", tensors))
    model.graph.node[0].attribute[0].tensors[1].dims[0] = 5
    assert lines(model) == ["node_of_y: tensor 'b' has 5 values by its dims, which take 20 bytes, and 8 are stored"]
