"""Opset 18 rewritten as 17: the same values, and refusals of what opset 17 cannot say."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import parser

from export.onnx_file.opset import to_opset_17
from verify.errors import SurgeonError

HEAD = '<ir_version: 8, opset_import: ["" : 18]>\n'

EQUAL = [
    pytest.param(
        "g (float[2,4] x) => (float[2,1] y) <int64[1] axes = {1}> { y = ReduceMax <keepdims = 1> (x, axes) }",
        id="axes as an input",
    ),
    pytest.param("g (float[2,4] x) => (float[1,1] y) { y = ReduceMax (x) }", id="all axes"),
    pytest.param(
        "g (float[2,4] x) => (float[2,2] y, float[2,2] z) { y, z = Split <axis = 1, num_outputs = 2> (x) }",
        id="equal split",
    ),
    pytest.param(
        "g (float[2,4] x) => (float[2,1] y, float[2,3] z) <int64[2] s = {1, 3}> { y, z = Split <axis = 1> (x, s) }",
        id="given split",
    ),
    pytest.param(
        "g (float[2,4] x) => (float[3,4] y) <int64[4] pads = {0, 0, 1, 0}> { y = Pad (x, pads) }", id="padding"
    ),
    pytest.param(
        "g (float[2,4] x) => (float[4,8] y) <float[2] up = {2, 2}> "
        '{ y = Resize <mode = "linear", antialias = 0> (x, , up) }',
        id="resize",
    ),
    pytest.param("g (float[2,4] x) => (float[2,4] y) { y = Softmax (x) }", id="unchanged"),
]


@pytest.mark.parametrize("text", EQUAL)
def test_the_same_values_in_opset_17(text: str) -> None:
    model, lowered = parser.parse_model(HEAD + text), parser.parse_model(HEAD + text)
    to_opset_17(lowered)
    onnx.checker.check_model(lowered, full_check=True)
    assert lowered.opset_import[0].version == 17
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)}
    wanted, got = (onnx.reference.ReferenceEvaluator(m).run(None, feeds) for m in (model, lowered))
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "g (float[2,4] x, int64[1] axes) => (float[2,1] y) { y = ReduceMax (x, axes) }",
            "constant axes for ReduceMax",
        ),
        (
            "g (float[2,4] x) => (float[3,4] y) <int64[2] pads = {0, 1}, int64[1] axes = {0}> "
            "{ y = Pad (x, pads, , axes) }",
            "no axes for Pad",
        ),
        (
            "g (float[1,1,2,4] x) => (float[1,1,1,2] y) <float[4] down = {1, 1, 0.5, 0.5}> "
            '{ y = Resize <mode = "linear", antialias = 1> (x, , down) }',
            "no antialias for Resize",
        ),
        ("g (float[2,4] x) => (float y) { y = ReduceL1 <keepdims = 0> (x) }", "no equal form of ReduceL1"),
    ],
)
def test_what_opset_17_cannot_say_is_refused(text: str, said: str) -> None:
    with pytest.raises(SurgeonError, match=f"opset 17 .*{said}|{said}.*choose --opset 18"):
        to_opset_17(parser.parse_model(HEAD + text))
