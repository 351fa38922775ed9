"""Initializers with the same values.

What it does: keeps the first of them and connects all readers to it.
Why: the file gets smaller, and equal nodes that read equal weights can be joined.
Before → After: `a = [1, 2]; b = [1, 2]` → `a`
Leaves alone: graph outputs, defaults of graph inputs, scales of quantization annotations, and pairs that differ in type
or shape. External data counts as equal when it is the same range of bytes in the same file; the data is not read.
Numerics: exact: bytes are compared, so 0.0 and -0.0 differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_uses
from surgery.graph.nodes import Stored
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.model.external import external_entry
from verify.report import Finding as Found

ENDS = 64  # bytes


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    alike: dict[Any, list[gs.Constant]] = {}
    for constant in constants(graph):
        if context.is_output(graph, constant) or not constant.outputs:
            continue
        kept = _earlier(constant, alike.setdefault(_sample(constant, context), []), context)
        if kept is not None:
            message = f"initializer '{constant.name}' has the values of '{kept.name}'"
            yield Found(code="", message=message, fix=partial(replace_uses, constant, kept))


def _earlier(constant: gs.Constant, alike: list[gs.Constant], context: Context) -> gs.Constant | None:
    """The first of `alike` with the values of a constant; where there is none, the constant becomes one of them."""
    if len(alike) == 1 and (same := _same_bytes(constant._values, alike[0]._values)) is not None:
        kept = alike[0] if same else None  # comparing two takes less time than hashing both
    else:
        key = fingerprint(constant, context) if alike else None
        kept = next((other for other in alike if key is not None and fingerprint(other, context) == key), None)
    if kept is None:
        alike.append(constant)
    return kept


def _same_bytes(one: Any, other: Any) -> bool | None:
    """Whether the bytes of two initializers are the same; None unless both are as read and have raw bytes."""
    if not all(isinstance(values, Stored) and _is_raw(values) for values in (one, other)):
        return None
    return bool(one.tensor.raw_data == other.tensor.raw_data)


def _is_raw(values: Stored) -> bool:
    return not values.sparse and values.dtype is not None and not values.external and values.tensor.HasField("raw_data")


def constants(graph: gs.Graph) -> list[gs.Constant]:
    """Constants that nodes of this graph read, once each, in order."""
    found = {id(t): t for node in graph.nodes for t in node.inputs if isinstance(t, gs.Constant)}
    return list(found.values())


def fingerprint(constant: gs.Constant, context: Context) -> Any:
    """A key of type, shape and bytes, cached on the constant; None if the constant cannot be compared."""
    known = getattr(constant, "fingerprint", None)
    values = constant._values
    if known is not None and known[0] is values:
        return known[1]
    key = _key(values)
    constant.fingerprint = (values, key)
    return key


def _sample(constant: gs.Constant, context: Context) -> Any:
    """A key that equal constants share, which of a large one holds the ends of its bytes only; cached."""
    values = constant._values
    if values.nbytes <= 2 * ENDS:
        return fingerprint(constant, context)
    known = getattr(constant, "sample", None)
    if known is None or known[0] is not values:
        known = constant.sample = (values, (str(values.dtype), tuple(values.shape), _ends(values)))
    return known[1]


def _ends(values: Any) -> bytes:
    if isinstance(values, Stored):
        if values.sparse or values.dtype is None or values.external:
            return b""
        if values.tensor.HasField("raw_data"):
            data = values.tensor.raw_data
            return bytes(data[:ENDS] + data[-ENDS:])
        values = values.load()
    if values.dtype.kind == "O":
        return b""
    flat = np.ascontiguousarray(values).reshape(-1)
    count = -(-ENDS // values.dtype.itemsize)
    return bytes(flat[:count].tobytes()[:ENDS] + flat[-count:].tobytes()[-ENDS:])


def _key(values: Any) -> Any:
    if isinstance(values, Stored):
        if values.sparse or values.dtype is None:
            return None
        head = (str(values.dtype), tuple(values.shape))
        if values.external:
            return (*head, values.folder, *external_entry(values.tensor))
        if values.tensor.HasField("raw_data"):
            return (*head, _digest(values.tensor.raw_data))
        values = values.load()
    if values.dtype.kind == "O":
        return (str(values.dtype), values.shape, repr(values.tolist()))
    return (str(values.dtype), tuple(values.shape), _digest(np.ascontiguousarray(values).tobytes()))


def _digest(data: bytes) -> bytes:
    return data if len(data) <= 32 else hashlib.blake2b(data, digest_size=32).digest()


PASS = Pass(code="SG008", name="duplicate-initializer", find=find, exact=True)
