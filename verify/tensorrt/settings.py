"""Builder settings for full TensorRT: those of DeepStream's tracker for the four SAM2 files, else the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.tensorrt.profiles import typed

if TYPE_CHECKING:
    from verify.interface.spec import Spec

# Of config_tracker_module_Segmenter.yml: workspaceSize in MiB, and builderOptimizationLevel where the file has one.
DEEPSTREAM: Mapping[str, Mapping[str, int]] = {
    "image_encoder": {"workspace": 5000},
    "mask_decoder": {"workspace": 5000},
    "memory_attention": {"workspace": 1000, "level": 5},
    "memory_encoder": {"workspace": 5000},
}


def build_settings(path: Path, spec: Spec | None) -> dict[str, Any]:
    """Settings for `verify.tensorrt.engine.build` with full TensorRT, in JSON types.

    Keys: `typed`, whether half precision is written into the file, which TensorRT 10 honours only in a strongly typed
    network; `fp16`, the flag that DeepStream sets (networkMode 1) for a file without; `workspace` in MiB; `level`.
    TensorRT 11 has strongly typed networks only, so that the worker leaves `fp16` out there.
    """
    half = typed(path)
    known = DEEPSTREAM.get(spec.module, {}) if spec is not None else {}
    return {"typed": half, "fp16": bool(known) and not half, **known}


def precision_of(settings: Mapping[str, Any], version: str) -> str:
    """What a build with these settings computes in, in words; `version` is that of the library, "tensorrt 10.9.0"."""
    if settings["typed"]:
        return "half precision as in the file"
    return "fp16" if settings["fp16"] and int(version.split()[-1].partition(".")[0]) < 11 else "fp32 with TF32"
