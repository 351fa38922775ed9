"""Raises the opset of a model: by conversion before opset 7, by a new number alone where no operator changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import onnx

from surgery.graph.schemas import schema
from surgery.targets import Target
from verify.model.infer import infer_types
from verify.model.walk import Operator, dims_of, domain_of, fed_inputs, operators, opsets_of

MODERN = 17  # every operator of a model before opset 7 has a converter up to here
PLAIN = 13  # first opset with axes and Split sizes as inputs, which the passes write
PARTLY = (
    "Loop",
    "OneHot",
    "QuantizeLinear",
    "DequantizeLinear",
    "MaxPool",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceInsert",
    "SplitToSequence",
    "ScatterElements",
)
REDEFINED = (
    "BatchNormalization", "GroupNormalization", "Softmax", "LogSoftmax", "Hardmax", "OneHot", "Resize", "RoiAlign",
)  # fmt: skip
EXTENDED = {("Shape", "end")}  # later attributes without a default: leaving them out keeps the old meaning
OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional
WRONG = ("PRelu",)  # the converter does not adapt PRelu's slope to the broadcasting rules of opset 7


def lift(model: onnx.ModelProto, target: Target) -> tuple[onnx.ModelProto, str]:
    """The model in an opset the target reads, and what was done ("" for nothing).

    A model before opset 7 goes through ONNX's version converter, since elementwise operators broadcast by other rules
    there. One from opset 7 to 12 that has an operator the target refuses is restamped, so that the rewrites can use
    the operators of today, and only where every operator has the same schema at both.
    """
    version = default_opset(model)
    if not 0 < version < PLAIN or target.refuses("opset-6") is None or model.functions:
        return model, ""
    if version >= 7:
        found = operators(model.graph)
        refused = any(refuses(target, op, domain) for op, domain, _ in found)
        raised = restamped(model, found, PLAIN) if refused else None
        return (model, "") if raised is None else (raised, f"opset {version} reads as {PLAIN} unchanged")
    try:
        converted = modern(onnx.version_converter.convert_version(prepared(model), MODERN))
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises RuntimeError, IndexError and its own kinds
        return model, f"opset {version} could not be converted: {error}"
    if interface(converted) != interface(model):
        return model, f"opset {version} could not be converted: the converter changed the interface"
    return converted, f"converted from opset {version} to {MODERN}"


def for_declined(operators: Iterable[Operator], version: int, declined: Iterable[int]) -> int:
    """An opset that allows the declined rewrites and in which every node means the same; 0 if there is none.

    Args:
        operators: those of every node.
        version: the present opset.
        declined: the opset that each rewrite needs.
    """
    wanted = [opset for opset in declined if version < opset <= MODERN]
    known = {(op, attributes) for op, domain, attributes in operators if not domain_of(domain)} if wanted else set()
    for later in (max(*wanted, PLAIN), max(wanted), min(wanted)) if wanted else ():
        if all(means_the_same(op, "", (version, later), attributes) for op, attributes in known):
            return later
    return 0


def for_reading(operators: Sequence[tuple[str, str, frozenset[str]]], version: int, target: Target) -> int:
    """The opset as which `lift` reads a model of these operators (see `for_declined`), or 0 where it changes none."""
    if not 7 <= version < PLAIN or target.refuses("opset-6") is None:
        return 0
    refused = any(refuses(target, op, domain_of(domain)) for op, domain, _ in operators)
    known = {(op, attributes) for op, domain, attributes in operators if not domain_of(domain)}
    same = refused and all(means_the_same(op, "", (version, PLAIN), attributes) for op, attributes in known)
    return PLAIN if same else 0


def refuses(target: Target, op: str, domain: str) -> bool:
    """Whether the target refuses every form of this operator, or some forms."""
    return target.refuses(f"op:{domain}::{op}" if domain else f"op:{op}") is not None or (
        op in PARTLY and target.name.startswith("tensorrt")
    )


def interface(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """Names of the inputs a caller feeds, and of the outputs."""
    return [value.name for value in fed_inputs(model.graph)], [value.name for value in model.graph.output]


def modern(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a converted model to IR version 8: no initializer is listed as an input, no type is left blank."""
    typed = [info for info in model.graph.value_info if info.type.tensor_type.elem_type]
    del model.graph.value_info[:]
    model.graph.value_info.extend(typed)
    if model.ir_version < 4:
        inputs = fed_inputs(model.graph)
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 8)
    return model


def default_opset(model: onnx.ModelProto) -> int:
    """Version of the default domain the model imports (0 where it imports none)."""
    return opsets_of(model.opset_import).get("", 0)


def restamped(model: onnx.ModelProto, found: Iterable[Operator], version: int) -> onnx.ModelProto | None:
    """The same nodes under a later version of the default domain, or None where one of them means something else.

    Args:
        found: the operators of the model.
    """
    old = default_opset(model)
    if any(not domain and not means_the_same(op, "", (old, version), attributes) for op, domain, attributes in found):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for entry in copy.opset_import:
        if not domain_of(entry.domain):
            entry.version = version
    return copy


@cache
def means_the_same(op: str, domain: str, opsets: tuple[int, int], attributes: frozenset[str]) -> bool:
    """Whether a node with these attributes means the same at both opsets.

    It does if the operator is the same at both, or has only gained types, optional inputs and attributes with
    defaults, and has lost none of the node's own attributes.
    """
    first, second = (schema(op, domain, opset) for opset in opsets)
    if op == "Constant":  # later opsets only added attributes to it
        return True
    if op == "LayerNormalization" and first is None:  # onnxruntime writes it at earlier opsets too
        return second is not None
    if first is None or second is None or second.deprecated or op in REDEFINED:
        return bool(first and second and first.since_version == second.since_version)
    inputs, later = ([(i.name, i.option) for i in known.inputs] for known in (first, second))
    if later[: len(inputs)] != inputs or any(option != OPTIONAL for _, option in later[len(inputs) :]):
        return False
    for name, attribute in second.attributes.items():
        old = first.attributes.get(name)
        if old is None and not attribute.default_value.name and (op, name) not in EXTENDED:
            return False
        if old is not None and (old.type, old.default_value) != (attribute.type, attribute.default_value):
            return False
    lost = set(first.attributes) - set(second.attributes)
    return not any(name in attributes or first.attributes[name].default_value.name for name in lost)


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model before opset 7 in which nodes that the converter gets wrong are written so that it does not.

    The slope of PRelu ran along axis 1 before opset 7, and is broadcast from the last axis since.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    ranks = _ranks(copy)
    shapes = {tensor.name: tensor for tensor in copy.graph.initializer}
    for node in copy.graph.node:
        rank = ranks.get(node.input[0]) if node.op_type in WRONG else None
        slope = shapes.get(node.input[1]) if rank is not None else None
        if slope is not None and rank is not None and len(slope.dims) == 1 and slope.dims[0] > 1:
            slope.dims.extend([1] * (rank - 2))
            for info in copy.graph.input:
                if info.name == slope.name:
                    info.CopyFrom(onnx.helper.make_tensor_value_info(slope.name, slope.data_type, slope.dims))
        elif node.op_type in WRONG and (rank is None or slope is None):
            raise ValueError("PRelu with a slope whose shape is not known")
    return copy


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    graph = infer_types(model).graph
    infos = (*graph.input, *graph.value_info, *graph.output)
    dims = {info.name: dims_of(info.type.tensor_type) for info in infos}
    return {name: len(found) for name, found in dims.items() if found is not None}
