"""SG205: assignment to a constant slice."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from surgery.passes.speed.slice_assignment import PASS
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import equal_values

CODE = "SG205"
PATTERNS = {
    "rows in the middle": """g (float[4,3] x, float[2,3] u) => (float[4,3] y) <int64[2,1] i = {1, 2}> {
          y = ScatterND(x, i, u)
        }""",
    "a column": """g (float[3,3] x, float[3,1] u) => (float[3,3] y) <int64[3,1,2] i = {0, 1, 1, 1, 2, 1}> {
          y = ScatterND(x, i, u)
        }""",
    "from behind": """g (float[2,2,2] x, float[2,2] u) => (float[2,2,2] y) <int64[2,2] i = {0, -1, 1, -1}> {
          y = ScatterND(x, i, u)
        }""",
}


def model(
    indices: object, updates: str, data: str = "4,3", attributes: str = "", dtype: str = "int64"
) -> onnx.ModelProto:
    made = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 18]> g (float[{data}] x, float[{updates}] u) => (float[{data}] y) '
        f"{{ y = ScatterND{attributes}(x, i, u) }}"
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(indices, dtype), "i"))
    return made


def run(source: onnx.ModelProto) -> Outcome:
    return apply_passes(source, "", [PASS], Options())


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return run(source).model


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


@pytest.mark.parametrize(
    ("source", "said", "operators", "axis"),
    [
        (model([[1], [2]], "2,3"), "1 to 2 of axis 0", ["Slice", "Slice", "Concat"], 0),
        (model([[0], [1]], "2,3"), "0 to 1 of axis 0", ["Slice", "Concat"], 0),
        (model([[2], [3]], "2,3"), "2 to 3 of axis 0", ["Slice", "Concat"], 0),
        (model([[-1]], "1,3"), "3 to 3 of axis 0", ["Slice", "Concat"], 0),
        (model([[-4], [-3]], "2,3"), "0 to 1 of axis 0", ["Slice", "Concat"], 0),
        (model([[0], [1], [2], [3]], "4,3"), "0 to 3 of axis 0", ["Concat"], 0),
        (model([[[0, 1]], [[1, 1]], [[2, 1]], [[3, 1]]], "4,1"), "1 to 1 of axis 1", ["Slice", "Slice", "Concat"], 1),
        (model([[0, 0], [1, 0], [2, 0], [3, 0]], "4"), "0 to 0 of axis 1", ["Slice", "Reshape", "Concat"], 1),
        (
            model([[0, 1, 0], [0, 1, 1]], "2,5", "1,3,2,5"),
            "1 to 1 of axis 1",
            ["Slice", "Slice", "Reshape", "Concat"],
            1,
        ),
        (model([[[1], [2]]], "1,2,3"), "1 to 2 of axis 0", ["Slice", "Slice", "Reshape", "Concat"], 0),
    ],
)
def test_what_is_written(source: onnx.ModelProto, said: str, operators: list[str], axis: int) -> None:
    outcome = run(source)
    assert [finding.message for finding in outcome.applied] == [f"assigns to positions {said}"]
    nodes = [node for node in outcome.model.graph.node if node.op_type != "Constant"]
    assert sorted(node.op_type for node in nodes) == sorted(operators)
    (concat,) = (node for node in nodes if node.op_type == "Concat")
    assert concat.attribute[0].i == axis
    rng = np.random.default_rng(0)
    shapes = {v.name: [dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in source.graph.input}
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    before, after = (ReferenceEvaluator(each).run(None, feeds)[0] for each in (source, outcome.model))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "source",
    [
        model(np.zeros((0, 1)), "0,3"),
        model(np.zeros((2, 0)), "2,4,3"),
        model(1, "3"),
        model([[1, 0, 0]], "1"),
        model([[1], [2]], "2,3", attributes='<reduction="mul">'),
        model([[0, 0], [1, 1]], "2"),
        model([[0, 0], [0, 1], [1, 0]], "3"),
        model([[0, 0], [1, 0], [0, 1], [1, 1]], "4", "2,2"),
        model([[1, 0], [1, 1]], "2", "2,3"),
        model([[1], [2]], "2,3", "N,3"),
    ],
)
def test_indices_that_are_no_block_are_left_alone(source: onnx.ModelProto) -> None:
    outcome = run(source)
    assert outcome.model is source
    assert outcome.context.troubles == []


def test_reduction_that_is_none_is_an_assignment() -> None:
    result = run(model([[1], [2]], "2,3", attributes='<reduction="none">')).model
    assert "Concat" in [node.op_type for node in result.graph.node]
