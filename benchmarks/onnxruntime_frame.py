"""Seconds of one frame with three objects in onnxruntime on the CPU, and how far outputs are from the reference's."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frames import MODULES, Feeds, call, session

# Calls of each module for one frame: one image, one decoder call for three objects, memory once for each object.
CALLS = {"image_encoder": 1, "mask_decoder": 1, "memory_attention": 3, "memory_encoder": 3}
OBJECTS = 3


def measure(folders: dict[str, Path], feeds: Feeds, repeats: int = 3) -> dict[str, dict[str, Any]]:
    """For each tool: seconds of each module and of the frame (median of `repeats`), and the largest error.

    Tools take turns within a repeat, so that a busy machine is busy for all of them. A module that a tool could not
    write, or onnxruntime could not run, is an error message in place of seconds.
    """
    results: dict[str, dict[str, Any]] = {name: {"modules": {}, "errors": {}} for name in folders}
    for module in MODULES:
        times, outputs = _module(folders, module, feeds[module], repeats, results)
        for name, spent in times.items():
            results[name]["modules"][module] = statistics.median(spent) * CALLS[module]
            results[name]["errors"][module] = _error(outputs["reference"], outputs[name])
    for result in results.values():
        whole = len(result["modules"]) == len(MODULES) and all(isinstance(s, float) for s in result["modules"].values())
        result["frame"] = sum(result["modules"].values()) if whole else None
    return results


def _module(
    folders: dict[str, Path], module: str, feeds: Any, repeats: int, results: dict[str, dict[str, Any]]
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    times: dict[str, list[float]] = {}
    outputs: dict[str, Any] = {}
    runs = {}
    for name, folder in folders.items():
        try:
            runs[name] = session(folder / f"{module}.onnx")
            outputs[name] = call(runs[name], feeds)
            times[name] = []
        except Exception as error:
            runs.pop(name, None)
            results[name]["modules"][module] = f"{type(error).__name__}: {str(error)[:120]}"
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            call(run, feeds)
            times[name].append(time.perf_counter() - started)
    return times, outputs


def _error(exact: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
    """RMS of the difference over the RMS of the reference's output, for each output; -1 where it is missing."""
    errors = {}
    for name, array in exact.items():
        if name not in found or found[name].shape != array.shape:
            errors[name] = -1.0
            continue
        scale = float(np.sqrt(np.mean(array.astype(np.float64) ** 2))) or 1.0
        errors[name] = float(np.sqrt(np.mean((found[name].astype(np.float64) - array) ** 2))) / scale
    return errors
