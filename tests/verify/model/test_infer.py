"""Inference of types on any model: never an error, no weights copied, no vector of millions written down."""

from __future__ import annotations

import time

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper, parser

from verify.model.infer import infer_types
from verify.model.walk import dims_of

HEADER = '<ir_version: 8, opset_import: ["" : 17]> '


def shapes(text: str) -> dict[str, list[int | str | None] | None]:
    graph = infer_types(parser.parse_model(HEADER + text)).graph
    return {value.name: dims_of(value.type.tensor_type) for value in (*graph.value_info, *graph.output)}


def test_shapes_follow_from_computed_operands() -> None:
    found = shapes(
        "g (float[2,3,n] x) => (float y) { s = Shape<end = 2>(x) e = Constant<value = int64[1] {-1}>() "
        "t = Concat<axis = 0>(s, e) r = Reshape(x, t) y = ReduceSum<keepdims = 0>(r) }"
    )
    assert found["r"] is not None
    assert found["r"][:2] == [2, 3]


def test_weights_are_left_out_and_the_model_stays_as_it_is() -> None:
    model = parser.parse_model(HEADER + "g (float[4,4096] x) => (y) { a = MatMul(x, w) y = Reshape(a, s) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4096, 8), np.float32), "w"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 16]), "s"))
    before = model.SerializeToString()
    inferred = infer_types(model)
    assert dims_of(inferred.graph.output[0].type.tensor_type) == [2, 16]
    assert inferred.ByteSize() < 2000 < len(before)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("text", ["y = Gemm(x)", "y = Reshape(x, x)"])
def test_what_inference_refuses_keeps_its_declared_types(text: str) -> None:
    found = shapes(f"g (float[2] x) => (float[5] y) {{ {text} }}")
    assert found["y"] == [5]


def test_a_vector_of_millions_is_not_written_down() -> None:
    text = (
        "g (float[20000000] x) => (int64[2] y) { s = Shape(x) z = ConstantOfShape<value = int64[1] {1}>(s) "
        "k = Constant<value = int64[1] {0}>() w = Gather(z, k) y = Concat<axis = 0>(w, w) }"
    )
    started = time.perf_counter()
    assert shapes(text)["w"] == [1]
    assert time.perf_counter() - started < 1.0  # 20 million elements would take several seconds and gigabytes


def test_types_inside_branches() -> None:
    model = parser.parse_model(
        HEADER + "g (bool c, float[2,3] x) => (float[3,2] y) { y = If(c) "
        "<then_branch = t () => (float[3,2] u) { v = Neg(x) u = Transpose(v) }, "
        "else_branch = e () => (float[3,2] w) { w = Transpose(x) }> }"
    )
    branch = infer_types(model).graph.node[0].attribute[0].g
    assert [(info.name, info.type.tensor_type.elem_type) for info in branch.value_info] == [("v", TensorProto.FLOAT)]
