"""Seconds of one frame with three objects in onnxruntime on the CPU, and how far outputs are from the reference's."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
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

    Each runs in a process of its own, one after the other; the first call is not timed. A module that a tool could not
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
    for name, folder in folders.items():
        with tempfile.TemporaryDirectory() as held:
            given, found = Path(held) / "feeds.npz", Path(held) / "found.npz"
            np.savez(given, **{key: np.asarray(array) for key, array in feeds.items()})
            command = [
                sys.executable,
                "-m",
                "benchmarks.onnxruntime_frame",
                folder / f"{module}.onnx",
                given,
                str(repeats),
                found,
            ]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
            if done.returncode:
                results[name]["modules"][module] = (done.stderr.strip().splitlines() or ["no answer"])[-1][:160]
                continue
            times[name] = json.loads(done.stdout)
            outputs[name] = dict(np.load(found))
    return times, outputs


def main(model: str, feeds: str, repeats: str, found: str) -> None:
    """Run a model once, write its outputs, and print the seconds of each of `repeats` more calls."""
    given = dict(np.load(feeds))
    run = session(Path(model))
    np.savez(found, **call(run, given))
    times = []
    for _ in range(int(repeats)):
        started = time.perf_counter()
        call(run, given)
        times.append(time.perf_counter() - started)
    print(json.dumps(times))


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


if __name__ == "__main__":
    main(*sys.argv[1:])
