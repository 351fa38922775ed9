"""Warnings about files that DeepStream is not known to accept, before they are copied to the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from export.deepstream.configs import USUAL_SIZE
from surgery.diagnose.verdicts import verdict_of
from surgery.targets import load_target
from verify.interface.recognise import read_metadata
from verify.model.walk import tensors
from verify.report import Verdict

HALF = {onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.BFLOAT16: "bfloat16"}


def warnings(
    models: Mapping[Path, onnx.ModelProto], *, precision: str, size: int, objects: int, memory: bool
) -> list[str]:
    """One line for each property of the files and settings that DeepStream is not known to accept."""
    return [line for path, model in models.items() for line in _of_file(path, model, precision)] + list(
        _of_settings(size, objects, memory)
    )


def _of_file(path: Path, model: onnx.ModelProto, precision: str) -> Iterator[str]:
    graph = model.graph
    for value in (*graph.input, *graph.output):
        kind = value.type.tensor_type.elem_type
        if kind != onnx.TensorProto.FLOAT:
            name = HALF.get(kind, onnx.TensorProto.DataType.Name(kind).lower())
            yield f"{path}: '{value.name}' is {name}; the tracker reads and writes float32 only"
    half = sorted({HALF[tensor.data_type] for tensor in tensors(model) if tensor.data_type in HALF})
    if half and precision == "fp16":
        yield (
            f"{path}: is in {half[0]} inside, and networkMode 1 lets TensorRT choose half precision once more; what "
            "DeepStream makes of such a file is not published: export it with --precision fp32"
        )
    about = read_metadata(model)
    attention = path.name == "memory_attention.onnx"
    if attention and precision == "fp16" and (about.get("target"), about.get("precision")) == ("tensorrt-rtx", "fp32"):
        yield (
            f"{path}: exported for TensorRT-RTX; DeepStream's TensorRT would fuse only half of its attention; "
            "export with --target tensorrt"
        )


def _of_settings(size: int, objects: int, memory: bool) -> Iterator[str]:
    if size != USUAL_SIZE:
        yield (
            f"the files are made for {size} pixels; no DeepStream is known to take another size than {USUAL_SIZE}: "
            f"export with --image-size {USUAL_SIZE}"
        )
    if memory and objects > 1:
        yield (
            f"{objects} objects at once with memory: NVIDIA's files have 1, and whether the tracker takes more is not "
            "published; --no-memory allows up to 20"
        )


def verdicts(models: Mapping[Path, onnx.ModelProto], release: str) -> dict[Path, Verdict]:
    """The verdict of this release's TensorRT on each file, by NVIDIA's operator table."""
    return {path: verdict_of(path, load_target(f"deepstream-{release}")) for path in models}
