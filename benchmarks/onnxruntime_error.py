"""Finds where two files of one model begin to differ: the first tensor that differs by more than rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

NOTICED = 1e-5  # of a tensor's RMS; float32 rounding stays below it


def first_difference(before: Any, after: Any, feeds: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first node of `before` whose output, made by both models, differs by more than `NOTICED`.

    Returns:
        node: its operator and output; agreed: the largest error in front of it; values, size: how many of its values
        differ, of how many; rows: how many rows of the last dim these are in. None where no tensor differs.
    """
    ours, theirs = _all_tensors(before, feeds), _all_tensors(after, feeds)
    agreed = 0.0
    for node in before.graph.node:
        for name in node.output:
            if name not in theirs or ours[name].shape != theirs[name].shape:
                continue
            gaps = np.abs(ours[name] - theirs[name]) / max(float(np.sqrt((ours[name] ** 2).mean())), 1e-6)
            if gaps.max(initial=0.0) <= NOTICED:
                agreed = max(agreed, float(gaps.max(initial=0.0)))
                continue
            differ = gaps > NOTICED
            rows = differ.any(-1).sum() if differ.ndim else differ.sum()
            return {"node": f"{node.op_type} '{name}'", "agreed": agreed, "values": int(differ.sum()),
                    "size": differ.size, "rows": int(rows)}  # fmt: skip
    return None


def _all_tensors(model: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Every number that the nodes make, in float64."""
    import onnx
    import onnxruntime

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = dict.fromkeys(name for node in copy.graph.node for name in node.output if name)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made = zip(names, session.run(None, dict(feeds)), strict=True)
    return {name: value.astype(np.float64) for name, value in made if value.dtype.kind in "fiub"}


def explained(found: Mapping[str, Any]) -> str:
    """One sentence on what `first_difference` found."""
    return (
        f"tensors agree within {found['agreed']:.0e} of their RMS up to {found['node']}, where {found['values']:,} of "
        f"{found['size']:,} values differ, in {found['rows']} row{'' if found['rows'] == 1 else 's'}"
    )
