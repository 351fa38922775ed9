"""An antialiased Resize becomes products although the batch is free, as torch exports it: sizes copied from Shape."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import surgery

HEAD = '<ir_version: 9, opset_import: ["" : 18]> '
COPIED = """g (float[batch, 2, 6, 8] x) => (float[batch, 2, 3, h] y) <int64[2] wanted = {3, 5}> {
  kept = Shape <start = 0, end = 2> (x)
  sizes = Concat <axis = 0> (kept, wanted)
  y = Resize <mode = "linear", antialias = 1> (x, , , sizes)
}"""
BY_SCALE = """g (float[batch, 2, 6, 8] x) => (float[b, 2, 3, 4] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
  y = Resize <mode = "linear", antialias = 1> (x, , scales)
}"""
OTHER_DIM = """g (float[batch, 2, 6, 8] x, float[other] z) => (float[o, 2, 3, 5] y) <int64[3] wanted = {2, 3, 5}> {
  count = Shape(z)
  sizes = Concat <axis = 0> (count, wanted)
  y = Resize <mode = "linear", antialias = 1> (x, , , sizes)
}"""
FREE_SIDE = """g (float[batch, 2, 6, w] x) => (float[b, 2, 3, v] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
  y = Resize <mode = "linear", antialias = 1> (x, , scales)
}"""


@pytest.mark.parametrize("text", [COPIED, BY_SCALE])
def test_resize_with_a_free_batch(text: str) -> None:
    before = onnx.parser.parse_model(HEAD + text)
    fixed, _ = surgery.fix_model(before)
    assert "Resize" not in [node.op_type for node in fixed.graph.node]
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 8)).astype(np.float32)
    wanted, got = (ReferenceEvaluator(model).run(None, {"x": x})[0] for model in (before, fixed))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", [OTHER_DIM, FREE_SIDE], ids=["a size from elsewhere", "a free side that changes"])
def test_resize_of_an_unknown_size_is_left_alone(text: str) -> None:
    fixed, _ = surgery.fix_model(onnx.parser.parse_model(HEAD + text))
    assert "Resize" in [node.op_type for node in fixed.graph.node]
