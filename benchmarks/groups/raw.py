"""The four modules of SAM2 as torch's two exporters write them: reference weights, 1024 pixels, one object."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.frames import MODULES

EXPORTERS = {"new": True, "old": False}  # torch.onnx.export(dynamo=...)


def export(model_type: str, work: Path) -> dict[str, Path]:
    """Files of both exporters by name, and beside them inputs of each module; nothing is run on them yet."""
    files = {
        f"{module}, {exporter} exporter": work / f"{module}.{exporter}.onnx"
        for exporter in EXPORTERS
        for module in MODULES
    }
    if all(file.is_file() for file in files.values()):
        return files
    from export.modules.wrap import wrap
    from export.onnx_file.to_onnx import example_inputs, to_onnx
    from export.weights.choose import apply, find_weights
    from export.weights.sam2_model import build
    from verify.interface.spec import load_spec

    model = build(model_type)
    apply(model, find_weights(model_type, "2.1", work, source="reference"), model_type, "2.1")
    specs = load_spec("sam2", batch=1)
    for module in MODULES:
        wrapper = wrap(module, model)
        for exporter, dynamo in EXPORTERS.items():
            to_onnx(wrapper, specs[module], work / f"{module}.{exporter}.onnx", dynamo=dynamo)
        feeds = {name: value.numpy() for name, value in example_inputs(specs[module]).items()}
        np.savez(work / f"{module}.npz", **feeds)
    return files
