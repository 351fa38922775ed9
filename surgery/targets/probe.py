"""`python -m surgery.targets.probe [KEY ...]`: ask the real parsers and builders, and write the tables the passes read.

With keys of the catalog it asks about these rows only, which takes seconds; about everything it takes minutes.

`tensorrt-rtx.json` is what TensorRT-RTX's parser and builder say to every feature of the catalog, and the dtypes that
they take of each operator, found with ONNX's own node cases; `onnxruntime.json` is what onnxruntime's CPU provider
says to the features and of whole operators. Needs tensorrt_rtx; no GPU.
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
from verify.errors import SurgeonError
from verify.model.walk import opsets_of
from verify.tensorrt import engine

DTYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16,
    "float64": onnx.TensorProto.DOUBLE,
    "int32": onnx.TensorProto.INT32,
    "int64": onnx.TensorProto.INT64,
    "int8": onnx.TensorProto.INT8,
    "uint8": onnx.TensorProto.UINT8,
    "bool": onnx.TensorProto.BOOL,
}
BASES = 2
# What these take depends on more than dtypes; tensorrt-rtx.toml has rows for them.
BY_ROWS = ("Attention", "EyeLike", "Range")
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


def features(ask: Ask) -> dict[str, str]:
    """The catalog's features that the target refuses: key -> what it said."""
    answers = {key: ask(feature.model(), feature.profile) for key, feature in load_catalog().items()}
    return {key: _line(answer) for key, answer in answers.items() if answer is not None}


def operators(ask: Ask) -> dict[str, str]:
    """Operators that the target has at no opset, as `op:NAME` -> what it said to the first of ONNX's own cases."""
    answers: dict[str, list[str | None]] = defaultdict(list)
    for operator, model, values in operator_cases():
        if None not in answers[operator]:
            answers[operator] += [ask(older, values) for older in (model, *_restamped(model))]
    return {f"op:{op}": _line(str(said[0])) for op, said in sorted(answers.items()) if None not in said}


def _restamped(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """The model of one node under every older opset in which its operator has another version."""
    node = model.graph.node[0]
    versions = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.name == node.op_type}
    for version in sorted(versions, reverse=True):
        older = onnx.ModelProto()
        older.CopyFrom(model)
        for entry in older.opset_import:
            if entry.domain == node.domain:
                entry.version = version
        yield older


def dtypes(ask: Ask) -> dict[str, dict[str, list[str]]]:
    """Operator -> type parameter of its ONNX schema -> the dtypes of DTYPES that the target takes there.

    The parameters are changed one at a time in cases that the target takes; operators without such a case are left out.
    """
    cases: dict[str, list[tuple[onnx.ModelProto, dict[str, Any]]]] = defaultdict(list)
    for operator, model, values in operator_cases():
        for base in (model, plainest(model, values)):
            if len(cases[operator]) < BASES and ask(base, values) is None:
                cases[operator].append((base, values))
                break
    taken: dict[str, dict[str, set[str]]] = {}
    for operator, bases in sorted(cases.items()):
        for model, values in bases:
            for parameter, names, allowed in _parameters(model):
                found = taken.setdefault(operator, {}).setdefault(parameter, set())
                for dtype in sorted(allowed & DTYPES.keys() - found):
                    changed = _retyped(model, names, dtype)
                    if changed is not None and ask(changed, values) is None:
                        found.add(dtype)
    return {
        op: {name: sorted(found) for name, found in kinds.items() if found}
        for op, kinds in taken.items()
        if op not in BY_ROWS
    }


def _parameters(model: onnx.ModelProto) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each type parameter of the only node with the tensors it types and the dtypes that ONNX allows."""
    node = model.graph.node[0]
    version = opsets_of(model.opset_import)[node.domain]
    schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    typed: dict[str, set[str]] = defaultdict(set)
    for formals, names in ((schema.inputs, node.input), (schema.outputs, node.output)):
        for place, name in enumerate(names):
            if name:
                typed[formals[min(place, len(formals) - 1)].type_str].add(name)
    for constraint in schema.type_constraints:
        allowed = {text.removeprefix("tensor(").removesuffix(")") for text in constraint.allowed_type_strs}
        allowed = {{"float": "float32", "double": "float64"}.get(name, name) for name in allowed}
        if typed[constraint.type_param_str]:
            yield constraint.type_param_str, typed[constraint.type_param_str], allowed


def _retyped(model: onnx.ModelProto, names: set[str], dtype: str) -> onnx.ModelProto | None:
    """The model with these tensors in another dtype; None where an attribute of the node sets the dtype."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    if any(attribute.name in ("to", "dtype", "output_datatype") for attribute in changed.graph.node[0].attribute):
        return None
    for value in (*changed.graph.input, *changed.graph.output):
        if value.name in names:
            value.type.tensor_type.elem_type = DTYPES[dtype]
    for tensor in changed.graph.initializer:
        if tensor.name in names:
            number = float if "float" in dtype else int
            values = [number(item) for item in onnx.numpy_helper.to_array(tensor).ravel().tolist()]
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, DTYPES[dtype], list(tensor.dims), values))
    return changed


def _line(message: str) -> str:
    return " ".join(message.split())[:200]


def write(folder: Path) -> None:
    """Probe what is installed and write both files."""
    import onnxruntime
    import tensorrt_rtx

    rtx = {"version": tensorrt_rtx.__version__, "refusals": features(ask_tensorrt), "types": dtypes(ask_tensorrt)}
    tables = {
        "tensorrt-rtx": rtx,
        "onnxruntime": {
            "version": onnxruntime.__version__,
            "refusals": features(ask_onnxruntime) | operators(ask_onnxruntime),
        },
    }
    for name, table in tables.items():
        _save(folder / f"{name}.json", table)


def write_rows(folder: Path, keys: list[str]) -> None:
    """Probe these features of the catalog only, and write what is said to them into both files.

    Raises:
        SurgeonError: the catalog has no such feature, or a file was made with another version than is installed.
    """
    import onnxruntime
    import tensorrt_rtx

    catalog = load_catalog()
    if unknown := [key for key in keys if key not in catalog]:
        raise SurgeonError(f"catalog.toml has no row {', '.join(unknown)}; its rows are {', '.join(catalog)}")
    place = {key: index for index, key in enumerate(catalog)}
    installed = {"tensorrt-rtx": tensorrt_rtx.__version__, "onnxruntime": onnxruntime.__version__}
    for name, ask in (("tensorrt-rtx", ask_tensorrt), ("onnxruntime", ask_onnxruntime)):
        table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if table["version"] != installed[name]:
            raise SurgeonError(
                f"{name}.json is of version {table['version']} and {installed[name]} is installed; probe without a key"
            )
        answers = {key: ask(catalog[key].model(), catalog[key].profile) for key in keys}
        rows = {key: said for key, said in table["refusals"].items() if key not in answers}
        rows |= {key: _line(said) for key, said in answers.items() if said is not None}
        table["refusals"] = dict(sorted(rows.items(), key=lambda row: place.get(row[0], len(place))))
        _save(folder / f"{name}.json", table)


def _save(path: Path, table: dict[str, Any]) -> None:
    path.write_text(f"{json.dumps(table, indent=1, ensure_ascii=False)}\n", encoding="utf-8")


def main(keys: list[str]) -> None:
    """Probe the features named, or everything."""
    folder = Path(__file__).parent
    try:
        write_rows(folder, keys) if keys else write(folder)
    except SurgeonError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    errors = os.dup(2)  # TensorRT prints to the second file itself; an error of ours still gets there
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = os.fdopen(errors, "w")
    main(sys.argv[1:])
