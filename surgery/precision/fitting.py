"""Says which units fit half precision by the range of their values, and keeps the others in float32 with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from surgery.precision.candidates import Candidates, Key, Unit, data_inputs, data_outputs
from surgery.precision.casts import HEADROOM, LARGEST, loses_values
from verify.model.walk import node_name


@dataclass(frozen=True)
class Stayed:
    """A node that computes float32 data in the result, and why."""

    name: str
    op: str
    why: str


Kept = dict[Key, Stayed]


def fitting(found: Candidates, precision: str, largest: Mapping[str, float], kept: Kept) -> dict[Unit, str]:
    """The precision each unit can take by the range of its values; those that fit none go to `kept`."""
    kinds = ("fp16", "bf16") if precision == "mixed" else (precision,)
    constants = {t.name: t for scope in found.scopes.values() for t in scope.graph.initializer}
    fits: dict[Unit, str] = {}
    for unit in found.units:
        touched = half_tensors(found, unit)
        allowed = kinds if unit.kind == "attention" else kinds[:1]
        whys = {kind: _too_large_or_small(unit, kind, touched, constants, largest) for kind in allowed}
        fitting = next((kind for kind, why in whys.items() if not why), None)
        if fitting is None:
            keep(found, unit, whys[kinds[0]], kept)
        else:
            fits[unit] = fitting
    return fits


def _too_large_or_small(
    unit: Unit,
    kind: str,
    touched: Sequence[tuple[str, str]],
    constants: Mapping[str, onnx.TensorProto],
    largest: Mapping[str, float],
) -> str:
    """What of the tensors of a unit a precision cannot hold, in words; "" where it can hold all.

    A weight or bias that becomes 0 takes its share from a sum, and the error shows how much; elsewhere it may divide.
    """
    zeros = unit.kind != "heavy"
    lost = next((n for _, n in touched if n in constants and loses_values(constants[n], kind, zeros=zeros)), "")
    if lost:
        return f"constant '{lost}' is {'0 or ' if zeros else ''}infinite in {kind}"
    size, name = max(((largest.get(n, 0.0), n) for path, n in touched if not path), default=(0.0, ""))
    return "" if size * HEADROOM <= LARGEST[kind] else f"'{name}' reaches {size:.3g}, too large for {kind}"


def keep(found: Candidates, unit: Unit, why: str, kept: Kept) -> None:
    """Note why the nodes of a unit stay in float32."""
    for key in unit.keys:
        kept[key] = Stayed(node_name(found.node(key)), found.node(key).op_type, why)


def keep_attention(found: Candidates, kept: Kept) -> None:
    for unit in found.units:
        if unit.kind == "attention":
            keep(found, unit, "--unfused-attention keeps attention in float32", kept)
    found.units = [unit for unit in found.units if unit.kind != "attention"]


def keep_odd_convolutions(found: Candidates, kept: Kept) -> None:
    """Leave convolutions over an odd number of channels in float32.

    In half precision TensorRT-RTX 1.7.1 gives them one channel more, from a constant as large as the image: 2.1 MB of
    weights for 1024 x 1024 pixels, whatever the kernel's size.
    """
    even = []
    for unit in found.units:
        scope, node = found.scopes[unit.keys[0][0]], found.node(unit.keys[0])
        weight = next((t for t in scope.graph.initializer if len(node.input) > 1 and t.name == node.input[1]), None)
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        channels = weight.dims[1] * group if unit.op == "Conv" and weight is not None else 0
        if channels % 2:
            why = f"reads {channels} channels; TensorRT pads an odd number of them with a stored constant"
            keep(found, unit, why, kept)
        else:
            even.append(unit)
    found.units = even


def half_tensors(found: Candidates, unit: Unit) -> list[tuple[str, str]]:
    """(path, name) of every tensor a unit would hold in half precision."""
    pairs = []
    for key in unit.keys:
        scope, node = found.scopes[key[0]], found.node(key)
        pairs += [(key[0], name) for name in (*data_inputs(scope, node), *data_outputs(scope, node))]
    return pairs
