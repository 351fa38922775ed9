"""Refusals turned into findings: place, reason, advice, and whether `surgeon fix` does the rewrite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from surgery.diagnose.reasons import Reason, explain
from surgery.diagnose.subject import Subject, domain_of, name_of, op_of, port
from verify.report import Finding, Severity
from verify.tensorrt import Refusal

PREFIX = re.compile(r"^(Invalid Node - [^\n]*\n|In node -?\d+ with name:.*?: |Assertion failed: )")


def tidy(message: str) -> str:
    """TensorRT's words without what it puts before every message; a bare "false" is marked as all there is."""
    before = ""
    while before != message:
        before, message = message, PREFIX.sub("", message.strip())
    return f"{message or 'nothing'} (TensorRT says no more)" if message in ("", "false", "0") else message


def of_node(subject: Subject, index: int, refusal: Refusal, path: str = "", stage: str = "parser") -> Finding:
    """The finding for a refused node of `subject`'s main graph."""
    node = subject.nodes[index]
    inner = bool(refusal.stack) and refusal.op != node.op_type
    op = refusal.op if inner else node.op_type
    reason = explain(refusal.message, op, "" if inner else domain_of(node.domain), "parser", refusal.code)
    return _finding(
        reason,
        refusal.message,
        stage=f"{stage} ({refusal.code})",
        node=(refusal.node_name or op) if inner else name_of(node),
        op=op if inner else op_of(node),
        path=path,
        where=subject.where(node),
        details={**({} if inner else subject.details(node)), "neighbourhood": subject.neighbourhood(index)},
    )


def of_builder(subject: Subject, group: tuple[int, ...], message: str, reason: Reason) -> Finding:
    """The finding for nodes that make the builder fail together; the last of them stands for all."""
    if not group:
        return _finding(reason, message, stage="builder", node="", op="", path="", where="", details={})
    node = subject.nodes[group[-1]]
    details = {**subject.details(node), "neighbourhood": subject.neighbourhood(group[-1])}
    if len(group) > 1:
        details["together_with"] = [name_of(subject.nodes[index]) for index in group[:-1]]
    name, op = name_of(node), op_of(node)
    return _finding(
        reason, message, stage="builder", node=name, op=op, path="", where=subject.where(node), details=details
    )


def of_model(subject: Subject, refusal: Refusal) -> Finding:
    """The finding for a refusal of the whole model, or of one of its inputs, outputs or initializers."""
    reason = explain(refusal.message, refusal.op, "", "parser", refusal.code)
    details = {"inputs": [port(refusal.tensor, subject.types)]} if refusal.tensor else {}
    node, op = (refusal.tensor, "") if refusal.tensor else (refusal.node_name, refusal.op)
    stage = f"parser ({refusal.code})"
    return _finding(reason, refusal.message, stage=stage, details=details, node=node, op=op, path="", where="")


def _finding(
    reason: Reason, says: str, *, stage: str, details: Mapping[str, Any], node: str, op: str, path: str, where: str
) -> Finding:
    words = reason.name.replace("-", " ")
    return Finding(
        code=reason.code,
        message=f"refused by the {stage}: {words}",
        why=reason.reason,
        advice=reason.advice,
        severity="error",
        details={**details, "says": tidy(says), "rtx_only": reason.rtx_only, "fixable": False},
        node=node,
        op=op,
        path=path,
        where=where,
    )


def join(refused: Iterable[Finding], static: Iterable[Finding], judged: bool) -> list[Finding]:
    """Refusals first, each told whether a pass mends its node; then the static findings that say something else.

    `judged` says that the parser and the builder have had their say: what they accepted is no more than a note then.
    """
    statics = list(static)
    mended = {(finding.path, finding.node) for finding in statics if finding.details.get("fixable")}
    errors = [
        replace(finding, details={**finding.details, "fixable": (finding.path, finding.node) in mended})
        for finding in refused
    ]
    places = {(finding.path, finding.node) for finding in errors}
    rest = [finding for finding in statics if (finding.path, finding.node) not in places or finding.severity == "note"]
    demoted: Severity = "note" if judged else "error"
    return errors + [
        replace(finding, severity=demoted) if finding.severity == "warning" else finding for finding in rest
    ]
