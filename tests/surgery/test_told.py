"""The guard draws inputs that give the declared output shapes, so that what trusts them is compared at all."""

from __future__ import annotations

import onnx
import pytest

import surgery

MODELS = [
    (11, "g (float[1,6,4] b, float[1,2,6] s, int64[1] n, float[1] i, float[1] t) => (int64[4,3] y)"
     " { y = NonMaxSuppression(b, s, n, i, t) }"),
    (11, "g (float[2,6,4] b, float[2,1,6] s, int64[1] n, float[1] i, float[1] t) => (int64[5,3] y)"
     " { y = NonMaxSuppression<center_point_box = 1>(b, s, n, i, t) }"),
    (18, "g (float[1,4,5] x, int64[2] i, int64[2] b) => (float[1,1,6,6] y)"
     " { y = Col2Im<dilations = [1, 5]>(x, i, b) }"),
    (20, 'g (float[1,10,8,1] x, int64 a) => (float[1,6,8,2] y) { y = DFT<onesided = 1>(x, , a) }'),
    (20, 'g (float[1,6,8,2] x, int64 a) => (float[1,10,8,1] y) { y = DFT<onesided = 1, inverse = 1>(x, , a) }'),
    (17, "g (float[3,4] x) => (int64[2,5] y) { y = NonZero(x) }"),
    (17, "g (float a, float b, float d) => (float[9] y) { y = Range(a, b, d) }"),
    (17, "g (float[4,2] x, bool[4] k) => (float[3,2] y) { y = Compress<axis = 0>(x, k) }"),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "text"), MODELS, ids=[text.split("y = ")[-1][:12] for _, text in MODELS])
def test_three_sets_agree(opset: int, text: str) -> None:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')
    fixed, report = surgery.fix_model(model, trust_declared_shapes=True)
    check = next(check for check in report.checks if check.name == "parity")
    assert check.status == "pass", check.message
    assert check.figures.get("sets") == 3
    assert fixed is not model
