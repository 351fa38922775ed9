"""Finds the refusals that `surgeon fix` repairs: the passes run on a copy, which the target then judges again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import onnx

from surgery.diagnose.model_view import ModelView
from surgery.diagnose.static import table_findings
from surgery.passes import all_passes
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from surgery.targets import Target
from verify.model.walk import every_node, node_name
from verify.report import Finding

REPLACES = "surgeon.replaces"


def fixed_copy(view: ModelView, folder: str, options: Options) -> onnx.ModelProto | None:
    """The model after the passes, not compared with the original; None if they change nothing or fail.

    Every node has a name in it, so that `mark` can tell from which node a rewritten one comes.
    """
    named = onnx.ModelProto()
    named.CopyFrom(view.model)
    for node in every_node(named):
        node.name = node_name(node)
    try:
        fixed = apply_passes(named, folder, all_passes(), options).model
    except Exception:  # if a pass fails in any way, `surgeon fix` repairs nothing
        return None
    return None if fixed is named else fixed


def mark(
    findings: Iterable[Finding], original: ModelView, fixed: ModelView, left: Sequence[Finding], complete: bool
) -> list[Finding]:
    """The findings with `fixable` set: whether the judge, who refused their nodes, accepts what became of them.

    left      what the judge refuses of the fixed model
    complete  the judge has seen all of the fixed model; otherwise a finding's node must be gone as well
    """
    nodes = {node.name: node for node in every_node(fixed.model)}
    refused = {name for finding in left for name in _origins(finding, original, fixed, nodes)}
    without_node = {finding.code for finding in left if not finding.node}

    def is_fixed(finding: Finding) -> bool:
        if not finding.node:
            return finding.code not in without_node
        kept = nodes.get(finding.node)
        gone = kept is None or kept.op_type != finding.op.rpartition("::")[2]
        return finding.node not in refused and (complete or gone)

    return [replace(found, details={**found.details, "fixable": is_fixed(found)}) for found in findings]


def mark_by_table(
    refused: list[Finding], view: ModelView, folder: str, options: Options, target: Target
) -> list[Finding]:
    """The findings with `fixable` set by the target's table, which judges what the passes make of a copy."""
    fixed = fixed_copy(view, folder, options) if refused else None
    if fixed is None:
        return refused
    fixed_view = ModelView(fixed)
    return mark(refused, view, fixed_view, table_findings(fixed_view, target), True)


def _origins(
    finding: Finding, original: ModelView, fixed: ModelView, nodes: Mapping[str, onnx.NodeProto]
) -> Collection[str]:
    """Names of the original nodes that a refused node of the fixed model comes from."""
    node = nodes.get(finding.node)
    if node is None:
        return {finding.node}
    noted = {entry.value for entry in node.metadata_props if entry.key == REPLACES}
    return noted or {finding.node, *_next_originals(node, original, fixed)}


def _next_originals(node: onnx.NodeProto, original: ModelView, fixed: ModelView) -> Iterator[str]:
    """Makers, in the original, of the first tensors downstream of `node` that the original has as well."""
    seen, todo = set[str](), list(node.output)
    while todo:
        name = todo.pop()
        if name in original.made_by:
            yield node_name(original.nodes[original.made_by[name]])
            continue
        for reader in fixed.readers.get(name, []):
            more = [output for output in fixed.nodes[reader].output if output not in seen]
            seen.update(more)
            todo += more
