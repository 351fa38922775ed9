"""Which sizes the guard tries."""

from __future__ import annotations

from itertools import islice

import onnx
import pytest

from surgery.guard.inputs import input_sets


@pytest.mark.parametrize(
    ("dims", "wanted"),
    [("B,3,H,W", (2, 3, 32, 32)), ("B,H,W", (2, 32, 32)), ("N", (32,)), ("1,3,H,W", (1, 3, 32, 32))],
)
def test_a_large_picture_comes_in_a_small_batch(dims: str, wanted: tuple[int, ...]) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] x) => (float[{dims}] y) {{ y = Relu(x) }}'
    shapes = [feeds["x"].shape for feeds in islice(input_sets(onnx.parser.parse_model(text)), 9)]
    assert wanted in shapes
    assert next(shape for shape in shapes if shape[-1] == 32) == wanted


@pytest.mark.parametrize(("dims", "wanted"), [("B,N", (2, 4096)), ("N", (4096,)), ("1,3,H,W", None)])
def test_sound_is_long_and_pictures_are_not(dims: str, wanted: tuple[int, ...] | None) -> None:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] x) => (float[{dims}] y) {{ y = Relu(x) }}'
    shapes = [feeds["x"].shape for feeds in input_sets(onnx.parser.parse_model(text))]
    assert shapes[-1] == (wanted or (1, 3, 224, 224))
