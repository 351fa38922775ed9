"""The engines of the four files: their names, the optimization profiles, and a script that builds them with trtexec."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from verify.errors import SurgeonError
from verify.model.walk import dims_of, fed_inputs
from verify.tensorrt.settings import DEEPSTREAM

Shape = tuple[int, ...]
Profile = tuple[Shape, Shape, Shape]

SECTIONS = {
    "image_encoder": "ImageEncoder",
    "mask_decoder": "MaskDecoder",
    "memory_attention": "MemoryAttention",
    "memory_encoder": "MemoryEncoder",
}
WITH_MEMORY = ("memory_attention", "memory_encoder")
NETWORK_MODES = {"fp32": 0, "fp16": 1}


@dataclass(frozen=True)
class Engine:
    """One engine that the tracker looks for.

    file       name of the ONNX file
    batch      largest number of objects
    precision  "fp32" or "fp16"
    profile    shapes of the inputs with free dims: smallest, usual, largest
    """

    module: str
    file: str
    batch: int
    precision: str
    profile: Mapping[str, Profile]

    @property
    def name(self) -> str:
        """The file name under which the tracker looks for the engine."""
        return f"{self.file}_b{self.batch}_gpu0_{self.precision}.engine"

    def flags(self) -> list[str]:
        """Options of trtexec, beside the files."""
        flags = ["--fp16"] if self.precision == "fp16" else []
        settings = DEEPSTREAM[self.module]
        flags.append(f"--memPoolSize=workspace:{settings['workspace']}")
        if "level" in settings:
            flags.append(f"--builderOptimizationLevel={settings['level']}")
        for flag, point in (("min", 0), ("opt", 1), ("max", 2)):
            sizes = [f"{name}:{'x'.join(map(str, shapes[point]))}" for name, shapes in self.profile.items()]
            flags += [f"--{flag}Shapes={','.join(sizes)}"] if sizes else []
        return flags


def profile_of(model: onnx.ModelProto, batch: int, size: int) -> dict[str, Profile]:
    """Smallest, usual and largest shape of every input with free dims, with the numbers that NVIDIA uses.

    Args:
        batch: most objects at once.
        size: side of the image in pixels.

    Raises:
        SurgeonError: an input with free dims is none of SAM2's.
    """
    found = {}
    for value in fed_inputs(model.graph):
        dims = dims_of(value.type.tensor_type) or []
        if all(isinstance(dim, int) for dim in dims):
            continue
        usual = _usual(batch, size).get(value.name)
        if usual is None or len(usual[0]) != len(dims):
            raise SurgeonError(f"input '{value.name}' has free dims and is none of SAM2's inputs")
        low, middle, high = (
            tuple(dim if isinstance(dim, int) else wanted for dim, wanted in zip(dims, shape, strict=True))
            for shape in usual
        )
        found[value.name] = (low, middle, high)
    return found


def _usual(batch: int, size: int) -> dict[str, Profile]:
    """The shapes that NVIDIA's video summarization blueprint gives to trtexec, for other batches and sizes too."""
    some, side = (batch + 1) // 2, size // 16
    tokens = side * side
    return {
        "point_coords": ((1, 1, 2), (some, 2, 2), (batch, 2, 2)),
        "point_labels": ((1, 1), (some, 2), (batch, 2)),
        "image_embed": _objects(batch, 256, side, side),
        "memory_0": ((1, 1, 256), (some, 16, 256), (batch, 16, 256)),
        "memory_1": ((1, 1, 64, side, side), (some, 7, 64, side, side), (batch, 7, 64, side, side)),
        "memory_pos_embed": ((1, tokens + 4, 64), (some, 7 * tokens + 64, 64), (batch, 7 * tokens + 64, 64)),
        "mask_for_mem": _objects(batch, 1, size, size),
        "occ_logit": _objects(batch, 1),
        "pix_feat": _objects(batch, 256, side, side),
        "current_vision_feat": _objects(batch, 256, side, side),
    }


def _objects(batch: int, *rest: int) -> Profile:
    return (1, *rest), ((batch + 1) // 2, *rest), (batch, *rest)


SCRIPT = """#!/usr/bin/env bash
# Builds the engines of DeepStream's MaskTracker under the names that it looks for: {label}.
# Run it on the machine that runs DeepStream; an engine fits one GPU and one version of TensorRT only.
#
#   bash build_engines.sh [FOLDER]      FOLDER holds the ONNX files (default: {folder})
#   TRTEXEC=/path/to/trtexec            where trtexec is not in TensorRT's usual place
#
# The tracker builds engines that are missing by itself at its first start, with shapes that NVIDIA does not publish;
# the shapes below are those of NVIDIA's video summarization blueprint. An old engine of the same name is deleted first,
# because the tracker would load it.
set -euo pipefail
trtexec=${{TRTEXEC:-/usr/src/tensorrt/bin/trtexec}}
cd -- "${{1:-{folder}}}"

build() {{ # ONNX file, engine, options of trtexec
    rm -f -- "$2" "$2.part"
    "$trtexec" --onnx="$1" --saveEngine="$2.part" --skipInference "${{@:3}}" 2>&1 | tee "$2.log"
    mv -- "$2.part" "$2"
}}

{builds}
"""


def script(engines: list[Engine], folder: str, label: str) -> str:
    """A bash script that builds the engines with trtexec of TensorRT 10 in `folder` of the device."""
    builds = "\n".join(shlex.join(["build", one.file, one.name, *one.flags()]) for one in engines)
    return SCRIPT.format(label=label, folder=folder, builds=builds)
