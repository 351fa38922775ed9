"""What TensorRT makes of the modules, at the sizes the reference is measured at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.frames import MODULES
from verify.tensorrt.compile import compile_model
from verify.tensorrt.profiles import profiles_for

SIZES = {"frames": 7, "pointers": 16, "objects": 1, "points": 2}


def build(path: Path, sizes: dict[str, int] | None = None, gpu: str = "ada") -> dict[str, Any]:
    """Kernels, fused attention, scratch and weight megabytes of one file."""
    if not path.is_file():
        return {"error": "no file"}
    built = compile_model(path, profiles_for(path, sizes={**SIZES, **(sizes or {})}), gpu)
    if not built.ok:
        return {"error": "; ".join(built.messages)[:200]}
    return {
        "kernels": built.kernels,
        "fused": built.fused,
        "attentions": len(built.attentions),
        "scratch_mb": round(built.scratch / 1e6, 1),
        "weights_mb": round(built.weights / 1e6, 1),
        "seconds": round(built.seconds, 1),
        "not_fused": {found.name: found.why for found in built.attentions if not found.fused},
    }


def builds(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of each module in a folder."""
    return {module: build(folder / f"{module}.onnx") for module in MODULES}
