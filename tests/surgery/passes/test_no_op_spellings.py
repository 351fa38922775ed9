"""SG010 for every spelling of its operands: a node is removed exactly if it returns its input."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.surgery.passes.one_node import BIG, Spelling, goes, hands_on, model


def slices() -> Iterator[Spelling]:
    for start, end, axis, step in product([0, 1, -1], [1, 2, 3, BIG, 2**31 - 1, -1], [0, 1, -1, -2], [None, 1, 2, -1]):
        yield "Slice", [[start], [end], [axis], *([] if step is None else [[step]])], {}
    for ends in product([1, 2, 3, 4], repeat=2):
        yield "Slice", [[0, 0], list(ends)], {}
        yield "Slice", [[0, 0], list(ends), [1, 0]], {}
        yield "Slice", [[0, 0], list(ends), None, [1, 1]], {}
        yield "Slice", [[0, 0], list(ends), None, [1, 2]], {}
    yield "Slice", [[0], [2]], {}
    yield "Slice", [[0], [1]], {}


def shapings() -> Iterator[Spelling]:
    for shape in ([2, 3], [3, 2], [-1, 3], [2, -1], [0, 0], [0, -1], [0, 3], [2, 0], [6], [1, 2, 3], [-1], [3, -1]):
        yield "Reshape", [shape], {}
        yield "Reshape", [shape], {"allowzero": 1}
    for shape in ([2, 3], [1, 3], [1, 1], [3], [1], [2, 1], [1, 2, 3], [2, 2, 3], [1, 1, 1]):
        yield "Expand", [shape], {}
    for repeats in product([1, 2], repeat=2):
        yield "Tile", [list(repeats)], {}
    for pads in product([0, 1], repeat=4):
        yield "Pad", [list(pads)], {}
    yield "Pad", [[0, 0, 0, 0], None], {"mode": "reflect"}
    for perm in ([0, 1], [1, 0], None):
        yield "Transpose", [], {} if perm is None else {"perm": perm}
    for axis in (0, 1, 2, -1):
        yield "Flatten", [], {"axis": axis}
        yield "Unsqueeze", [[axis]], {}
        yield "Concat", [], {"axis": min(axis, 1)}
        yield "Split", [], {"axis": min(axis, 1)}
    for op in ("Sum", "Max", "Min", "Mean"):
        yield op, [], {}
        yield op, [np.full((2, 3), 0.5, np.float32)], {}
    yield "Squeeze", [], {}
    for ratio in (None, np.array(0.5, np.float32)):
        for training in ([], [np.array(False)], [np.array(True)]):
            yield "Dropout", [ratio, *training], {"seed": 1}
    yield "Dropout", [], {}


@pytest.mark.parametrize("made", [slices, shapings], ids=["slices", "others"])
def test_goes_exactly_when_it_gives_what_it_gets(made: Any) -> None:
    tried = []
    for spelling in made():
        source = model(spelling)
        wanted = hands_on(source)
        if wanted is not None:
            tried.append(wanted)
            assert goes(source) == wanted, spelling
    assert min(tried.count(True), tried.count(False)) > 10


@pytest.mark.parametrize("before", [1, 6, 7, 9, 10, 11])
@pytest.mark.parametrize("after", [1, 6, 7, 9, 10, 11])
def test_casts(before: int, after: int) -> None:
    assert goes(model(("Cast", [], {"to": after}), kind=before)) == (before == after)


@pytest.mark.parametrize(
    ("spelling", "shape", "gone"),
    [
        (("Slice", [[0], [BIG], [0]], {}), ("N", 3), True),
        (("Slice", [[0], [2**31 - 1], [0]], {}), ("N", 3), True),
        (("Slice", [[0], [2**31 - 2], [0]], {}), ("N", 3), False),
        (("Slice", [[0], [3], [1]], {}), ("N", 3), True),
        (("Slice", [[0], [3], [0]], {}), ("N", 3), False),
        (("Slice", [[0, 0], [BIG, 2]], {}), ("N", 3), False),
        (("Reshape", [[-1, 3]], {}), ("N", 3), True),
        (("Reshape", [[0, 3]], {}), ("N", 3), True),
        (("Reshape", [[0, -1]], {}), ("N", "M"), True),
        (("Reshape", [[0, 0]], {"allowzero": 1}), ("N", "M"), False),
        (("Reshape", [[2, 3]], {}), ("N", 3), False),
        (("Reshape", [[3, -1]], {}), ("N", 3), False),
        (("Reshape", [[-1]], {}), ("N",), True),
        (("Reshape", [[-1]], {}), (None,), True),
        (("Reshape", [[-1, 3]], {}), (None, 3), True),
        (("Reshape", [[0, -1]], {}), (None, None), True),
        (("Reshape", [[0, 0]], {"allowzero": 1}), (None, None), False),
        (("Reshape", [[3, -1]], {}), (None, 3), False),
        (("Reshape", [[-1, 1]], {}), (None, 3), False),
        (("Reshape", [[0, 3, 1]], {}), (None, 3), False),
        (("Slice", [[0, 0], [BIG, 3]], {}), (None, 3), True),
        (("Expand", [[1, 3]], {}), (None, 3), True),
        (("Expand", [[2, 3]], {}), (None, 3), False),
        (("Flatten", [], {"axis": 1}), (None, 3), True),
        (("Expand", [[1, 3]], {}), ("N", 3), True),
        (("Expand", [[3]], {}), ("N", 3), True),
        (("Expand", [[2, 3]], {}), ("N", 3), False),
        (("Expand", [[1, 1, 1]], {}), ("N", 3), False),
        (("Flatten", [], {"axis": 1}), ("N", 3), True),
        (("Flatten", [], {"axis": 1}), ("N", 3, 1), False),
        (("Transpose", [], {}), ("N",), True),
        (("Transpose", [], {}), (), True),
        (("Transpose", [], {}), ("N", 1), False),
        (("Transpose", [], {"perm": [0, 1, 2]}), ("N", "M", 1), True),
        (("Squeeze", [], {}), (2, 1), False),
        (("Squeeze", [[1]], {}), ("N", 1), False),
        (("Tile", [[1, 1]], {}), ("N", "M"), True),
        (("Pad", [[0, 0, 0, 0]], {}), ("N", "M"), True),
        (("Slice", [[0], [3], [2]], {}), (2, 3), False),
        (("Slice", [[0], [3], [-3]], {}), (2, 3), False),
    ],
)  # fmt: skip
def test_free_dims_and_other_ranks(spelling: Spelling, shape: tuple[int | str | None, ...], gone: bool) -> None:
    assert goes(model(spelling, shape)) is gone


@pytest.mark.parametrize(
    ("spelling", "opset", "gone"),
    [
        (("Slice", [], {"starts": [0], "ends": [2]}), 9, True),
        (("Slice", [], {"starts": [0], "ends": [1]}), 9, False),
        (("Slice", [], {"starts": [0], "ends": [2], "axes": [1]}), 9, False),
        (("Slice", [], {"starts": [0], "ends": [3], "axes": [1]}), 9, True),
        (("Slice", [], {"starts": [1], "ends": [3], "axes": [1]}), 9, False),
        (("Pad", [], {"pads": [0, 0, 0, 0]}), 10, True),
        (("Pad", [], {"pads": [0, 1, 0, 0]}), 10, False),
        (("Pad", [], {"paddings": [0, 0, 0, 0]}), 1, True),
        (("Reshape", [], {"shape": [2, 3]}), 4, True),
        (("Reshape", [], {"shape": [0, -1]}), 4, True),
        (("Reshape", [], {"shape": [3, 2]}), 4, False),
        (("Sum", [], {}), 7, True),
        (("Sum", [], {}), 6, True),
        (("Squeeze", [], {"axes": [0]}), 11, False),
        (("Dropout", [], {"ratio": 0.5}), 7, True),
        (("Dropout", [], {"ratio": 0.5, "is_test": 1}), 6, True),
        (("Dropout", [], {"ratio": 0.5, "is_test": 0}), 6, False),
        (("Transpose", [], {"perm": [0, 1]}), 6, True),
    ],
)  # fmt: skip
def test_older_spellings(spelling: Spelling, opset: int, gone: bool) -> None:
    assert goes(model(spelling, opset=opset)) is gone
