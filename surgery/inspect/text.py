"""Descriptions of models as text and as JSON types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from surgery.inspect.compare import Change, changes
from surgery.inspect.weights import Total
from verify.render.text import port_text, visible
from verify.report import counted

if TYPE_CHECKING:
    from rich.console import Console

    from surgery.inspect.description import Description
    from surgery.inspect.targets import Refusals

INDENT = 16
LARGEST = 10
LONG = 200  # characters of a metadata value that are shown


def as_data(model: Description) -> dict[str, Any]:
    """JSON types; weights as their totals, their files, and the largest of them."""
    data = asdict(model)
    data["weights"] = {
        **asdict(model.weight_total),
        "by_type": data.pop("by_type"),
        "external_files": [
            {"file": file, **asdict(total), "file_bytes": size} for file, (total, size) in model.external.items()
        ],
        "largest": data["weights"][:LARGEST],
    }
    del data["external"]
    return data


def print_description(console: Console, model: Description, verbose: bool = False) -> None:
    """Print what a model contains; all of its weights and whole metadata if `verbose`."""
    console.print(visible(model.path), style="bold", soft_wrap=True)
    for label, lines in _rows(model, verbose):
        print_row(console, label, lines)
    console.print()


def print_comparison(console: Console, before: Description, after: Description) -> None:
    """Print what differs between two models."""
    console.print(visible(f"{before.path} -> {after.path}"), style="bold", soft_wrap=True)
    found = changes(before, after)
    if not found:
        print_row(console, "", ["no difference in interface, operators, weights, or what targets refuse"])
    for section in dict.fromkeys(change.section for change in found):
        print_row(console, section, list(map(_change_text, (one for one in found if one.section == section))))
    console.print()


def print_row(console: Console, label: str, lines: Sequence[str | list[str]]) -> None:
    """A label and its lines, wrapped with a hanging indent; a list becomes lines that break between its items."""
    from rich.text import Text

    width = max(console.width - INDENT, 20)
    for one in lines:
        texts = [one] if isinstance(one, str) else _filled(one, width)
        for line in (line for text in texts for line in Text(visible(text)).wrap(console, width, overflow="fold")):
            line.rstrip()
            console.print(Text.assemble("  ", (f"{label:{INDENT - 2}}", "dim"), line), soft_wrap=True)
            label = ""


def _filled(items: Sequence[str], width: int) -> list[str]:
    """The items as lines of at most `width` characters, where an item is not longer."""
    lines = [""]
    for item in items:
        if lines[-1] and len(lines[-1]) + len(item) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {item}".strip()
    return lines


def size_text(count: int) -> str:
    """Bytes for people: `361 bytes`, `12.3 kB`, `4.5 MB`, `1.2 GB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return counted(count, "byte")


def _rows(model: Description, verbose: bool) -> Iterator[tuple[str, Sequence[str | list[str]]]]:
    opsets = ", ".join(f"{domain} {version}" for domain, version in model.opsets.items()) or "none"
    made_by = f"; made by {model.producer}" if model.producer else ""
    yield "file", [f"{size_text(model.bytes)}; IR version {model.ir_version}; opset {opsets}{made_by}"]
    yield "inputs", list(map(port_text, model.inputs)) or ["none"]
    yield "outputs", list(map(port_text, model.outputs)) or ["none"]
    yield "dynamic dims", [f"{name}: {', '.join(places)}" for name, places in model.dynamic_dims.items()] or ["none"]
    yield "metadata", [f"{key}: {value if verbose else _short(value)}" for key, value in model.metadata.items()]
    yield "functions", [", ".join(model.functions)] if model.functions else []
    nested = f", and {model.nested_nodes:,} in graphs inside nodes and in functions" if model.nested_nodes else ""
    yield "nodes", [f"{model.nodes:,}{nested}"]
    yield "operators", [_counts(model.operators)] if model.operators else []
    yield "weights", [_total_text(model.weight_total)]
    if len(model.by_type) > 1 or model.external:
        yield "by type", [f"{dtype}: {_total_text(total)}" for dtype, total in model.by_type.items()]
    yield (
        "external files",
        [
            f"{file}: {counted(total.tensors, 'tensor')}, {size_text(total.bytes)} of {size_text(size)}"
            for file, (total, size) in model.external.items()
        ],
    )
    shown = model.weights if verbose else model.weights[:LARGEST]
    lines = [
        f"{port_text({'name': one.name, 'dtype': one.dtype, 'shape': one.shape})}  {size_text(one.bytes)}"
        for one in shown
    ]
    yield "largest", lines
    yield "ONNX breaches", [_breach(one) for one in (model.breaches if verbose else model.breaches[:LARGEST])]
    if not verbose and len(model.breaches) > LARGEST:
        yield "", [f"and {len(model.breaches) - LARGEST:,} more; -v lists all"]
    yield "refused nodes", [f"{target}: {_refused(found, model)}" for target, found in model.targets.items()]
    yield "", ["by surgeon's tables, without running TensorRT; surgeon diagnose runs it"]


def _breach(one: dict[str, str]) -> str:
    place = " in ".join(filter(None, (one["node"], one["path"])))
    return f"{one['code']} {one['severity']}: {place + ' ' if place else ''}{one['message']}"


def _refused(found: Refusals, model: Description) -> str:
    skipped = f" (not searched completely: {found.skipped})" if found.skipped else ""
    if not found.nodes:
        return f"none known{skipped}"
    nodes = f"{found.nodes:,} of {counted(model.nodes + model.nested_nodes, 'node')}"
    operators = ", ".join(f"{op} {count:,}" for op, count in found.operators.items())
    return f"{nodes}: {operators}; surgeon fix rewrites {found.fixable:,} of them{skipped}"


def _counts(operators: dict[str, int]) -> list[str]:
    items = [f"{op} {count:,}," for op, count in operators.items()]
    return [*items[:-1], items[-1].removesuffix(",")]


def _total_text(total: Total) -> str:
    return f"{counted(total.tensors, 'tensor')}, {counted(total.elements, 'element')}, {size_text(total.bytes)}"


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]} ... ({len(text):,} characters; -v shows all)"


def _change_text(change: Change) -> str:
    if isinstance(change.before, int) and isinstance(change.after, int):
        size = size_text if change.bytes else "{:,}".format
        more = change.after - change.before
        difference = f"{'+' if more > 0 else '-'}{size(abs(more))}"
        return f"{change.name}: {size(change.before)} -> {size(change.after)} ({difference})"
    if change.before is None or change.after is None:
        return f"{change.name}: {'added' if change.before is None else 'removed'} ({change.after or change.before})"
    return f"{change.name}: {change.before} -> {change.after}"
