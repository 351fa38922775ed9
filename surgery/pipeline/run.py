"""Run passes over a graph to a fixed point: find everything, then apply fixes, until nothing is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import onnx_graphsurgeon as gs

from surgery.graph import edit, infer
from surgery.graph.walk import every_graph, nodes_inside, shown_name
from surgery.pipeline import opset
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Declined, Pass
from surgery.values import propagate
from verify.errors import SurgeonError
from verify.report import Finding

MAX_ROUNDS = 50
Graphs = Sequence[tuple[gs.Graph, str]]  # what `every_graph` gives: each graph with its path


class PassFailure(Exception):
    """A fix of the pass `code` failed halfway: the model must be read again, and the pass left out."""

    def __init__(self, code: str, cause: Exception) -> None:
        super().__init__(f"{code} failed while fixing: {type(cause).__name__}: {cause}")
        self.code = code


def wanted(rule: Pass, context: Context) -> bool:
    """Whether this pass runs under the options: selection first, then its kind and the target."""
    options = context.options
    if any(rule.code.startswith(code) for code in options.ignore):
        return False
    if options.select and any(rule.code.startswith(code) for code in options.select):
        return True
    if options.select or rule.kind == "chosen":
        return False
    if rule.kind == "replace" and rule.feature:
        return context.target.refuses(rule.feature) is not None
    return rule.kind != "interface" or options.spec is not None


def find_all(graphs: Graphs, rule: Pass, context: Context) -> Iterator[tuple[Finding, str]]:
    """Every finding of a pass in these graphs, each with the path of its graph; nothing is changed.

    If a pass fails, the failure goes to `context.troubles`, and the pass finds nothing more in that graph.
    """
    for graph, path in graphs:
        try:
            for found in rule.find(graph, context):
                yield found, path
        except (SurgeonError, MemoryError):
            raise
        except Exception as error:
            place = f"'{path}'" if path else "the graph"
            context.troubles.append(f"{rule.code} could not examine {place}: {error!r}")


def run_pass(graphs: Graphs, rule: Pass, context: Context, number: int) -> list[Finding]:
    """One round of one pass: find everywhere, then apply the findings that do not overlap. Returns those applied.

    Args:
        number: of the round, which the findings get as their detail "round".

    Raises:
        PassFailure: a fix raised, so that the graph may be inconsistent.
    """
    applied: list[Finding] = []
    claimed: set[int] = set()
    for found, path in list(find_all(graphs, rule, context)):
        nodes = {id(node) for node in found.touches}
        # A fix may move or drop the branches of what it touches; findings in there wait for the next round.
        inside = {id(inner) for node in found.touches for inner in nodes_inside(node)}
        skipped = context.options.skip_nodes
        if found.fix is None or nodes & claimed or (skipped and any(shown_name(n) in skipped for n in found.touches)):
            continue
        try:
            found.fix()
        except (SurgeonError, MemoryError):
            raise
        except Declined as reason:
            context.decline(rule.code, found.node or found.op, str(reason), reason.opset)
            continue
        except Exception as error:
            raise PassFailure(rule.code, error) from error
        claimed |= nodes | inside
        details = {**found.details, "round": number}
        applied.append(
            replace(found, code=rule.code, path=path, severity="note", details=details)
        )  # no warning any more
    return applied


def run_passes(graph: gs.Graph, rules: Sequence[Pass], context: Context) -> list[Finding]:
    """All wanted passes, in order, again and again until a whole sweep changes nothing.

    Returns the findings that were fixed. Their detail "round" is the number of the sweep; above 1 the finding was not
    in the given model but in the result of earlier sweeps.

    Raises:
        PassFailure: see `run_pass`.
        SurgeonError: the nodes of the graph read from each other in a circle.
    """
    context.root = graph
    graphs = list(every_graph(graph))
    for inner, _ in graphs:
        if edit.misplaced(inner) is not None:
            edit.sorted_nodes(inner)
    active = [rule for rule in rules if wanted(rule, context)]
    applied: list[Finding] = []
    former = 0  # the opset that was raised to see whether more is found
    for number in range(1, MAX_ROUNDS + 1):
        infer.infer(graph, context.opsets)
        context.invalidate()
        propagate.contents(graph, context)
        context.declined.clear()
        before = len(applied)
        for rule in active:
            found = run_pass(graphs, rule, context, number)
            if found:
                graphs = list(every_graph(graph))
                context.invalidate()
                _tidy(graphs, rule, found, context)
            applied += found
        if _raise_opset(graph, context) or len(applied) > before:
            former = 0
            continue
        if former:
            context.opsets[""] = former
            return applied
        former = context.opset
        if not applied or not _restamp(graph, context):
            return applied
    context.troubles.append(f"stopped after {MAX_ROUNDS} rounds, although the passes still found something to fix")
    return applied


def _tidy(graphs: Graphs, rule: Pass, applied: Sequence[Finding], context: Context) -> None:
    """Sort the nodes after a pass, and note in the new ones where they come from."""
    provenance = {"surgeon.pass": rule.code}
    if len(applied) == 1 and applied[0].node:
        provenance["surgeon.replaces"] = applied[0].node
    for graph, _ in graphs:
        edit.sweep(graph)
        edit.label(graph, provenance, context.fresh)


def _raise_opset(graph: gs.Graph, context: Context) -> bool:
    """Raise the opset if a pass needs a later one in which every node means the same; returns whether it was raised."""
    if not context.declined or graph.functions:
        return False
    later = opset.for_declined(_operators(graph), context.opset, context.declined.values())
    if later:
        context.opsets[""] = later
    return later > 0


def _restamp(graph: gs.Graph, context: Context) -> bool:
    """Read the graph as of the opset in which it would be read if it were given as it is now."""
    later = 0 if graph.functions else opset.for_reading(_operators(graph), context.opset, context.target)
    if later:
        context.opsets[""] = later
    return later > 0


def _operators(graph: gs.Graph) -> list[tuple[str, str, frozenset[str]]]:
    """Operator, domain and names of the attributes of every node."""
    nodes = (node for inner, _ in every_graph(graph) for node in inner.nodes)
    return [(node.op, node.domain or "", frozenset(node.attrs)) for node in nodes]
