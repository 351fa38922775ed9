"""The torch exports through onnxruntime's quantizer: weights and activations in eight bits, as it writes them.

"dynamic" is `quantize_dynamic` with signed weights; "QDQ" and "QOperator" are `quantize_static` in its two forms,
calibrated with the inputs that lie beside the export.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

STATIC = ("convnext.old", "efficientnet.old", "swin.new", "vit.old", "whisper.new")
DYNAMIC = (*STATIC, "bert.new", "detr.old", "llama.old")
# It fails on biases that are shared through Identity, as torch's old exporter writes them, in this form alone.
OPERATORS = ("convnext.new", "efficientnet.new", "swin.new", "vit.old", "whisper.new")
FORMS = {"dynamic": DYNAMIC, "QDQ": STATIC, "QOperator": OPERATORS}


def quantize(folder: Path) -> dict[str, Path]:
    """Quantize the exports in `folder`, each once; gives the file of each, which may be missing, by its shown name."""
    made = {}
    for form, stems in FORMS.items():
        for stem in stems:
            source, target = folder / f"{stem}.onnx", folder / "quantized" / f"{stem}.{form}.onnx"
            if source.is_file() and not target.is_file():
                target.parent.mkdir(exist_ok=True)
                try:
                    _write(source, target, form)
                except Exception as error:
                    print(f"{stem}, {form}: onnxruntime's quantizer fails: {error}", flush=True)
            made[f"{stem.split('.')[0]}, quantized, {form}"] = target
    return made


def _write(source: Path, target: Path, form: str) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )

    feeds = dict(np.load(source.parent / f"{source.name.split('.')[0]}.npz"))

    class Once(CalibrationDataReader):  # type: ignore[misc]
        """The one set of inputs."""

        def __init__(self) -> None:
            self.rest: list[dict[str, Any]] = [feeds]

        def get_next(self) -> dict[str, Any] | None:
            return self.rest.pop() if self.rest else None

    source, target, here = source.resolve(), target.resolve(), Path.cwd()
    # The quantizer prints every tensor it cannot infer, and leaves a file where it runs.
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(scratch)
        try:
            if form == "dynamic":
                quantize_dynamic(source, target, weight_type=QuantType.QInt8)
            else:
                quantize_static(source, target, Once(), quant_format=QuantFormat[form])
        finally:
            os.chdir(here)
