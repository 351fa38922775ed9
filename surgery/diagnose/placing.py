"""The node behind a refusal that names none, as where the parser meets a tensor of unknown rank."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from surgery.diagnose.model_view import Subject
from surgery.diagnose.scratch import Workspace
from surgery.diagnose.submodel import without
from verify.tensorrt import engine
from verify.tensorrt.engine import Refusal


def placed(
    subject: Subject, work: Workspace, refusals: list[Refusal], dead: Collection[int], end: float
) -> list[Refusal]:
    """The refusals of the model without `dead`; one without a place gets that of the node with which it begins.

    Found by halving the list of nodes, as long as there is time before `end`.
    """
    homeless = next(filter(_is_homeless, refusals), None)
    if homeless is None:
        return refusals
    _, alive, _ = without(subject, work.model, dead)
    good, bad = 0, len(alive)
    while bad - good > 1 and time.monotonic() < end:
        middle = (good + bad) // 2
        rest = {*dead, *alive[middle:]}
        good, bad = (good, middle) if _said(subject, work, rest, homeless, end) else (middle, bad)
    if bad - good != 1 or _said(subject, work, {*dead, alive[good]}, homeless, end):
        return refusals
    node = subject.nodes[alive[good]]
    found = replace(homeless, node=good, node_name=node.name, op=node.op_type)
    return [found if refusal is homeless else refusal for refusal in refusals]


def _is_homeless(refusal: Refusal) -> bool:
    """Whether it is about a node that it does not name; what is wrong with the graph has no node."""
    return refusal.node < 0 and not refusal.tensor and refusal.code != "INVALID_GRAPH"


def _said(subject: Subject, work: Workspace, dead: set[int], homeless: Refusal, end: float) -> bool:
    """Whether the parser says the same of the model without these nodes."""
    model, alive, _ = without(subject, work.model, dead)
    if not alive:
        return False
    limit = max(end - time.monotonic(), 5.0)
    said = engine.parse(work.write(model), limit=limit)
    return any(refusal.node < 0 and refusal.message == homeless.message for refusal in said)
