"""The groups of models that surgeon and its peers are measured on: for each model its file and what it is fed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import frames
from benchmarks.groups import quantized, raw, wheels
from benchmarks.groups.tools import Feeds

FRAMES, POINTERS = 2, 4  # of the memory that the reference's memory attention is compared with


@dataclass(frozen=True)
class Source:
    """A model of a group.

    path    its file, which may be missing
    feeds   gives inputs that a user of the model would give, by name
    """

    path: Path
    feeds: Callable[[], Feeds]


@dataclass(frozen=True)
class Group:
    """Models with the same origin.

    title      of its part of the page
    sources    its models by name
    missing    what the group lacks, and why
    """

    title: str
    sources: Mapping[str, Source]
    missing: str = ""


def gather(options: Any) -> dict[str, Group]:
    """The groups that `options.only` names, or all, by name; files that can be made here are made."""
    return {name: GROUPS[name](options) for name in options.only or GROUPS}


def _reference(size: str, options: Any) -> Group:
    title = f"The reference exporter's four files of SAM2.1 {size}"
    folder = getattr(options, f"reference_{size}")
    if folder is None:
        return Group(title, {}, f"no --reference-{size} given")
    kept = options.work / f"reference {size}" / "inputs"
    files = {module: folder / f"{module}.onnx" for module in frames.MODULES}
    return Group(title, {name: Source(file, partial(_frame, folder, kept, name)) for name, file in files.items()})


def _frame(folder: Path, kept: Path, module: str) -> Feeds:
    """Inputs of a module from one frame, which the modules before it compute once."""
    if not (kept / f"{module}.npz").is_file():
        kept.mkdir(parents=True, exist_ok=True)
        for name, feeds in frames.inputs(folder, FRAMES, POINTERS, objects=1).items():
            np.savez(kept / f"{name}.npz", **_fitting(folder / f"{name}.onnx", feeds))
    return dict(np.load(kept / f"{module}.npz"))


def _fitting(path: Path, feeds: Feeds) -> dict[str, Any]:
    """The inputs that the model has, in its types and ranks."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    found = {}
    for value in (value for value in graph.input if value.name not in stored):
        kind = value.type.tensor_type
        array = np.asarray(feeds[value.name], onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        found[value.name] = array.reshape([1] * (len(kind.shape.dim) - array.ndim) + list(array.shape))
    return found


def _raw(options: Any) -> Group:
    title = "SAM2.1 tiny as torch's two exporters write it"
    if options.raw is None:
        return Group(title, {}, "no --raw given")
    files = raw.export("tiny", options.raw)
    inputs = {name: options.raw / f"{name.split(',')[0]}.npz" for name in files}
    return Group(title, {name: Source(file, partial(_load, inputs[name])) for name, file in files.items()})


def _load(file: Path) -> Feeds:
    return dict(np.load(file))


def _foreign(options: Any) -> Group:
    title = "Models that others made: files of packages on PyPI, and torch modules through torch's two exporters"
    if options.foreign is None:
        return Group(title, {}, "no --foreign given")
    wheels.gather(options.foreign)
    exports = options.foreign / "torch"
    note = exports / "versions.json"
    if options.torch_python is not None and not note.is_file():
        script = Path(__file__).with_name("torch_models.py")
        subprocess.run([str(options.torch_python), str(script), str(exports)], check=True)
    found = {name: source for name, source in _shipped(options.foreign).items() if "quantized" not in name}
    kept = sorted(exports.glob("*.npz"))
    for inputs in kept:
        for exporter in ("new", "old"):
            file = exports / f"{inputs.stem}.{exporter}.onnx"
            found[f"{inputs.stem}, {exporter} exporter"] = Source(file, partial(_load, inputs))
    return Group(title, found, "" if kept else "no torch module was exported: no --torch-python given")


def _shipped(folder: Path) -> dict[str, Source]:
    """The models that packages ship."""
    return {name: Source(folder / f"{name}.onnx", partial(wheels.feeds, name)) for name in wheels.WHEELS}


def _quantized(options: Any) -> Group:
    title = "Quantized models: by their owners, and torch's exports through onnxruntime's quantizer"
    if options.foreign is None:
        return Group(title, {}, "no --foreign given")
    wheels.gather(options.foreign)
    found = {name: source for name, source in _shipped(options.foreign).items() if "quantized" in name}
    exports = options.foreign / "torch"
    for name, file in quantized.quantize(exports).items():
        found[name] = Source(file, partial(_load, exports / f"{name.split(',')[0]}.npz"))
    return Group(title, found)


GROUPS: dict[str, Callable[[Any], Group]] = {
    "reference tiny": partial(_reference, "tiny"),
    "reference large": partial(_reference, "large"),
    "raw": _raw,
    "foreign": _foreign,
    "quantized": _quantized,
}


def packages(folder: Path | None) -> dict[str, str]:
    """Versions of the packages that the foreign models come from."""
    if folder is None:
        return {}
    note = folder / "torch" / "versions.json"
    return wheels.versions(folder) | (dict(json.loads(note.read_text())) if note.is_file() else {})
