"""Findings that need no TensorRT: those of the passes and of the target's table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import onnx

from surgery.diagnose.model_view import ModelView
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.rules.reasons import explain, refused_operator
from surgery.graph.read import to_graph
from surgery.graph.walk import every_graph
from surgery.graph.walk import node_name as name_of
from surgery.passes import all_passes
from surgery.pipeline.context import Context
from surgery.pipeline.options import Options
from surgery.pipeline.rule import Pass
from surgery.pipeline.run import wanted
from verify.model.walk import domain_of, node_name, op_of, opsets_of, subgraphs
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
        node=finding.node or (name_of(finding.touches[0]) if finding.touches else ""),
        severity="warning" if rule.kind == "replace" else "note",
        why=finding.why or text.sections.get("Why", ""),
        advice=finding.advice or (text.sections.get("What it does", "") if rule.kind == "replace" else ""),
        fix=None,
        touches=(),
        details={**finding.details, "fixable": finding.fix is not None},
    )


def table_findings(view: ModelView, target: str) -> Iterator[Finding]:
    """Nodes whose operator the target's table refuses whatever its attributes, in the main graph and its subgraphs."""
    yield from _table(view, list(view.nodes), "", target)


def _table(view: ModelView, nodes: list[onnx.NodeProto], path: str, target: str) -> Iterator[Finding]:
    functions = {(domain_of(function.domain), function.name) for function in view.model.functions}
    for index, node in enumerate(nodes):
        domain = domain_of(node.domain)
        said = refused_operator(node.op_type, domain, target)
        unknown = domain and not domain.startswith("ai.onnx") and (domain, node.op_type) not in functions
        if said is not None or unknown:
            message = (said or "parser: Plugin not found").partition(": ")[2].removeprefix(f"{node.op_type} ")
            reason = explain(message, node.op_type, domain)
            yield Finding(
                code=reason.code,
                message=f"{target} refuses this operator",
                node=node_name(node),
                op=op_of(node),
                path=path,
                why=reason.reason,
                advice=reason.advice,
                where=view.where(node),
                severity="error",
                details={
                    **view.details(node),
                    "rtx_only": reason.rtx_only,
                    "fixable": False,
                    **({} if path else {"neighbourhood": view.neighbourhood(index)}),
                },
            )
        for attribute, graph in subgraphs(node):
            yield from _table(
                view, list(graph.node), f"{path}{'/' if path else ''}{node_name(node)}/{attribute}", target
            )
