"""SG205: assignment to a constant slice."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from surgery.passes.speed.slice_assignment import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.context import Options
from tests.surgery.passes.comparing import equal_values


def model(indices: object, updates: str, data: str = "4,3", attributes: str = "") -> onnx.ModelProto:
    made = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 18]> g (float[{data}] x, float[{updates}] u) => (float[{data}] y) '
        f"{{ y = ScatterND{attributes}(x, i, u) }}"
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(indices, np.int64), "i"))
    return made


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    "source",
    [
        model([[1], [2]], "2,3"),
        model([[0], [1]], "2,3"),
        model([[2], [3]], "2,3"),
        model([[-1]], "1,3"),
        model([[0], [1], [2], [3]], "4,3"),
        model([[[0, 1]], [[1, 1]], [[2, 1]], [[3, 1]]], "4,1"),
        model([[0, 1], [0, 2], [1, 1], [1, 2], [2, 1], [2, 2], [3, 1], [3, 2]], "8"),
    ],
)
def test_values_stay_bit_for_bit(source: onnx.ModelProto) -> None:
    result = fixed(source)
    assert "ScatterND" not in [node.op_type for node in result.graph.node]
    equal_values(source, result)
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model([[0], [2]], "2,3"), "a place is skipped"),
        (model([[1], [0]], "2,3"), "the order is another"),
        (model([[1], [1]], "2,3"), "a place is written twice"),
        (model([[0, 1], [1, 1]], "2"), "parts of two axes stay"),
        (model([[1], [2]], "2,3", attributes='<reduction="add">'), "it adds"),
        (model([[1], [2]], "2,3", data="N,3"), "the size of the axis is not known"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why
