"""The documented interface as Markdown tables."""

from __future__ import annotations

from verify.interface.spec import Spec, SpecFile


def render_table(spec: Spec) -> str:
    """The Markdown table of one module as README shows it; -1 stands for a dim that changes."""
    rows = ["| Index | Type | Name | Size | Description |", "|-------|------|------|------|-------------|"]
    kinds = ["Input"] * len(spec.inputs) + ["Output"] * len(spec.outputs)
    for index, (kind, port) in enumerate(zip(kinds, spec.ports, strict=True)):
        size = ", ".join(str(dim if isinstance(dim, int) else -1) for dim in port.dims)
        rows.append(f"| {index} | {kind} | {port.name} | [{size}] | {port.description} |")
    return "\n".join(rows)


def render_tables(spec_file: SpecFile, *, optional: bool = False) -> str:
    """Heading and table of every module (of every optional module), in the order of the spec file."""
    modules = [spec for spec in spec_file.modules.values() if spec.optional == optional]
    return "\n\n".join(f"### {spec.title}\n{render_table(spec)}" for spec in modules)
