"""SG140: ScatterND and ScatterElements with a reduction: add, mul, max or min."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, parse, same, stays

CODE = "SG140"
REWRITES = [
    Case(
        "add along rows, doubled indices",
        """g (float[3,2] x, int64[3,1] i, float[3,2] u) => (float[3,2] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[0], [2], [0]]},
    ),
    Case(
        "largest element along an axis",
        """g (float[2,4] x, int64[2,3] i, float[2,3] u) => (float[2,4] y) {
          y = ScatterElements<axis = 1, reduction = "max">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterElements",),
        inputs={"i": [[0, 3, 0], [-1, 1, 1]]},
    ),
    Case(
        "smallest element with negative indices",
        """g (float[3,2] x, int64[2,2] i, float[2,2] u) => (float[3,2] y) {
          y = ScatterElements<reduction = "min">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterElements",),
        inputs={"i": [[-1, 0], [2, -2]]},
    ),
    Case(
        "product over whole places",
        """g (float[2,3] x, int64[2,2] i, float[2] u) => (float[2,3] y) {
          y = ScatterND<reduction = "mul">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[0, -1], [0, 2]]},
    ),
    Case(
        "largest integer",
        """g (int32[4] x, int64[2,1] i, int32[2] u) => (int32[4] y) {
          y = ScatterND<reduction = "max">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[3], [3]], "x": [-5, -6, -7, -8], "u": [-100, -1]},
    ),
    Case(
        "updates are narrower than the data",
        """g (float[2,4] x, int64[1,3] i, float[1,3] u) => (float[2,4] y) {
          y = ScatterElements<axis = 1, reduction = "add">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterElements",),
        inputs={"i": [[0, 3, 0]]},
    ),
    Case(
        "there are no indices",
        """g (float[4] x, int64[0,1] i, float[0] u) => (float[4] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
    ),
    Case(
        "one update, whose index has a single dim",
        """g (float[4,2] x, int64[1] i, float[2] u) => (float[4,2] y) {
          y = ScatterND<reduction = "mul">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [-1]},
    ),
]
FREE = [  # form of the data, of the indices and of the updates, where E, F and B are free
    ("ScatterND", "4,3", "E,1", "E,3"),
    ("ScatterND", "4,F", "E,1", "E,F"),
    ("ScatterND", "2,2", "E,F,2", "E,F"),
    ("ScatterND", "2,2,F,2", "E,B,2", "E,B,F,2"),
    ("ScatterElements<axis = 0>", "4", "E", "E"),
    ("ScatterElements<axis = -2>", "B,4,F", "B,E,F", "B,E,F"),
    ("ScatterElements<axis = 1>", "3,4", "B,E", "B,E"),
]
SIZES = [{"E": 5, "F": 3, "B": 2}, {"E": 1, "F": 1, "B": 1}, {"E": 0, "F": 2, "B": 3}, {"E": 4, "F": 0, "B": 2}]
LEFT_ALONE = [
    Case(
        "it overwrites", "g (float[4] x, int64[2,1] i, float[2] u) => (float[4] y) { y = ScatterND(x, i, u) }", opset=18
    ),
    Case(
        "the size of the data is not known",
        """g (float[n] x, int64[2,1] i, float[2] u) => (float[n] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "integers are multiplied in floating point by onnxruntime",
        """g (int32[4] x, int64[2,1] i, int32[2] u) => (int32[4] y) {
          y = ScatterND<reduction = "mul">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "the comparison holds more than 4M elements",
        """g (float[4097] x, int64[1024,1] i, float[1024] u) => (float[4097] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "the comparison may hold more than 4M elements with 256 updates",
        """g (float[256,65] x, int64[E,1] i, float[E,65] u) => (float[256,65] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize(
    ("kind", "reduction"), [("float", "add"), ("float", "mul"), ("int32", "max"), ("int64", "min")]
)
@pytest.mark.parametrize(("form", "data", "indices", "updates"), FREE)
def test_a_free_number_of_updates(form: str, data: str, indices: str, updates: str, kind: str, reduction: str) -> None:
    op, _, axis = form.partition("<")
    attributes = f'{axis[:-1]}, reduction = "{reduction}"' if axis else f'reduction = "{reduction}"'
    text = f"""g ({kind}[{data}] x, int64[{indices}] i, {kind}[{updates}] u) => ({kind}[{data}] y) {{
      y = {op}<{attributes}>(x, i, u)
    }}"""
    same(text, 18, CODE, [drawn_sizes(data, indices, updates, sizes) for sizes in SIZES])


def drawn_sizes(data: str, indices: str, updates: str, sizes: dict[str, int]) -> dict[str, Any]:
    """Small whole numbers, and indices that hold for dims of two and more."""
    rng = np.random.default_rng(sum(sizes.values()))
    shapes = [
        [sizes[dim] if dim in sizes else int(dim) for dim in text.split(",")] for text in (data, indices, updates)
    ]
    low, high = (-2, 2) if "2" in data else (-4, 4)
    return {
        name: rng.integers(*((low, high) if name == "i" else (-9, 9)), shape)
        for name, shape in zip("xiu", shapes, strict=True)
    }


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_sums_of_integers_wrap_around(kind: str) -> None:
    text = f"""g ({kind}[3] x, int64[E,1] i, {kind}[E] u) => ({kind}[3] y) {{
      y = ScatterND<reduction = "add">(x, i, u)
    }}"""
    limits = np.iinfo(kind)
    values = {"x": [limits.max, limits.min, 5], "i": [[0], [0], [1], [2], [2]]}
    same(text, 18, CODE, [values | {"u": [3, limits.max, -1, limits.max // 3, 2]}], exact=True)


def test_the_finding_says_what_a_free_number_of_updates_costs() -> None:
    text = """g (float[64,8] x, int64[E,1] i, float[E,8] u) => (float[64,8] y) {
      y = ScatterND<reduction = "add">(x, i, u)
    }"""
    _, report = surgery.fix_model(parse(text, 18), guard=False)
    (found,) = [finding for finding in report.findings if finding.code == CODE]
    assert "each of a free number of updates is compared with 64 places" in found.message


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
