"""A half-precision file in float32: what a GPU computes, where onnxruntime on a CPU skips roundings."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from verify.compare.half_file import float32_nodes, in_float32

SUM = """<ir_version: 8, opset_import: ["" : 17]>
a (float[4] x, bool c) => (float[4] y) <KIND c0 = {BIG}> {
    h = Cast<to=NUMBER>(x)  s = Add(h, c0)  d = Sub(s, c0)
    b = If(c) <then_branch = one () => (KIND[4] o) { o = Mul(d, d) },
               else_branch = two () => (KIND[4] o) { o = Neg(s) }>
    y = Cast<to=1>(b)
}"""


def _run(model: onnx.ModelProto, inputs: dict[str, Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.mark.parametrize(("kind", "number", "big"), [("float16", 10, "16384"), ("bfloat16", 16, "32768")])
@pytest.mark.parametrize("branch", [True, False])
def test_every_tensor_is_rounded_in_branches_too(kind: str, number: int, big: str, branch: bool) -> None:
    text = SUM.replace("KIND", kind).replace("NUMBER", str(number)).replace("BIG", "0")
    model = parser.parse_model(text)
    kinds = {"float16": np.float16, "bfloat16": onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)}
    half = kinds[kind]
    constant = np.array(float(big)).astype(half)
    tensor = onnx.helper.make_tensor("c0", number, (), constant.tobytes(), raw=True)
    index = next(i for i, known in enumerate(model.graph.initializer) if known.name == "c0")
    model.graph.initializer[index].CopyFrom(tensor)
    x = np.float32([1.5, -3.25, 100.125, 7.0])
    low = x.astype(half)
    total = low + constant
    gap = total - constant
    expected = (gap * gap if branch else -total).astype(np.float32)
    found = _run(in_float32(model), {"x": x, "c": np.array(branch)})
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, x * x if branch else -(x + float(big)))


def test_what_overflows_is_infinite_and_nodes_in_float32_are_counted() -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> a (float[2] x) => (float[2] y) '
        "{ h = Cast<to=10>(x)  s = Mul(h, h)  r = Sqrt(s)  w = Cast<to=1>(r)  y = Neg(w) }"
    )
    found = _run(in_float32(model), {"x": np.float32([2, 1000])})
    np.testing.assert_array_equal(found, [-2, -np.inf])
    assert float32_nodes(model) == 1
