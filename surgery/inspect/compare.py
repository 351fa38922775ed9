"""Finds the differences between two models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verify.render.text import port_text

if TYPE_CHECKING:
    from surgery.inspect.description import Description


@dataclass(frozen=True)
class Change:
    """A value that differs: `before` or `after` is None where one of the models does not have it.

    bytes  whether the values are sizes in bytes
    """

    section: str
    name: str
    before: int | str | None
    after: int | str | None
    bytes: bool = False


def changes(before: Description, after: Description) -> list[Change]:
    """Everything that differs between two models, section by section."""
    return [change for change in _pairs(before, after) if change.before != change.after]


def _pairs(old: Description, new: Description) -> Iterator[Change]:
    yield Change("file", "size", old.bytes, new.bytes, bytes=True)
    yield Change("file", "IR version", old.ir_version, new.ir_version)
    yield from _mapped("opset", old.opsets, new.opsets)
    yield from _ports("inputs", old.inputs, new.inputs)
    yield from _ports("outputs", old.outputs, new.outputs)
    yield from _mapped("metadata", old.metadata, new.metadata)
    yield Change("nodes", "main graph", old.nodes, new.nodes)
    yield Change("nodes", "nested", old.nested_nodes, new.nested_nodes)
    pairs = {
        op: (old.operators.get(op, 0), new.operators.get(op, 0)) for op in sorted({*old.operators, *new.operators})
    }
    for op, (before, after) in sorted(pairs.items(), key=lambda item: -abs(item[1][1] - item[1][0])):
        yield Change("operators", op, before, after)
    yield Change("weights", "tensors", old.weight_total.tensors, new.weight_total.tensors)
    yield Change("weights", "elements", old.weight_total.elements, new.weight_total.elements)
    yield Change("weights", "size", old.weight_total.bytes, new.weight_total.bytes, bytes=True)
    for dtype in {**old.by_type, **new.by_type}:
        yield Change("weights", f"size of {dtype}", _size(old, dtype), _size(new, dtype), bytes=True)
    yield Change("ONNX breaches", "all", len(old.breaches), len(new.breaches))
    for target in old.targets:
        yield Change("refused nodes", target, old.targets[target].nodes, new.targets[target].nodes)


def _ports(section: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    before, after = (
        {str(port["name"]): port_text({**port, "name": ""}).strip() for port in ports} for ports in (old, new)
    )
    yield from _mapped(section, before, after)
    if set(before) == set(after):
        yield Change(section, "order", ", ".join(before), ", ".join(after))


def _mapped(section: str, old: Mapping[str, int | str], new: Mapping[str, int | str]) -> Iterator[Change]:
    for name in {**old, **new}:
        yield Change(section, name, old.get(name), new.get(name))


def _size(model: Description, dtype: str) -> int:
    return model.by_type[dtype].bytes if dtype in model.by_type else 0
