"""Where an error begins: the first tensor that differs by more than rounding, and how much of it does."""

from __future__ import annotations

import numpy as np
from onnx import parser

from benchmarks.onnxruntime_error import explained, first_difference

MODEL = """<ir_version: 8, opset_import: ["" : 17]> a (float[2,3] x) => (float[2,3] y) <float c = {STEP}> {
    h = Div(x, c)  r = Round(h)  y = Mul(r, c) }"""


def test_the_first_node_that_differs_is_named_with_the_rows_it_differs_in() -> None:
    before, after = (parser.parse_model(MODEL.replace("STEP", step)) for step in ("1.0", "0.9999995"))
    feeds = {"x": np.float32([[4.4999998, 2, 3], [1, 2, 3]])}
    found = first_difference(before, after, feeds)
    assert found is not None
    assert (found["node"], found["values"], found["size"], found["rows"]) == ("Round 'r'", 1, 6, 1)
    assert 0 < found["agreed"] < 1e-6
    assert explained(found).endswith("up to Round 'r', where 1 of 6 values differ, in 1 row")


def test_equal_models_differ_nowhere() -> None:
    model = parser.parse_model(MODEL.replace("STEP", "1.0"))
    assert first_difference(model, model, {"x": np.ones((2, 3), np.float32)}) is None
