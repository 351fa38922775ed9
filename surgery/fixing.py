"""`fix`: load, run the passes, compare with the original, and only then write."""

from __future__ import annotations

import os
import time
from typing import Any

import onnx

from surgery import model as files
from surgery.context import Context, Options
from surgery.passes import all_passes
from surgery.pipeline import run
from verify.report import Check, Report


def fix_model(model: onnx.ModelProto, **options: Any) -> tuple[onnx.ModelProto, Report]:
    """Run the passes on a model in memory.

    Args:
        model: left unchanged.
        options: the fields of `surgery.context.Options`.

    Returns:
        The fixed model and the report of what was done to it.
    """
    started = time.perf_counter()
    context = Context(Options(**options), {entry.domain: entry.version for entry in model.opset_import})
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = files.to_graph(copy)
    applied = run(graph, all_passes(), context)
    fixed = files.to_model(graph, model) if applied else model
    figures = {
        "nodes_before": len(model.graph.node),
        "nodes_after": len(fixed.graph.node),
        "seconds": time.perf_counter() - started,
    }
    report = Report(model.graph.name, [Check("surgery", "pass", f"{len(applied)} findings fixed", figures)])
    report.findings += applied
    return fixed, report


def fix(source_path: str | os.PathLike[str], target_path: str | os.PathLike[str], **options: Any) -> Report:
    """Fix the model at `source_path` and write it to `target_path`; the source is never touched.

    Raises:
        SurgeonError: the source cannot be read or the target cannot be written.
    """
    fixed, report = fix_model(files.load(source_path), **options)
    files.save(fixed, target_path)
    return report
