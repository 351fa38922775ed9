"""MaxUnpool after the MaxPool that made its indices, against onnxruntime."""

from __future__ import annotations

import numpy as np

from tests.surgery.passes.comparing import left_alone, operators, same

TEXT = (
    "g (float[1,2,4,6] x) => (float[1,2,4,6] y) {{ p, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)"
    " y = MaxUnpool<kernel_shape = [2, 2], strides = {0}>(p, i) }}"
)


def test_values() -> None:
    inputs = {"x": np.random.default_rng(0).standard_normal((1, 2, 4, 6)).astype(np.float32)}
    assert "MaxUnpool" not in operators(same(TEXT.format("[2, 2]"), 22, "SG146", [inputs], exact=True))


def test_left_alone() -> None:
    left_alone(TEXT.format("[1, 1]").replace("float[1,2,4,6] y", "float[a,b,c,d] y"), 22, "SG146")
    left_alone(TEXT.format("[2, 2]").replace("float[1,2,4,6] x", "float[1,2,n,6] x"), 22, "SG146")
