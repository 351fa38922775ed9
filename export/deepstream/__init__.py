"""Makes what DeepStream's MaskTracker needs beside the four files: settings, engines, and an image encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from export.deepstream import configs
from export.deepstream.engines import NETWORK_MODES, SECTIONS, WITH_MEMORY, Engine, profile_of, script
from export.deepstream.preprocessing import ENCODER_FILE, Preprocessing, write_exact_encoder
from export.deepstream.suitability import verdicts, warnings
from export.tracking.modules import BATCHED_INPUT
from verify.errors import SurgeonError
from verify.model.read import read_model
from verify.report import Verdict

__all__ = ["ENCODER_FILE", "Plan", "Preprocessing", "plan", "write_exact_encoder"]

SCRIPT_FILE = "build_engines.sh"


@dataclass(frozen=True)
class Plan:
    """The files to write for DeepStream, and what to report about them.

    texts     file name -> content
    warnings  lines on what DeepStream is not known to take
    verdicts  what the release's TensorRT says of each file
    """

    texts: dict[str, str]
    warnings: list[str]
    verdicts: dict[Path, Verdict]


def plan(
    folder: Path,
    *,
    release: str = "8.0",
    precision: str = "fp16",
    objects: int = 1,
    memory: bool = True,
    encoder: str = "image_encoder.onnx",
    target_folder: str = configs.TARGET_FOLDER,
    preprocessing: Preprocessing | None = None,
) -> Plan:
    """The settings of DeepStream's MaskTracker for the files of `folder`.

    Args:
        release: "8.0", "9.0", "9.1" or "9.2".
        precision: that TensorRT builds in, "fp32" or "fp16".
        objects: wanted batch; a file with a fixed batch keeps its own.
        memory: False segments each frame by itself, without the two memory files.
        encoder: file name of the image encoder.
        target_folder: folder of the ONNX files on the device.

    Raises:
        SurgeonError: an unknown precision, or files that cannot be read or are not SAM2's.
    """
    if precision not in NETWORK_MODES:
        raise SurgeonError(f"precision {precision!r} is not known to DeepStream; choose {', '.join(NETWORK_MODES)}")
    modules = [module for module in SECTIONS if memory or module not in WITH_MEMORY]
    models = {module: read_model(folder / f"{module}.onnx") for module in modules}
    size = _dim(folder, models, "image_encoder", "image", -1)
    engines = []
    for module, model in models.items():
        batch = 1 if module == "image_encoder" else _dim(folder, models, module, BATCHED_INPUT[module], 0) or objects
        file = encoder if module == "image_encoder" else f"{module}.onnx"
        try:
            profile = profile_of(model, batch, size)
        except SurgeonError as error:
            raise SurgeonError(f"{folder / f'{module}.onnx'}: {error}") from None
        engines.append(Engine(module, file, batch, precision, profile))
    of = configs.release(release)
    shown = engines if memory else [*engines, *(Engine(one, f"{one}.onnx", 1, precision, {}) for one in WITH_MEMORY)]
    used = preprocessing or Preprocessing()
    texts = {
        configs.SEGMENTER_FILE: configs.segmenter(shown, size, used, target_folder, of, memory=memory),
        configs.TRACKER_FILE: configs.tracker(of),
        configs.APP_FILE: configs.app_lines(of),
        SCRIPT_FILE: script(engines, target_folder, of.label),
    }
    paths = {folder / f"{module}.onnx": model for module, model in models.items()}
    said = warnings(paths, precision=precision, size=size, objects=max(one.batch for one in engines), memory=memory)
    return Plan(texts, said, verdicts(paths, release))


def _dim(folder: Path, models: dict[str, onnx.ModelProto], module: str, name: str, axis: int) -> int:
    """One dim of an input of a module; 0 where it is free. SurgeonError where there is no such input."""
    for port in models[module].graph.input:
        if port.name == name:
            return int(port.type.tensor_type.shape.dim[axis].dim_value)
    raise SurgeonError(f"{folder / f'{module}.onnx'}: no input {name!r} in it; is it a file of SAM2?")
