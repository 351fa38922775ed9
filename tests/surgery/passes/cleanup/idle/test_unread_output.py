"""SG133: Optional outputs that nothing reads."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG133"
REWRITES = [
    Case(
        "mean is not read",
        """g (float[2,4] x, float[4] s, float[4] b) => (float[2,4] y) {
          y, m, d = LayerNormalization<axis = 1>(x, s, b)
        }""",
        after="""g (float[2,4] x, float[4] s, float[4] b) => (float[2,4] y) {
          y = LayerNormalization<axis = 1>(x, s, b)
        }""",
    ),
    Case(
        "the indices of a MaxPool",
        """g (float[1,1,4] x) => (float[1,1,2] y) {
          y, i = MaxPool<kernel_shape = [2], strides = [2]>(x)
        }""",
        after="g (float[1,1,4] x) => (float[1,1,2] y) { y = MaxPool<kernel_shape = [2], strides = [2]>(x) }",
        opset=12,
    ),
    Case(
        "the last of two",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] m) {
          y, m, d = LayerNormalization<axis = 1>(x, s)
        }""",
        after="""g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] m) {
          y, m = LayerNormalization<axis = 1>(x, s)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "all outputs are read",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] m, float[2,1] d) {
          y, m, d = LayerNormalization<axis = 1>(x, s)
        }""",
    ),
    Case(
        "an output behind it is read",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] d) {
          y, m, d = LayerNormalization<axis = 1>(x, s)
        }""",
    ),
    Case("ONNX requires it", "g (float[4] x) => (float[2] y) <int64[1] k = {2}> { y, i = TopK(x, k) }"),
    Case("the number of outputs may choose the training mode", "g (float[2] x) => (float[2] y) { y, m = Dropout(x) }"),
    Case(
        "its domain is unknown",
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[2] x) => (float[2] y) { y, z = own.Two(x) }""",
    ),
    Case(
        "onnxruntime refuses a window shorter than its stride without indices",
        """g (float[1,1,2] x) => (float[1,1,1] y) {
          y, i = MaxPool<auto_pad = "SAME_UPPER", kernel_shape = [1], strides = [2]>(x)
        }""",
    ),
    Case("the outputs are those of a Split", "g (float[4] x) => (float[2] y) { y, z = Split<axis = 0>(x) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
