"""Models of any size, as exporters write them, for `benchmarks/scale.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

WIDTH, SIDE = 32, 4096


def written_out(size: int) -> onnx.ModelProto:
    """At least `size` nodes in blocks of 22, float32 [N, 4, 32] to the same."""
    nodes: list[onnx.NodeProto] = []
    name = "x"
    while len(nodes) < size:
        name = _block(nodes, name, f"b{len(nodes)}_")
    rng = np.random.default_rng(0)
    weights = {
        "weight": rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5,
        "gain": np.ones(WIDTH),
        "offset": np.zeros(WIDTH),
        "two": np.array(2.0),
        "small": np.array(1e-5),
    }
    initializers = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    initializers += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in (("zero", 0), ("axis", [0]))]
    initializers.append(numpy_helper.from_array(np.array([4, WIDTH], np.int64), "rest"))
    return _model(nodes, name, ["N", 4, WIDTH], initializers)


def _block(nodes: list[onnx.NodeProto], x: str, stem: str) -> str:
    """A residual block with what exporters leave around one; the name of its output."""

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(make_node(op, list(inputs), [f"{stem}{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    length = add("Unsqueeze", add("Gather", add("Shape", x), "zero"), "axis")
    shape = add("Concat", add("Cast", length, to=TensorProto.INT64), "rest", axis=0)
    y = add("MatMul", add("Reshape", x, shape), add("Identity", "weight"))
    gap = add("Sub", y, add("ReduceMean", y, axes=[-1]))
    spread = add("Sqrt", add("Add", add("ReduceMean", add("Pow", gap, "two"), axes=[-1]), "small"))
    y = add("Add", add("Mul", add("Div", gap, spread), "gain"), "offset")
    y = add("Transpose", add("Transpose", y, perm=[0, 2, 1]), perm=[0, 2, 1])
    y = add("Relu", add("Cast", add("Identity", y), to=TensorProto.FLOAT))
    return add("Add", y, x)


def heavy(matrices: int, beside: Path | None = None) -> onnx.ModelProto:
    """Products with `matrices` weights of 67 MB, float32 [N, 4096] to the same; weights go to the file `beside`."""
    nodes, initializers, name = [], [], "x"
    for number in range(matrices):
        weight = np.random.default_rng(number).standard_normal((SIDE, SIDE), dtype=np.float32) / SIDE**0.5
        initializers.append(_weight(f"w{number}", weight, beside))
        nodes.append(make_node("MatMul", [name, f"w{number}"], [f"m{number}"]))
        nodes.append(make_node("Identity", [f"m{number}"], [f"i{number}"]))
        nodes.append(make_node("Tanh", [f"i{number}"], [f"t{number}"]))
        name = f"t{number}"
    return _model(nodes, name, ["N", SIDE], initializers)


def _weight(name: str, values: Any, beside: Path | None) -> onnx.TensorProto:
    if beside is None:
        return numpy_helper.from_array(values, name)
    beside.parent.mkdir(parents=True, exist_ok=True)
    tensor = TensorProto(name=name, dims=values.shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    with beside.open("ab") as stream:
        place = (("location", beside.name), ("offset", stream.tell()), ("length", values.nbytes))
        for key, value in place:
            tensor.external_data.add(key=key, value=str(value))
        stream.write(values.tobytes())
    return tensor


def _model(nodes: list[onnx.NodeProto], last: str, shape: list[Any], initializers: list[Any]) -> onnx.ModelProto:
    ends = [make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", last)]
    graph = make_graph(nodes, "generated", ends[:1], ends[1:], initializers)
    return make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)
