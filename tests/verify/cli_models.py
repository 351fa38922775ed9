"""Models for the tests of `surgeon verify` and `surgeon golden`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

from verify.interface.spec import load_spec

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
TEXT = "m (float[2,8] x) => (float[2,16] y) { h = MatMul(x, w) y = Tanh(h) }"
# TensorRT 10.14 gives both sums the same axis.
TWO_SUMS = (
    "m (float[2,3] x) => (float[2,3] a, float[2,3] b) { zero = Constant<value = int64 {0}>()"
    " one = Constant<value = int64 {1}>() a = CumSum(x, zero) b = CumSum(x, one) }"
)


def weight() -> Any:
    return np.random.Generator(np.random.Philox(3)).standard_normal((8, 16)).astype(np.float32)


def write(path: Path, text: str = TEXT, w: Any = None, **options: Any) -> Path:
    model = parser.parse_model(HEADER + text)
    if "w" in text:
        model.graph.initializer.append(numpy_helper.from_array(weight() if w is None else w, "w"))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, **options)
    return path


def decoder(path: Path = Path("mask_decoder.onnx"), **changes: str) -> Path:
    """A model with the interface of the mask decoder, and nothing of it inside; `changes` renames ports."""
    spec = load_spec()["mask_decoder"]
    ports = {
        side: [helper.make_tensor_value_info(changes.get(p.name, p.name), 1, list(p.dims)) for p in getattr(spec, side)]
        for side in ("inputs", "outputs")
    }
    nodes = [helper.make_node("Shape", [ports["inputs"][0].name], ["objects"], start=0, end=1)]
    for out in ports["outputs"]:
        dims = [dim.dim_value for dim in out.type.tensor_type.shape.dim[1:]]
        nodes += [
            helper.make_node("Constant", [], [f"{out.name}_dims"], value_ints=dims),
            helper.make_node("Concat", ["objects", f"{out.name}_dims"], [f"{out.name}_shape"], axis=0),
            helper.make_node("ConstantOfShape", [f"{out.name}_shape"], [out.name]),
        ]
    graph = helper.make_graph(nodes, "decoder", ports["inputs"], ports["outputs"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
