"""What onnxruntime's optimizer and quantizer make of a model: each form as a file of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADS, WIDTH = 4, 64  # of the exports of onnxruntime_torch.py
TYPES = {"bert": "bert", "vit": "vit", "whisper": "bart", "t5": "t5"}  # what the optimizer of transformers calls them


def level(source: Path, target: Path, name: str) -> None:
    """The graph that a session of this optimization level runs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{name.upper()}")
    options.optimized_model_filepath, options.log_severity_level = str(target), 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def transformer(source: Path, target: Path) -> None:
    """The graph that the optimizer of transformers writes."""
    from onnxruntime.transformers.optimizer import optimize_model

    kind = TYPES[source.stem]
    made = optimize_model(str(source), model_type=kind, num_heads=HEADS, hidden_size=WIDTH, opt_level=0)
    made.save_model_to_file(str(target))


def dynamic(source: Path, target: Path) -> None:
    """Weights of eight bits, and inputs quantized as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8)


def static(source: Path, target: Path, feeds: Mapping[str, Any], form: str) -> None:
    """Weights and activations of eight bits, uint8 by int8, as operators of their own or between Q and DQ."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Once(CalibrationDataReader):  # type: ignore[misc]
        """The one set of inputs."""

        def __init__(self) -> None:
            self.rest: list[dict[str, Any]] = [dict(feeds)]

        def get_next(self) -> dict[str, Any] | None:
            return self.rest.pop() if self.rest else None

    kinds: dict[str, Any] = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    left_out = after_logarithms(source)
    quantize_static(
        str(source), str(target), Once(), quant_format=getattr(QuantFormat, form), nodes_to_exclude=left_out, **kinds
    )


def after_logarithms(source: Path) -> list[str]:
    """Names of the nodes between a Log and the next Cast, which no scale fits.

    T5 takes the logarithm of distances, one of which is 0: calibration finds -inf and writes a scale of inf, and
    onnxruntime cannot run that file at all.
    """
    import onnx

    endless: set[str] = set()
    names = []
    for node in onnx.load(source, load_external_data=False).graph.node:
        if node.op_type == "Log" or (node.op_type != "Cast" and endless & set(node.input)):
            endless |= set(node.output)
            names.append(node.name)
    return names


def write(source: Path, folder: Path, feeds: Mapping[str, Any]) -> dict[str, Path]:
    """All forms of a model, by name. A form that onnxruntime fails to write is left out and printed."""
    folder.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Any] = {
        **{f"level {name}": lambda path, name=name: level(source, path, name) for name in ("basic", "extended", "all")},
        "dynamic": lambda path: dynamic(source, path),
        "QOperator": lambda path: static(source, path, feeds, "QOperator"),
        "QDQ": lambda path: static(source, path, feeds, "QDQ"),
    }
    if source.stem in TYPES:
        steps["transformers.optimizer"] = lambda path: transformer(source, path)
    for quantized in ("dynamic", "QDQ"):
        steps[f"{quantized}, level extended"] = lambda path, base=quantized: level(
            _file(folder, source, base), path, "extended"
        )
    return {name: path for name, step in steps.items() if (path := _written(folder, source, name, step)) is not None}


def _file(folder: Path, source: Path, name: str) -> Path:
    return folder / f"{source.stem}.{name.replace(', ', '.').replace(' ', '-')}.onnx"


def _written(folder: Path, source: Path, name: str, step: Any) -> Path | None:
    target, here = _file(folder, source, name).resolve(), Path.cwd()
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(scratch)  # the quantizer leaves files where it runs, and warns of every tensor it does not know
        logging.disable(logging.WARNING)
        try:
            step(target)
        except Exception as error:
            failure = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            return target
        finally:
            os.chdir(here)
            logging.disable(logging.NOTSET)
    print(f"onnxruntime does not write {source.stem}, {name}: {failure}")
    return None
