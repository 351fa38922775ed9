"""Models as onnxruntime runs them rightly: without what crashes it, or gives other values than ONNX defines.

The original and the fixed model are changed in the same way, so that neither hides a difference nor invents one.
"""

from __future__ import annotations

from typing import Any

import onnx

from verify.run.saturation import may_saturate, without_saturation


def runnable_copy(model: onnx.ModelProto, runnable: Any) -> Any:
    """`runnable`, or a copy with names for omitted outputs and without eight-bit products that overflow.

    onnxruntime 1.32 crashes on an output omitted between others.

    Args:
        model: its structure.
        runnable: the same model as the runner takes it: a path, or the model.
    """
    omits, saturates = any("" in list(node.output)[:-1] for node in model.graph.node), may_saturate(model)
    if not omits and not saturates:
        return runnable
    whole = runnable if isinstance(runnable, onnx.ModelProto) else onnx.load(runnable)
    whole = without_saturation(whole) if saturates else whole
    return _with_omitted_outputs_named(whole) if omits else whole


def _with_omitted_outputs_named(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for place, node in enumerate(copy.graph.node):
        for index, name in enumerate(node.output[:-1]):
            node.output[index] = name or f"left out {place} {index}"
    return copy
