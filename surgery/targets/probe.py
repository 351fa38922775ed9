"""`python -m surgery.targets.probe`: ask the real parsers and builders, and write the tables the passes read.

`tensorrt-rtx.json` is what TensorRT-RTX's parser and builder say to every feature of the catalog and to ONNX's own
node cases (an operator is refused when every case of it is); `tensorrt.json` is derived from it, without the rows
tagged `rtx_only`; `onnxruntime.json` is what onnxruntime's CPU provider says. Needs tensorrt_rtx; no GPU.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from surgery.targets.catalog import load_catalog
from verify.tensorrt import engine

DERIVED = "derived from the TensorRT-RTX {version} table without the rows tagged rtx_only; not probed"
RTX_ONLY_OPERATORS = ("NonZero", "NonMaxSuppression", "RoiAlign", "DeformConv")
Ask = Callable[[onnx.ModelProto, dict[str, Any]], "str | None"]


def ask_tensorrt(model: onnx.ModelProto, profile: dict[str, Any]) -> str | None:
    """What TensorRT-RTX's parser or builder says against the model, or None where it builds.

    Args:
        profile: for every dynamic input its shape (a list), for every shape input its value (an array or number).
    """
    shapes = {name: given if isinstance(given, list) else list(np.shape(given)) for name, given in profile.items()}
    values = {name: np.ravel(given).tolist() for name, given in profile.items() if np.asarray(given).dtype.kind in "iu"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model.SerializeToString())
        built = engine.build(path, {name: (shape,) * 3 for name, shape in shapes.items()}, values=values)
    if built.refusals:
        return f"parser: {built.refusals[0].op} {built.refusals[0].message}".replace(folder, "")
    return None if built.ok else f"builder: {built.messages[-1] if built.messages else 'no reason given'}"


def ask_onnxruntime(model: onnx.ModelProto, profile: dict[str, Any]) -> str | None:
    """What onnxruntime says when it loads the model, or None where it does. `profile` is not used."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # every kind of refusal is an answer here
        return str(error)
    return None


def operator_cases() -> Iterator[tuple[str, onnx.ModelProto, dict[str, Any]]]:
    """Operator, model and input values of ONNX's own single-node cases that have plain tensors only."""
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        graph = case.model.graph
        if len(graph.node) != 1 or not case.data_sets:
            continue
        values = {entry.name: array for entry, array in zip(graph.input, case.data_sets[0][0], strict=False)}
        if all(isinstance(value, (np.ndarray, np.generic)) for value in values.values()):
            node = graph.node[0]
            yield (f"{node.domain}::{node.op_type}" if node.domain else node.op_type), case.model, values


def plainest(model: onnx.ModelProto, values: dict[str, Any]) -> onnx.ModelProto:
    """The same case with integer inputs (axes, sizes, counts) as constants and the first output only."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for entry in list(plain.graph.input):
        if np.asarray(values[entry.name]).dtype.kind in "iub" and entry.name != plain.graph.node[0].input[0]:
            plain.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values[entry.name]), entry.name))
            plain.graph.input.remove(entry)
    del plain.graph.output[1:]
    del plain.graph.node[0].output[1:]
    return plain


def probe(ask: Ask) -> dict[str, str]:
    """Everything the target refuses: catalog features by key, whole operators as `op:NAME`."""
    refusals = {}
    for key, feature in load_catalog().items():
        answer = ask(feature.model(), feature.profile)
        if answer is not None:
            refusals[key] = _line(answer)
    answers = defaultdict(list)
    for operator, model, values in operator_cases():
        said = ask(model, values)
        answers[operator].append(said if said is None else ask(plainest(model, values), values) and said)
    for operator, given in sorted(answers.items()):
        if all(answer is not None for answer in given):
            refusals[f"op:{operator}"] = _line(str(given[0]))
    return refusals


def _line(message: str) -> str:
    return " ".join(message.split())[:200]


def write(folder: Path) -> None:
    """Probe what is installed and write the three tables."""
    import onnxruntime
    import tensorrt_rtx

    rtx = probe(ask_tensorrt)
    version = tensorrt_rtx.__version__
    only = {f"op:{operator}" for operator in RTX_ONLY_OPERATORS}
    only |= {key for key, feature in load_catalog().items() if feature.rtx_only}
    full = {key: said for key, said in rtx.items() if key not in only}
    tables = {
        "tensorrt-rtx": {"version": version, "refusals": rtx},
        "tensorrt": {"version": version, "note": DERIVED.format(version=version), "refusals": full},
        "onnxruntime": {"version": onnxruntime.__version__, "refusals": probe(ask_onnxruntime)},
    }
    for name, table in tables.items():
        text = json.dumps(table, indent=1, ensure_ascii=False)
        folder.joinpath(f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
