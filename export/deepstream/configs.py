"""The files that DeepStream's MaskTracker reads: the Segmenter's, the tracker's, and lines for deepstream-app."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from export.deepstream.engines import NETWORK_MODES, SECTIONS, WITH_MEMORY, Engine
from export.deepstream.preprocessing import Preprocessing
from surgery.targets import releases
from verify.tensorrt.settings import DEEPSTREAM

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SEGMENTER_FILE = "config_tracker_module_Segmenter.yml"
TRACKER_FILE = "config_tracker_MaskTracker.yml"
APP_FILE = "deepstream_app_tracker.txt"
INSTALLED = "/opt/nvidia/deepstream/deepstream"
TARGET_FOLDER = f"{INSTALLED}/samples/models/Tracker"
MOST_OBJECTS = 20
USUAL_SIZE = 1024


@dataclass(frozen=True)
class Release:
    """A release of DeepStream and the TensorRT it ships on either platform."""

    number: str
    tensorrt: str
    jetson: str

    @property
    def label(self) -> str:
        """ "DeepStream 8.0 (TensorRT 10.9.0.34 on x86, 10.13.2.6 on Jetson)"."""
        return f"DeepStream {self.number} (TensorRT {self.tensorrt} on x86, {self.jetson} on Jetson)"


def release(number: str) -> Release:
    """One release of deepstream.toml by its number."""
    row = releases()[number]
    return Release(number, row["build"], row["jetson"])


@cache
def settings() -> dict[str, Any]:
    """Every key of both files with the value that NVIDIA ships."""
    return tomllib.loads(files(__package__).joinpath("settings.toml").read_text(encoding="utf-8"))


def segmenter(
    engines: Sequence[Engine], size: int, used: Preprocessing, target_folder: str, of: Release, *, memory: bool
) -> str:
    """The text of config_tracker_module_Segmenter.yml.

    Args:
        engines: of the modules that are used, in the order of the sections.
        size: side of the image in pixels.
        target_folder: folder of the ONNX files and engines on the device.
        memory: False comments the sections of the memory out: each frame is segmented by itself.
    """
    computed = {
        "encoderFeatureDim": f"{size // 16}",
        "inferDims": f"[3, {size}, {size}]",
        "offsets": f"[{', '.join(f'{offset:.4f}' for offset in used.offsets)}]",
        "netScaleFactor": f"{used.scale:g}",
    }
    lines = ["%YAML:1.0", f"# Segmenter of the MaskTracker of {of.label}.", *_unknowns(size), ""]
    lines += [_line(key, value or computed[key], why) for key, (value, why) in settings()["segmenter"].items()]
    for engine in engines:
        section = _section(engine, target_folder)
        without = engine.module in WITH_MEMORY and not memory
        lines += ["", *(f"# {line}" if without else line for line in section)]
    return "\n".join(lines) + "\n"


def _unknowns(size: int) -> list[str]:
    """Comments on what NVIDIA does not publish."""
    lines = [
        "# Keys and values are those of DeepStream 8.0; whether 9.0, 9.1 or 9.2 ships others is not published.",
        "# Not published either: whether workspaceSize limits TensorRT's memory, which shapes the tracker builds with,",
        "# and what it does with ONNX files that are in half precision already. Give it files in float32.",
        "# Paths may be relative to this file from 9.2 on.",
    ]
    if size != USUAL_SIZE:
        lines.append(f"# No file of NVIDIA has another inferDims than {USUAL_SIZE}: {size} may not work at all.")
    return lines


def _section(engine: Engine, folder: str) -> list[str]:
    path = f"{folder}/{engine.file}"
    most = f"at most {MOST_OBJECTS}, without the memory sections" if engine.module == "mask_decoder" else ""
    lines = [
        f"{SECTIONS[engine.module]}:",
        _line("  batchSize", str(engine.batch), most),
        _line("  workspaceSize", str(DEEPSTREAM[engine.module]["workspace"]), "MB"),
        _line("  networkMode", str(NETWORK_MODES[engine.precision]), "0: fp32, 1: fp16, 2: int8"),
        f'  onnxFile: "{path}"',
        f'  modelEngineFile: "{folder}/{engine.name}"',
    ]
    if "level" in DEEPSTREAM[engine.module]:
        lines.append(f"  builderOptimizationLevel: {DEEPSTREAM[engine.module]['level']}")
    return lines


def tracker(of: Release) -> str:
    """The text of config_tracker_MaskTracker.yml."""
    comments: Mapping[str, str] = settings()["comments"]
    lines = [
        "%YAML:1.0",
        f"# MaskTracker of {of.label}.",
        "# Values are those of 8.0, 9.0 and 9.1; those of 9.2 are not published.",
    ]
    for section, keys in settings()["tracker"].items():
        lines += ["", f"{section}:"]
        lines += [
            _line(f"  {key}", value or f'"{SEGMENTER_FILE}"', comments.get(key, "")) for key, value in keys.items()
        ]
    return "\n".join(lines) + "\n"


def app_lines(of: Release) -> str:
    """The groups of deepstream-app's configuration that switch the tracker and the drawing of masks on."""
    return "\n".join(
        [
            f"# Groups for the configuration of deepstream-app, {of.label}.",
            "[tracker]",
            "enable=1",
            "tracker-width=1920",
            "tracker-height=1080",
            f"ll-lib-file={INSTALLED}/lib/libnvds_nvmultiobjecttracker.so",
            f"ll-config-file={TRACKER_FILE}",
            "gpu-id=0",
            "",
            "[osd]",
            "enable=1",
            "# masks are drawn over the boxes",
            "display-mask=1",
            "",
        ]
    )


def _line(key: str, value: str, comment: str) -> str:
    return f"{key}: {value}" + (f"  # {comment}" if comment else "")
