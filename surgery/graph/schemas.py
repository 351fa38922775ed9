"""What ONNX's own operator schemas say, asked once per operator."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from verify.model.walk import domain_of


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
