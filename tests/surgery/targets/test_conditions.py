"""Conditions of the tables: true, false or unknown, and nothing but facts, numbers, texts and comparisons."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from surgery.targets.conditions import UNKNOWN, evaluate
from surgery.targets.facts import NodeFacts
from surgery.targets.graph_facts import GraphFacts, types_of
from verify.errors import SurgeonError
from verify.model.infer import infer_types

MODEL = """
<ir_version: 10, opset_import: ["" : 20]>
g (float[N,3,8] x, uint8[2] image, int64[1] where) => (float[a,b,c] y, float[2] z)
  <int64[2] sizes = {3, 8}, int64[1] axis = {1}> {
  [cast] z = Cast<to = 1>(image)
  copied = Identity(axis)
  [mean] m = ReduceMean<keepdims = 1>(x, copied)
  [sum] s = ReduceSum<keepdims = 1>(x, where)
  five = Constant<value_ints = [5, 6]>()
  [tile] t = Tile(sizes, axis)
  [pool] y, i = MaxPool<kernel_shape = [2], pads = [0, 1]>(x)
  [choice] q = Opaque(five)
}
"""


def facts(name: str) -> Any:
    model = infer_types(onnx.parser.parse_model(MODEL))
    graph = model.graph
    node = next(node for node in graph.node if node.name == name)
    known = GraphFacts(graph, types_of(graph), {tensor.name: tensor for tensor in graph.initializer}, 20)
    return NodeFacts(known, node).ask


@pytest.mark.parametrize(
    ("node", "condition", "holds"),
    [
        ("cast", "dtype(0) == 'uint8' and out_dtype(0) == 'float32'", True),
        ("cast", "fed(0) and is_output(0) and attr('to', 0) == 1", True),
        ("mean", "stored(1) and constant(1) and not initializer(1)", True),
        ("mean", "dim(0, -1) == 8 and dim(0, 0) == -1", True),
        ("mean", "maker(1) == 'Identity' and readers(0) == ()", True),
        ("sum", "constant(1)", False),
        ("sum", "values(1) == (1,)", None),
        ("sum", "rank(0) > 2 or values(1) == (1,)", True),
        ("sum", "rank(0) > 8 and values(1) == (1,)", False),
        ("tile", "largest(values(0)) == 8 and smallest(values(0)) == 3 and size(0) == 2", True),
        ("pool", "used(1) and outputs() == 2 and not symmetric('pads')", True),
        ("pool", "ones('dilations') and not has('dilations') and attr('kernel_shape', ()) == (2,)", True),
        ("pool", "given(1) or inputs() > 1", False),
        ("choice", "dtype(0) == 'int64' and values(0) == (5, 6) and op() == 'Opaque' and opset() >= 20", True),
        ("choice", "out_dtype(0) == 'float32'", None),
        ("choice", "not out_dtype(0) == 'float32'", None),
        ("choice", "(3 + 4) // 2 * 2 - 7 % 4 == 3", True),
    ],
)
def test_condition(node: str, condition: str, holds: bool | None) -> None:
    assert evaluate(condition, facts(node)) is holds


@pytest.mark.parametrize(
    "text", ["import os", "__import__('os')", "x.y", "dtype(0", "nothing_like_it(0)", "[1]", "1 if 2 else 3"]
)
def test_what_is_no_condition_is_an_error(text: str) -> None:
    with pytest.raises(SurgeonError, match="condition"):
        evaluate(text, facts("cast"))


def test_an_unknown_argument_makes_a_fact_unknown() -> None:
    assert evaluate("rank(missing) > 1", lambda name, _: UNKNOWN if name == "missing" else 2) is None
