"""The sections of a benchmark run: each takes the options and gives JSON types."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import builds, frames, onnxruntime_frame, peers, startup
from benchmarks.frames import MODULES


def machine() -> dict[str, Any]:
    """What ran it, and with which versions."""
    from importlib.metadata import version

    names = ("onnx", "onnxruntime", "numpy", "onnx-graphsurgeon")
    gpu = "no GPU here: TensorRT figures are read from builds, device times were not measured"
    return {
        "processors": os.cpu_count(),
        "system": platform.machine(),
        "python": platform.python_version(),
        "gpu": gpu,
        **{name: version(name) for name in names},
    }


def frame(options: Any) -> dict[str, Any]:
    """onnxruntime seconds of one frame: the reference, it through each tool, and both of ours."""
    folders = {"reference": options.reference}
    for tool in ("surgeon", *peers.SIMPLIFIERS):
        if tool == "surgeon" or options.peer_python is not None:
            folders[f"reference + {tool}"] = _made(tool, options)
    folders["ours for onnxruntime"] = options.ours_onnxruntime
    folders["ours for TensorRT"] = options.ours_tensorrt
    feeds = frames.inputs(options.reference, objects=onnxruntime_frame.OBJECTS)
    return onnxruntime_frame.measure(folders, feeds, options.repeats)


def _made(tool: str, options: Any) -> Path:
    """The folder with what the tool makes of the reference files, each made once."""
    folder = Path(options.work) / tool
    for source, target in ((options.reference / f"{m}.onnx", folder / f"{m}.onnx") for m in MODULES):
        if not target.is_file() and tool == "surgeon":
            peers.run_surgeon(source, target)
        elif not target.is_file():
            peers.run_peer(options.peer_python, tool, source, target)
    return folder


def tensorrt(options: Any) -> dict[str, Any]:
    """Builds for SM89: the reference and ours in fp32, and ours in mixed precision."""
    mixed = _mixed(options)
    rows = {"reference fp32": options.reference, "ours fp32": options.ours_tensorrt, "ours mixed": mixed}
    return {name: builds.builds(folder) for name, folder in rows.items()}


def _mixed(options: Any) -> Path:
    """The folder of our files in mixed precision, made here where none was given."""
    if options.ours_mixed is not None:
        return Path(options.ours_mixed)
    made = Path(options.work) / "surgeon mixed"
    if not made.is_dir():
        precision({**vars(options), "only_surgeon": True})
    return made


def precision(options: Any) -> dict[str, Any]:
    """Our files in half precision by surgeon and by the two converters: casts, error, fused attention, memory."""
    given = options if isinstance(options, dict) else vars(options)
    feeds = frames.inputs(given["reference"], objects=1)
    given["work"].mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for tool in ("surgeon mixed", *(() if given.get("only_surgeon") else peers.CONVERTERS)):
        found[tool] = {module: _convert(tool, module, feeds[module], given) for module in MODULES}
    return found


def _convert(tool: str, module: str, feeds: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    folder = given["to_lower"] or given["ours_tensorrt"]
    source, target = folder / f"{module}.onnx", given["work"] / tool / f"{module}.onnx"
    if tool == "surgeon mixed":
        calibration = given["work"] / f"{module}.npz"
        np.savez(calibration, **{name: np.asarray(array, np.float32) for name, array in feeds.items()})
        flags = ("--no-guard", "--precision", "mixed", "--calibrate", str(calibration))
        row = peers.run_surgeon(source, target, flags, limit=1800)
    elif given["peer_python"] is None:
        return {"error": "no --peer-python given"}
    else:
        row = peers.run_peer(given["peer_python"], tool, source, target)
    if "error" in row:
        return row
    row |= {"casts": peers.casts(target), "build": builds.build(target)}
    try:
        exact = frames.call(frames.session(source), feeds)
        errors = onnxruntime_frame._error(exact, frames.call(frames.session(target), feeds))
        row["error_in_onnxruntime"] = max(errors.values())
    except Exception as error:
        row["error_in_onnxruntime"] = f"{type(error).__name__}: {str(error)[:120]}"
    return row


def growth(options: Any) -> dict[str, Any]:
    """Memory attention at 1, 3, 5 and 7 frames: onnxruntime seconds, error, TensorRT memory in fp32 and mixed."""
    mixed = _mixed(options)
    found = {}
    for count in (1, 3, 5, 7):
        feeds = frames.inputs(options.reference, frames=count, pointers=16, objects=1)["memory_attention"]
        timed = onnxruntime_frame._module(
            {"reference": options.reference, "ours": options.ours_onnxruntime},
            "memory_attention",
            feeds,
            1,
            {"reference": {"modules": {}}, "ours": {"modules": {}}},
        )
        row: dict[str, Any] = {f"{name} seconds": round(min(spent), 2) for name, spent in timed[0].items()}
        row["error"] = max(onnxruntime_frame._error(timed[1]["reference"], timed[1]["ours"]).values())
        for name, folder in (("reference", options.reference), ("ours", options.ours_tensorrt), ("mixed", mixed)):
            built = builds.build(Path(folder) / "memory_attention.onnx", {"frames": count})
            row[f"{name} scratch MB"] = built.get("scratch_mb", built.get("error"))
        found[str(count)] = row
    return found


def start(options: Any) -> dict[str, Any]:
    """Start-up, and a verify whose result is kept."""
    return startup.measure(options.ours_tensorrt / "memory_encoder.onnx")


SECTIONS = {
    "frame": frame,
    "precision": precision,
    "tensorrt": tensorrt,
    "growth": growth,
    "start": start,
}
