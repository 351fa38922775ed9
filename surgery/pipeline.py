"""Run passes over a graph to a fixed point: find all, then touch, repeat until nothing is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import onnx_graphsurgeon as gs

from surgery.context import Context
from surgery.rule import Pass
from verify.report import Finding

MAX_ROUNDS = 50


def graphs(graph: gs.Graph, path: str = "") -> Iterator[tuple[gs.Graph, str]]:
    """The graph itself, every subgraph of If, Loop and Scan, and every local function body, each with its path."""
    yield graph, path
    for node in graph.nodes:
        for name, value in node.attrs.items():
            if isinstance(value, gs.Graph):
                yield from graphs(value, f"{path}{node.name or node.op}/{name}/")
    if not path:
        for function in graph.functions:
            yield from graphs(function, f"{function.domain}::{function.name}/")


def wanted(rule: Pass, context: Context) -> bool:
    """Whether this pass runs under the options: selection first, then its kind and the target."""
    options = context.options
    if any(rule.code.startswith(code) for code in options.ignore):
        return False
    if options.select and any(rule.code.startswith(code) for code in options.select):
        return True
    if options.select or rule.kind == "chosen":
        return False
    if rule.kind == "trusted":
        return options.trust_declared_shapes
    if rule.kind == "replace" and rule.feature:
        return context.target.refuses(rule.feature) is not None
    return rule.kind != "interface" or options.spec is not None


def find_all(graph: gs.Graph, rules: Sequence[Pass], context: Context) -> Iterator[Finding]:
    """Every finding of every pass in every graph; nothing is changed."""
    for rule in rules:
        for inner, path in graphs(graph):
            for found in rule.find(inner, context):
                yield replace(found, code=rule.code, path=path.rstrip("/"))


def run_pass(graph: gs.Graph, rule: Pass, context: Context) -> list[Finding]:
    """One round of one pass: find everywhere, then apply the findings that do not overlap. Returns those applied."""
    applied: list[Finding] = []
    claimed: set[int] = set()
    for found in list(find_all(graph, [rule], context)):
        nodes = {id(node) for node in found.touches}
        skipped = any(node.name in context.options.skip_nodes for node in found.touches)
        if found.fix is None or skipped or nodes & claimed:
            continue
        found.fix()
        claimed |= nodes
        applied.append(found)
    if applied:
        context.invalidate()
    return applied


def run(graph: gs.Graph, rules: Sequence[Pass], context: Context) -> list[Finding]:
    """All wanted passes, in order, again and again until a whole sweep changes nothing. Returns what was applied."""
    context.root = graph
    active = [rule for rule in rules if wanted(rule, context)]
    applied: list[Finding] = []
    for _ in range(MAX_ROUNDS):
        before = len(applied)
        for rule in active:
            applied += run_pass(graph, rule, context)
        if len(applied) == before:
            return applied
    return applied
