"""Eight-bit products over no elements: onnxruntime does not write their results, so onnx.reference judges them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from surgery import fix_model
from surgery.guard.inputs import edge_cases
from surgery.guard.reference import run_original
from verify.run.known_faults import EMPTY_SUM, onnxruntime_fault

HEAD = '<ir_version: 8, opset_import: ["" : 21]> g '
CONSTANTS = "<float s = {0.5}, int8 z = {5}, int8 t = {1}>"
PRODUCTS = {
    "QLinearMatMul": "(int8[3,K] a, int8[K,4] b) => (int8[3,4] y)"
    f" {CONSTANTS} {{ i = Identity(a) y = QLinearMatMul(i, s, t, b, s, t, s, z) }}",
    "MatMulInteger": "(int8[3,K] a, int8[K,4] b) => (int32[3,4] y)"
    f" {CONSTANTS} {{ i = Identity(a) y = MatMulInteger(i, b, t, z) }}",
}
WANTED = {"QLinearMatMul": 5, "MatMulInteger": 0}


def product(op: str, size: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + PRODUCTS[op].replace("K", size))


@pytest.mark.parametrize("target", ["tensorrt-rtx", "tensorrt", "onnxruntime"])
@pytest.mark.parametrize("op", PRODUCTS)
def test_the_result_is_what_onnx_defines(op: str, target: str) -> None:
    model = product(op, "0")
    assert onnxruntime_fault(model) == EMPTY_SUM
    fixed, report = fix_model(model, target=target)
    assert "Identity" not in {node.op_type for node in fixed.graph.node}
    assert [check.name for check in report.checks if check.status != "pass"] == []
    inputs = {"a": np.zeros([3, 0], np.int8), "b": np.zeros([0, 4], np.int8)}
    assert np.array_equal(ReferenceEvaluator(fixed).run(None, inputs)[0], np.full([3, 4], WANTED[op]))


@pytest.mark.parametrize("op", PRODUCTS)
def test_products_over_elements_are_run_by_onnxruntime(op: str) -> None:
    model = product(op, "2")
    assert onnxruntime_fault(model) == ""
    assert run_original(model, model).backend == "onnxruntime"


@pytest.mark.parametrize("op", PRODUCTS)
def test_no_edge_case_has_nothing_to_sum_over(op: str) -> None:
    ordinary = {"a": np.zeros([3, 2], np.int8), "b": np.zeros([2, 4], np.int8)}
    cases = list(edge_cases(product(op, "k"), ordinary))
    assert cases
    assert all(value.size for case in cases for value in case.values())
