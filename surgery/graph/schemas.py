"""Look-ups in ONNX's own operator schemas, cached per operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from verify.model.walk import domain_of

VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic


@cache
def schema(op: str, domain: str, version: int) -> Any:
    """The operator's schema at this opset version, or None where ONNX has none."""
    try:
        return onnx.defs.get_schema(op, version, domain_of(domain))
    except onnx.defs.SchemaError:
        return None


def fewest(op: str, domain: str, version: int) -> tuple[int, int]:
    """How many inputs and outputs a node of this operator must have; none where ONNX does not know it."""
    found = schema(op, domain, version) or _newest(op, domain)
    return (0, 0) if found is None else (int(found.min_input), int(found.min_output))


@cache
def _newest(op: str, domain: str) -> Any:
    try:
        return onnx.defs.get_schema(op, domain_of(domain))
    except onnx.defs.SchemaError:
        return None


def attribute_type(node: gs.Node, name: str) -> int | None:
    """AttributeProto type of an attribute by the newest schema of the operator, or None."""
    found = _newest(node.op, node.domain or "")
    if found is None or name not in found.attributes:
        return None
    return int(found.attributes[name].type.value)


def misfit(op: str, domain: str, version: int, kinds: Sequence[int], attributes: Iterable[str], outputs: int) -> str:
    """Why ONNX does not allow such a node at this opset; "" if it does, or if it does not know the operator's domain.

    Args:
        kinds: element type of each input; 0 for one that is left out or whose type is not known.
        attributes: names of the attributes the node has.
        outputs: how many outputs it has.
    """
    return _misfit(op, domain, version, tuple(kinds), frozenset(attributes), outputs)


@cache
def _misfit(
    op: str, domain: str, version: int, kinds: tuple[int, ...], attributes: frozenset[str], outputs: int
) -> str:
    known = schema(op, domain, version)
    if known is None or known.deprecated:
        return f"{op} is not in opset {version}" if _newest(op, domain) is not None else ""
    unknown = sorted(attributes - set(known.attributes))
    if unknown:
        return f"{op} has no '{unknown[0]}' in opset {version}"
    if len(kinds) > known.max_input or outputs > known.max_output:
        return f"{op} has fewer inputs or outputs in opset {version}"
    bound: dict[str, int] = {}
    for place, kind in enumerate(kinds):
        formal = known.inputs[min(place, len(known.inputs) - 1)]
        if not kind:
            continue
        name = f"tensor({onnx.TensorProto.DataType.Name(kind).lower()})"
        mixed = formal.option != VARIADIC or formal.is_homogeneous
        if name not in formal.types or (mixed and bound.setdefault(formal.type_str, kind) != kind):
            return f"{op} does not take {name} as '{formal.name}' in opset {version}"
    return ""


def first_opset(op: str, domain: str, kinds: Sequence[int], attributes: Iterable[str], outputs: int) -> int:
    """The first opset that allows such a node; 0 if none does."""
    names = frozenset(attributes)
    versions = range(1, onnx.defs.onnx_opset_version() + 1)
    return next((v for v in versions if not misfit(op, domain, v, kinds, names, outputs)), 0)
