"""SG208: rotary encoding as a product with 2x2 matrices."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from surgery.passes.speed.rotation_product import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options

CODE = "SG208"
PATTERNS = {
    "table": """g (float[2,3,2,1] x) => (float[2,3,2,1] y) <float[3,2,2] t = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> {
          y = MatMul(t, x)
        }""",
    "table repeated": """g (float[6,2,1] x) => (float[6,2,1] y)
        <float[3,2,2] t = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, int64[3] n = {2, 1, 1}> {
          k = Tile(t, n)
          y = MatMul(k, x)
        }""",
}

TABLE = np.random.default_rng(1).normal(size=(1, 5, 3, 2, 2)).astype(np.float32)
TILED = """a = Shape<start = 1, end = 2>(r)  n = Concat<axis = 0>(one, a, one, one, one)
    t = Tile(table, n)  y = MatMul(t, x)"""


def model(body: str, inputs: str = "float[B,5,3,2,1] x", table: np.ndarray = TABLE) -> onnx.ModelProto:
    made = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (float[K,L,M,N,O] y) '
        f"<int64[1] one = {{1}}, int64[1] two = {{2}}> {{ {body} }}"
    )
    made.graph.initializer.append(numpy_helper.from_array(table, "table"))
    return made


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    ("source", "shapes"),
    [
        (model("y = MatMul(table, x)"), {"x": (4, 5, 3, 2, 1)}),
        (model("y = MatMul(table, x)", "float[3,2,1] x"), {"x": (3, 2, 1)}),
        (model(TILED, "float[B,L,3,2,1] x, float[1,R] r"), {"x": (2, 15, 3, 2, 1), "r": (1, 3)}),
    ],
    ids=["more rows than the table", "fewer dims than the table", "a table repeated for each frame"],
)
def test_values_stay(source: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    result = fixed(source)
    assert "MatMul" not in [node.op_type for node in result.graph.node]
    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    before, after = (ReferenceEvaluator(each).run(None, feeds)[0] for each in (source, result))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert after.shape == before.shape
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model("y = MatMul(table, x)", "float[B,5,3,2,2] x"), "two vectors for each matrix"),
        (model("y = MatMul(table, x)", "float[B,5,3,N,1] x"), "the size of the vectors is not known"),
        (model("y = MatMul(table, x)", table=np.ones((5, 3, 4, 2), np.float32)), "matrices of four rows"),
        (
            model(TILED.replace("one, one)", "two, one)"), "float[B,L,3,2,1] x, float[1,R] r"),
            "it is the matrices that are repeated",
        ),
        (model("y = MatMul(table, x)", table=TABLE[..., :1, :]), "matrices of one row"),
        (model("y = MatMul(table, x)", "float[B,5,3,1,1] x", table=TABLE[..., :1]), "matrices of one column"),
        (model("y = MatMul(table, x)", "int32[B,5,3,2,1] x", table=TABLE.astype(np.int32)), "integers"),
        (model("y = MatMul(table, x)", "float[2,1] x", table=TABLE[0, 0, 0]), "one matrix and no table"),
        (model("y = MatMul(table, x)", "float[2,1] x"), "one vector"),
        (model("y = MatMul(table, x)", table=TABLE[0, 0, 0]), "one matrix for all"),
        (model("y = MatMul(t, x)", "float[1,5,3,2,2] t, float[B,5,3,2,1] x"), "the table is computed"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why


def test_a_table_of_several_products_is_split_once() -> None:
    result = fixed(model("a = MatMul(table, x)  b = MatMul(table, a)  y = MatMul(table, b)"))
    assert "MatMul" not in [node.op_type for node in result.graph.node]
    assert len([tensor for tensor in result.graph.initializer if list(tensor.dims) == [1, 5, 3, 2, 1]]) == 2
