"""Findings without TensorRT: those of the passes and of the target's table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import onnx

from surgery.diagnose.model_view import ModelView, port
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.rules.reasons import Reason, explain, of_code, of_feature, of_pass
from surgery.graph.read import to_graph
from surgery.graph.walk import every_graph, shown_name
from surgery.passes import all_passes
from surgery.pipeline.context import Context
from surgery.pipeline.opset import default_opset
from surgery.pipeline.options import Options
from surgery.pipeline.rule import Pass
from surgery.pipeline.run import wanted
from surgery.targets import Target
from surgery.targets.catalog import load_catalog
from surgery.targets.graph_facts import DTYPES, types_of
from surgery.targets.judge import Judge, Place, Ruling, places
from surgery.targets.table import Row
from surgery.targets.wrong_results import KIND, WrongResult, wrong_results
from verify.model.walk import domain_of, node_name, op_of, opsets_of
from verify.report import Finding


def pass_findings(
    model: onnx.ModelProto, folder: str, options: Options, kinds: Collection[str] = ()
) -> tuple[list[Finding], list[str]]:
    """Findings of every wanted pass, and the passes that failed to look ("SG012: message").

    Those of `replace` passes are warnings, because the target refuses what they find; all others are notes. With
    `kinds`, only passes of these kinds look.
    """
    graph = to_graph(model, folder)
    context = Context(options, opsets_of(model.opset_import))
    context.root = graph
    found: list[Finding] = []
    failed: list[str] = []
    for rule in all_passes():
        if not wanted(rule, context) or (kinds and rule.kind not in kinds):
            continue
        try:
            found += [
                _as_report(replace(finding, code=rule.code, path=path), rule)
                for inner, path in every_graph(graph)
                for finding in rule.find(inner, context)
            ]
        except Exception as error:  # a failing pass of a plug-in must not end the diagnosis
            failed.append(f"{rule.code}: {type(error).__name__}: {error}")
    return found, failed


def _as_report(finding: Finding, rule: Pass) -> Finding:
    text = rule_texts()[rule.code]
    return replace(
        finding,
        node=finding.node or (shown_name(finding.touches[0]) if finding.touches else ""),
        severity="warning" if rule.kind == "replace" else "note",
        why=finding.why or text.sections.get("Why", ""),
        advice=finding.advice or (text.sections.get("What it does", "") if rule.kind == "replace" else ""),
        fix=None,
        touches=(),
        details={**finding.details, "fixable": finding.fix is not None},
    )


def table_findings(view: ModelView, target: Target) -> list[Finding]:
    """Findings for nodes that the target's table refuses (errors) or does not cover (warnings), with the source."""
    judge = target.judge
    if judge is None:
        return []
    found = []
    for place in places(view.inferred, judge):
        found += [_of_place(place, view, target)] if place.ruling.state != "accepted" else []
        found += [_of_wrong_result(place, wrong, view, target, judge) for wrong in place.wrong]
    opset = judge.of_opset(default_opset(view.model))
    if opset.state != "accepted":
        found.append(_finding(of_code("SG835"), opset, target, {}))
    return [*_of_interface(view, judge, target), *found]


def wrong_result_findings(view: ModelView, target: Target) -> list[Finding]:
    """Findings for nodes that the target takes and computes as something else, and for nothing it refuses."""
    judge = target.judge
    if judge is None:
        return []
    found = places(view.inferred, judge)
    return [_of_wrong_result(place, wrong, view, target, judge) for place in found for wrong in place.wrong]


def only_by_pass(static: Iterable[Finding], target: Target) -> list[Finding]:
    """Findings of passes about what no condition of the table can tell, such as branches of different rank."""
    found = []
    for finding in static:
        feature = next((rule.feature for rule in all_passes() if rule.code == finding.code), "")
        row = target.judge.table.features.get(feature) if target.judge is not None else None
        if finding.severity != "warning" or (row is not None and row.ops) or feature in wrong_results():
            continue
        refused = target.state(feature) == "refused"
        found.append(replace(finding, severity="error" if refused else "warning"))
    return found


def _of_interface(view: ModelView, judge: Judge, target: Target) -> Iterator[Finding]:
    """Graph inputs, outputs and initializers of a dtype that the target does not have."""
    graph = view.model.graph
    tensors = [(value.name, value.type.tensor_type.elem_type, "io-dtype") for value in (*graph.input, *graph.output)]
    tensors += [(tensor.name, tensor.data_type, "initializer-dtype") for tensor in graph.initializer]
    for name, dtype, feature in tensors:
        if DTYPES.get(dtype, "") in judge.table.never:
            ruling = Ruling("refused", f"there is no dtype {DTYPES[dtype]}", judge.table.dtypes)
            details = {"inputs": [port(name, view.types)]}
            yield replace(_finding(of_feature(load_catalog()[feature]), ruling, target, details), node=name)


def _of_place(place: Place, view: ModelView, target: Target) -> Finding:
    node, row = place.node, place.ruling.row
    op, domain = node.op_type, domain_of(node.domain)
    if place.ruling.state == "unknown":
        reason = of_code("SG846")
    elif row is not None and row.when:
        reason = _of_row(row, op)
    else:
        reason = explain("", op, domain)
    details = view.details(node, types_of(view.model.graph))
    if not place.path:
        details["neighbourhood"] = view.neighbourhood(place.index)
    found = _finding(reason, place.ruling, target, details)
    return replace(found, node=node_name(node), op=op_of(node), path=place.path, where=view.where(node))


def _of_row(row: Row, op: str) -> Reason:
    """The reason of a row with a condition: the catalog's, that of the pass for it, or none."""
    known = load_catalog()
    features = [known[key] for key in row.features if key in known]
    own = [feature for feature in features if feature.op == op] or features
    if own:
        return of_feature(own[0])
    rule = next((rule for rule in all_passes() if rule.feature and rule.feature in row.features), None)
    return of_pass(rule_texts()[rule.code]) if rule is not None else of_code("SG800")


def _of_wrong_result(place: Place, wrong: WrongResult, view: ModelView, target: Target, judge: Judge) -> Finding:
    """The finding for a node that the target takes and computes as something else."""
    certain = wrong.certain(judge.version)
    text = rule_texts()[wrong.code]
    details = view.details(place.node, types_of(view.model.graph))
    if not place.path:
        details["neighbourhood"] = view.neighbourhood(place.index)
    return Finding(
        code=wrong.code,
        message=f"{target.label} {'computes' if certain else 'may compute'} something else: {wrong.says}",
        node=node_name(place.node),
        op=op_of(place.node),
        path=place.path,
        why=text.sections.get("Why", text.title),
        advice=text.sections.get("What to do", text.sections.get("What it does", "")),
        where=view.where(place.node),
        severity="error" if certain else "warning",
        details={**details, "kind": KIND, "fixable": False, "source": wrong.source},
    )


def _finding(reason: Reason, ruling: Ruling, target: Target, details: Mapping[str, Any]) -> Finding:
    row = ruling.row
    source = f"{row.kind}: {row.source}" if row is not None and row.source else ""
    refused = ruling.state == "refused"
    what = ruling.says or reason.name.replace("-", " ")
    return Finding(
        code=reason.code,
        message=f"{target.label} {'refuses it' if refused else 'may refuse it'}: {what}",
        why=reason.reason,
        advice=reason.advice,
        severity="error" if refused else "warning",
        details={**details, "rtx_only": reason.rtx_only, "fixable": False, **({"source": source} if source else {})},
    )
