"""Rules of a node: its operator, inputs, outputs and attributes, as the schema of the operator has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from verify.lint.rule import Breach, Rule, Scope, operator_of, shown, text
from verify.model.walk import domain_of
from verify.report import counted

if TYPE_CHECKING:
    import onnx

OWN_DOMAINS = ("", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")
# The field of an AttributeProto that holds the value of each type.
FIELDS = {
    "FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "sparse_tensor",
    "TYPE_PROTO": "tp", "FLOATS": "floats", "INTS": "ints", "STRINGS": "strings", "TENSORS": "tensors",
    "GRAPHS": "graphs", "SPARSE_TENSORS": "sparse_tensors", "TYPE_PROTOS": "type_protos",
}  # fmt: skip
REPEATED = tuple(field for kind, field in FIELDS.items() if kind.endswith("S"))


def no_operator(scope: Scope) -> Iterator[Breach]:
    for node in scope.graph.node:
        if not node.op_type:
            yield Breach("the node names no operator", node)


def domain_not_imported(scope: Scope) -> Iterator[Breach]:
    if not scope.opsets:
        return  # SG701 reports it once
    missing: dict[str, onnx.NodeProto] = {}
    for node in scope.graph.node:
        if domain_of(node.domain) not in scope.opsets:
            missing.setdefault(domain_of(node.domain), node)
    for domain, node in missing.items():
        yield Breach(f"the domain {shown(domain or 'ai.onnx')} of {shown(operator_of(node))} is not imported", node)


def unknown_operator(scope: Scope) -> Iterator[Breach]:
    for node, version in _known_domains(scope):
        if _schema(scope, node) is None:
            domain = text(domain_of(node.domain)) or "ai.onnx"
            yield Breach(f"version {version} of {domain} has no operator {shown(node.op_type)}", node)


def deprecated(scope: Scope) -> Iterator[Breach]:
    for node, schema in _with_schema(scope):
        if schema.deprecated:
            yield Breach(f"{node.op_type} is deprecated since version {schema.since_version}", node)


def number_of_values(scope: Scope) -> Iterator[Breach]:
    for node, schema in _with_schema(scope):
        for kind, count, least, most in (
            ("input", len(node.input), schema.min_input, schema.max_input),
            ("output", len(node.output), schema.min_output, schema.max_output),
        ):
            if not least <= count <= most:
                wanted = f"{least}" if least == most else f"at least {least}" if count < least else f"at most {most}"
                yield Breach(f"{counted(count, kind)}; {node.op_type} has {wanted}", node)


def input_left_out(scope: Scope) -> Iterator[Breach]:
    import onnx

    single = onnx.defs.OpSchema.FormalParameterOption.Single
    for node, schema in _with_schema(scope):
        for name, formal in zip(node.input, schema.inputs, strict=False):
            if not name and formal.option == single:
                yield Breach(f"the input {shown(formal.name)} is left out and not optional", node)


def unknown_attribute(scope: Scope) -> Iterator[Breach]:
    for node, schema in _with_schema(scope):
        for attribute in node.attribute:
            if attribute.name and text(attribute.name) not in schema.attributes:
                version = schema.since_version
                yield Breach(f"{node.op_type} of version {version} has no attribute {shown(attribute.name)}", node)


def missing_attribute(scope: Scope) -> Iterator[Breach]:
    for node, schema in _with_schema(scope):
        given = {text(attribute.name) for attribute in node.attribute}
        for name, formal in schema.attributes.items():
            if formal.required and name not in given:
                yield Breach(f"the attribute {shown(name)} is missing", node)


def attribute_type(scope: Scope) -> Iterator[Breach]:
    for node, schema in _with_schema(scope):
        for attribute in node.attribute:
            formal = schema.attributes.get(text(attribute.name))
            has = _type_of(attribute)
            if formal is not None and has not in ("UNDEFINED", formal.type.name):
                yield Breach(f"the attribute {shown(attribute.name)} is {has}, and has to be {formal.type.name}", node)


def attribute_form(scope: Scope) -> Iterator[Breach]:
    for node in scope.graph.node:
        for name, count in Counter(attribute.name for attribute in node.attribute).items():
            if not name:
                yield Breach("an attribute has no name", node)
            elif count > 1:
                yield Breach(f"{count} attributes have the name {shown(name)}", node)
        for attribute in node.attribute:
            if message := _misformed(attribute, scope.is_function or _in_function(scope)):
                yield Breach(f"the attribute {shown(attribute.name)} {message}", node)


def _misformed(attribute: onnx.AttributeProto, in_function: bool) -> str:
    """What is wrong with how the value of an attribute is stored; else empty."""
    kind = _type_of(attribute)
    stored = {field for field in FIELDS.values() if field not in REPEATED and attribute.HasField(field)}
    stored |= {field for field in REPEATED if len(getattr(attribute, field))}
    if attribute.ref_attr_name:
        if not in_function:
            return f"refers to {shown(attribute.ref_attr_name)}, an attribute of a function, outside of functions"
        return "has a value and refers to another attribute" if stored else ""
    if kind == "UNDEFINED":
        return "has no type"
    if len(stored) > 1:
        return "has values of several types"
    if stored - {FIELDS[kind]}:
        return f"is {kind}, and its value is of another type"
    if not stored and FIELDS[kind] not in (*REPEATED, "f", "i", "s"):
        return f"is {kind}, and has no value"
    return ""


def _type_of(attribute: onnx.AttributeProto) -> str:
    names = type(attribute).AttributeType
    return str(names.Name(attribute.type)) if attribute.type in names.values() else "UNDEFINED"


def _in_function(scope: Scope) -> bool:
    while scope.parent is not None:
        scope = scope.parent[0]
    return scope.is_function


def _known_domains(scope: Scope) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Nodes of ONNX's own domains that name an operator and whose domain is imported, each with that version."""
    own = {(one.domain, one.name) for one in scope.model.functions}
    for node in scope.graph.node:
        domain = domain_of(node.domain)
        version = scope.opsets.get(domain, 0)
        if domain in OWN_DOMAINS and version > 0 and node.op_type and (node.domain, node.op_type) not in own:
            yield node, version


def _with_schema(scope: Scope) -> Iterator[tuple[onnx.NodeProto, Any]]:
    """Nodes of ONNX's own domains with the schema of their operator, where there is one."""
    for node, _ in _known_domains(scope):
        schema = _schema(scope, node)
        if schema is not None:
            yield node, schema


def _schema(scope: Scope, node: onnx.NodeProto) -> Any:
    domain = domain_of(node.domain)
    return _lookup(text(node.op_type), scope.opsets[domain], domain)


@lru_cache(maxsize=4096)
def _lookup(operator: str, version: int, domain: str) -> Any:
    import onnx

    try:
        return onnx.defs.get_schema(operator, min(version, 2**31 - 1), domain)
    except onnx.defs.SchemaError:
        return None


RULES = (
    Rule(
        "SG730",
        "no-operator",
        "Every node names its operator.",
        "Export again.",
        no_operator,
    ),
    Rule(
        "SG731",
        "domain-not-imported",
        "A model, or a function, imports a version of each domain whose operators it uses.",
        "Import the domain; without a version the operator is not defined.",
        domain_not_imported,
    ),
    Rule(
        "SG732",
        "no-such-operator",
        "An operator of ONNX's own domains exists in the imported version.",
        "Import a version that has it, give a custom operator a domain of its own, or export again.",
        unknown_operator,
    ),
    Rule(
        "SG733",
        "deprecated-operator",
        "A deprecated operator is not part of its version any more.",
        "Convert the model to the version (onnx.version_converter), or export again.",
        deprecated,
    ),
    Rule(
        "SG734",
        "number-of-inputs-or-outputs",
        "A node has as many inputs and outputs as its operator.",
        "Import the version of the operators that the nodes were written for, or export again.",
        number_of_values,
    ),
    Rule(
        "SG735",
        "required-input-left-out",
        "Only optional inputs may be left out.",
        "Add the missing input.",
        input_left_out,
    ),
    Rule(
        "SG736",
        "unknown-attribute",
        "A node has only attributes that its operator knows.",
        "Remove the attribute, or import the version that has it.",
        unknown_attribute,
    ),
    Rule(
        "SG737",
        "missing-attribute",
        "A node has all attributes that its operator needs.",
        "Add the missing attribute.",
        missing_attribute,
    ),
    Rule(
        "SG738",
        "attribute-type",
        "An attribute has the type that the operator gives it.",
        "Write the value with the right type.",
        attribute_type,
    ),
    Rule(
        "SG739",
        "attribute-form",
        "An attribute has a name of its own, a type, and one value of that type.",
        "Write the attribute again with onnx.helper.make_attribute.",
        attribute_form,
    ),
)
