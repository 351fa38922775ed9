"""Describes an ONNX file; external data stays where it is, so that a file of any size takes little memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.diagnose.model_view import ModelView, port
from surgery.diagnose.utf8 import require_text
from surgery.inspect.targets import Refusals, refusals
from surgery.inspect.weights import Total, Weight, by_file, by_type, weights
from verify.lint import lint
from verify.model.read import read_model
from verify.model.walk import domain_of, every_node, fed_inputs, op_of

BREACH = ("code", "severity", "message", "node", "path")


@dataclass(frozen=True)
class Description:
    """What a model file contains.

    bytes           of the model file, without external data
    ir_version, producer, opsets, metadata, functions   as the file has them
    inputs, outputs {"name", "dtype", "shape"} of each; dims are numbers, names, or None
    nodes           in the main graph
    nested_nodes    in graphs inside nodes and in functions
    operators       number of nodes by operator, nested ones included, the most frequent first
    dynamic_dims    name of a dynamic dim, or "?" -> where it occurs in the interface ("x[0]")
    weights         all of them, the largest first
    by_type         total of each dtype
    external        file -> (total of the tensors in it, size of the file in bytes)
    targets         target -> what it refuses
    breaches        of the ONNX specification: {"code", "severity", "message", "node", "path"} of each
    """

    path: str
    bytes: int
    ir_version: int
    producer: str
    opsets: dict[str, int]
    metadata: dict[str, str]
    functions: tuple[str, ...]
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    nodes: int
    nested_nodes: int
    operators: dict[str, int]
    dynamic_dims: dict[str, list[str]]
    weights: tuple[Weight, ...]
    by_type: dict[str, Total]
    external: dict[str, tuple[Total, int]]
    targets: dict[str, Refusals]
    breaches: tuple[dict[str, str], ...] = ()

    @property
    def weight_total(self) -> Total:
        """The total over all dtypes."""
        total = Total()
        for weight in self.weights:
            total.add(weight)
        return total


def describe(path: str | os.PathLike[str]) -> Description:
    """Describe the ONNX file at `path`.

    Raises:
        SurgeonError: the file is missing, not ONNX, or cut short, or its external data is missing.
    """
    file = Path(path)
    model = read_model(file)
    require_text(model, str(file))
    view = ModelView(model)
    inputs = tuple(port(value.name, {value.name: value.type}) for value in fed_inputs(model.graph))
    outputs = tuple(port(value.name, view.types) for value in model.graph.output)
    operators = Counter(map(op_of, every_node(model)))
    found = weights(model)
    return Description(
        path=str(file),
        bytes=file.stat().st_size,
        ir_version=model.ir_version,
        producer=" ".join(filter(None, map(_text, (model.producer_name, model.producer_version)))),
        opsets={domain_of(entry.domain) or "ai.onnx": entry.version for entry in model.opset_import},
        metadata={_text(entry.key): _text(entry.value) for entry in model.metadata_props},
        functions=tuple(f"{function.domain}::{function.name}" for function in model.functions),
        inputs=inputs,
        outputs=outputs,
        nodes=len(model.graph.node),
        nested_nodes=operators.total() - len(model.graph.node),
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        dynamic_dims=_dynamic_dims((*inputs, *outputs)),
        weights=tuple(found),
        by_type=by_type(found),
        external=by_file(found, file.parent),
        targets=refusals(view, str(file.parent)),
        breaches=tuple({key: getattr(one, key) for key in BREACH} for one in lint(model)),
    )


def _text(value: Any) -> str:
    """The value as text; protobuf returns text that is not UTF-8 as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _dynamic_dims(ports: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in ports:
        for axis, dim in enumerate(one["shape"] or ()):
            if not isinstance(dim, int):
                found.setdefault(dim or "?", []).append(f"{one['name']}[{axis}]")
    return found
