"""Refusals as findings: place, reason, advice, and whether `surgeon fix` does the rewrite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from surgery.diagnose.model_view import ModelView, port
from surgery.diagnose.rules.reasons import Reason, explain, of_feature
from surgery.diagnose.search.subgraphs import named_inside
from surgery.targets.catalog import load_catalog
from verify.model.walk import domain_of, node_name, op_of, subgraphs
from verify.report import Finding, Severity
from verify.tensorrt.engine import BuildResult, Refusal

UNKNOWN = ("refused-by-parser", "refused-by-builder")
PREFIX = re.compile(r"^(Invalid Node - [^\n]*\n|In node -?\d+ with name:.*?: |Assertion failed: )")


def tidy(message: str) -> str:
    """TensorRT's message without the prefix of all its messages; a bare "false" becomes a sentence."""
    before = ""
    while before != message:
        before, message = message, PREFIX.sub("", message.strip())
    return "TensorRT gives no reason" if message in ("", "false", "0") else message


def of_node(view: ModelView, index: int, refusal: Refusal, path: str = "") -> Finding:
    """The finding for a refused node of `view`'s main graph."""
    node = view.nodes[index]
    inner = bool(refusal.op) and refusal.op != node.op_type and (bool(refusal.stack) or any(subgraphs(node)))
    op = refusal.op if inner else node.op_type
    reason = explain(refusal.message, op, "" if inner else domain_of(node.domain), "parser", refusal.code)
    if node.op_type == "Loop" and reason.feature == "undefined-input" and not all([*node.input, "", ""][:2]):
        reason, inner, op = of_feature(load_catalog()["loop-input-omitted"]), False, node.op_type
    return _finding(
        reason,
        refusal.message,
        stage="parser",
        error=refusal.code,
        node=(refusal.node_name or op) if inner else node_name(node),
        op=op if inner else op_of(node),
        path=path,
        where=view.where(node),
        details={**({} if inner else view.details(node)), "neighbourhood": view.neighbourhood(index)},
    )


def of_builder(view: ModelView, group: tuple[int, ...], message: str, reason: Reason) -> Finding:
    """The finding for nodes that together make the builder fail; it carries the name of the last of them.

    Where the message names a node inside the last one, as in a branch of If, the finding is about that node.
    """
    if not group:
        return _finding(reason, message, stage="builder", details={})
    node = view.nodes[group[-1]]
    inside = named_inside(node, message)
    details = {**view.details(node), "neighbourhood": view.neighbourhood(group[-1])}
    if len(group) > 1:
        details["together_with"] = [node_name(view.nodes[index]) for index in group[:-1]]
    path, cause = inside or ("", node)
    if inside:
        details |= {"inputs": [], "outputs": []}
    return _finding(
        reason,
        message,
        stage="builder",
        node=node_name(cause),
        op=op_of(cause),
        path=path,
        where=view.where(node),
        details=details,
    )


def of_model(view: ModelView, refusal: Refusal) -> Finding:
    """The finding for a refusal of the whole model, or of one of its inputs, outputs or initializers."""
    reason = explain(refusal.message, refusal.op, "", "parser", refusal.code)
    if reason.feature == "initializer-dtype" and _is_zero_point(view, refusal.tensor):
        reason = of_feature(load_catalog()["quantize-16-bit"])
    details = {"inputs": [port(refusal.tensor, view.types)]} if refusal.tensor else {}
    node, op = (refusal.tensor, "") if refusal.tensor else (refusal.node_name, refusal.op)
    return _finding(reason, refusal.message, stage="parser", error=refusal.code, details=details, node=node, op=op)


def _is_zero_point(view: ModelView, tensor: str) -> bool:
    readers = (node for node in view.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear"))
    return any(tensor in node.input[2:3] for node in readers)


def of_profile(view: ModelView, result: BuildResult) -> list[Finding]:
    """A note for a model whose dynamic inputs were built with guessed sizes, with the flags that give the sizes."""
    own = {value.name for value in view.model.graph.input}
    profiles = {name: spans for name, spans in result.profiles.items() if name in own}
    if not result.derived or not profiles:
        return []
    reason = of_feature(load_catalog()["profile"])
    flags = []
    for flag, point in (("min", 0), ("opt", 1), ("max", 2)):
        sizes = ",".join(f"{name}:{'x'.join(map(str, spans[point]))}" for name, spans in profiles.items())
        flags.append(f"--{flag}Shapes={sizes}")
    count = f"{len(profiles)} dynamic input{'' if len(profiles) == 1 else 's'}"
    return [
        Finding(
            code=reason.code,
            message=f"{count} without an optimization profile; this build used guessed sizes",
            why=reason.reason,
            advice="Give trtexec the sizes you mean, in the form of the flags below (--input-shape here).",
            severity="note",
            details={"inputs": [port(name, view.types) for name in profiles], "flags": flags, "fixable": False},
        )
    ]


def _finding(
    reason: Reason,
    says: str,
    *,
    stage: str,
    details: Mapping[str, Any],
    error: str = "",
    node: str = "",
    op: str = "",
    path: str = "",
    where: str = "",
) -> Finding:
    what = "" if reason.name in UNKNOWN else f": {reason.name.replace('-', ' ')}"
    return Finding(
        code=reason.code,
        message=f"the {stage} refuses it{f' ({error})' if error else ''}{what}",
        why=reason.reason,
        advice=reason.advice,
        severity="error",
        details={**details, "says": tidy(says), "rtx_only": reason.rtx_only, "fixable": False},
        node=node,
        op=op,
        path=path,
        where=where,
    )


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding where TensorRT refuses one node twice for the same reason, with both messages."""
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.path, finding.node)
        first = found.setdefault(key, finding)
        if first is not finding and finding.node and finding.details["says"] not in first.details["says"]:
            says = f"{first.details['says']}\n{finding.details['says']}"
            found[key] = replace(first, details={**first.details, "says": says})
        elif first is not finding and not finding.node:
            found[(*key[:2], finding.details["says"])] = finding
    return list(found.values())


def join(refused: Iterable[Finding], static: Iterable[Finding], otherwise: Severity) -> list[Finding]:
    """Refusals first, then the static findings about other nodes.

    `otherwise` is the severity of a `replace` pass's finding where TensorRT itself has not refused the node: a note
    when TensorRT has accepted the file, an error when it is not installed.
    """
    statics, errors = list(static), list(refused)
    places = {(finding.path, finding.node) for finding in errors}
    rest = [finding for finding in statics if (finding.path, finding.node) not in places or finding.severity == "note"]
    return errors + [
        replace(finding, severity=otherwise) if finding.severity == "warning" else finding for finding in rest
    ]
