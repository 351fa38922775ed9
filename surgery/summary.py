"""What the report says of a fix, in figures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import onnx

from surgery.guard.original import Original
from surgery.passes import plug_in_checks
from surgery.steps import Result
from verify.model.eight_bits import eight_bit_products
from verify.report import Check, Finding, Report, counted


def summary(result: Result, original: Original, size: int, started: float) -> Report:
    """What was done to the model, in figures.

    Args:
        size: bytes of the result.
        started: `time.perf_counter()` when the work began.
    """
    applied = result.outcome.applied
    figures = {
        "nodes_before": len(original.model.graph.node),
        "nodes_after": len(result.model.graph.node),
        "bytes_before": original.size,
        "bytes_after": size,
        "seconds": round(time.perf_counter() - started, 3),
        "passes": dict(Counter(finding.code for finding in applied)),
        "op_counts": {"before": _operators(original.model), "after": _operators(result.model)},
    }
    message = f"left as it is: {result.refusal}" if result.refusal else _counts(applied)
    if before := eight_bit_products(original.model):
        kept = min(eight_bit_products(result.model), before)
        figures["eight_bit_products"] = {"before": before, "kept": kept, "in_floating_point": before - kept}
        message += f"; of {counted(before, 'eight-bit product')} {kept:,} kept, {before - kept:,} in floating point"
    surgery = Check("surgery", "skip" if result.refusal else "pass", message, figures)
    return Report(original.model.graph.name, [surgery, *plug_in_checks(), *result.checks], applied)


def _counts(applied: Sequence[Finding]) -> str:
    """Words for how many findings were fixed in the given model, and how many in the results of rewrites."""
    first = sum(finding.details["round"] == 1 for finding in applied)
    later = len(applied) - first
    fixed = f"{counted(len(applied), 'finding')} fixed"
    return f"{fixed}: {first:,} in the model, {later:,} that the rewrites left behind" if later else fixed


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    """Number of nodes of each operator in the main graph."""
    return dict(Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.node))
