"""Eight-bit models without their rounding, and goldens that see through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import verify
from verify.run.session import open_session
from verify.run.unrounded import quantizers, without_rounding

HEAD = '<ir_version: 9, opset_import: ["" : 17, "com.microsoft" : 1]>'
QDQ = """m (float[2,3] x) => (float[2,4] y)
    <float s = {0.02}, uint8 z = {128}, float t = {0.01}, uint8 u = {0}, int8 v = {0}, int8[3,4] w = {W}> {
    q = QuantizeLinear(x, s, z)
    d = DequantizeLinear(q, s, z)
    e = DequantizeLinear(w, t, v)
    m = MatMul(d, e)
    r = Relu(m)
    p = QuantizeLinear(r, t, u)
    y = DequantizeLinear(p, t, u)
}"""
FUSED = """m (float[2,3] x) => (float[2,4] y)
    <float s = {0.02}, uint8 z = {128}, float t = {0.01}, uint8 u = {0}, int8 v = {0}, int8[3,4] w = {W}> {
    q = QuantizeLinear(x, s, z)
    p = QLinearMatMul(q, s, z, w, t, v, t, u)
    y = DequantizeLinear(p, t, u)
}"""
WRITTEN_OUT = """m (float[2,3] x) => (float[2,4] y)
    <float s = {0.02}, float z = {128.0}, float t = {0.01}, int8 v = {0}, float low = {0.0}, float high = {255.0},
     int8[3,4] w = {W}> {
    a = Div(x, s)
    b = Round(a)
    c = Add(b, z)
    i = Clip(c, low, high)
    j = Cast<to = 6>(i)
    k = Cast<to = 1>(j)
    l = Sub(k, z)
    d = Mul(l, s)
    e = DequantizeLinear(w, t, v)
    m = MatMul(d, e)
    f = Div(m, t)
    g = Round(f)
    h = Clip(g, low, high)
    n = Cast<to = 6>(h)
    o = Cast<to = 1>(n)
    y = Mul(o, t)
}"""
THROUGH_IDENTITY = QDQ.replace("q = QuantizeLinear(x, s, z)", "si = Identity(s)\n q = QuantizeLinear(x, si, z)")
IN_FLOATS = """m (float[2,3] x) => (float[2,4] y)
    <float s = {0.02}, float t = {0.01}, int8 v = {0}, float low = {0.0}, float high = {255.0}, float least = {-128.0},
     float most = {127.0}, int8[3,4] w = {W}> {
    a = Div(x, s)
    b = Round(a)
    c = Min(b, most)
    i = Max(c, least)
    d = Mul(i, s)
    e = DequantizeLinear(w, t, v)
    m = MatMul(d, e)
    f = Div(m, t)
    g = Round(f)
    h = Clip(g, low, high)
    y = Mul(h, t)
}"""
ROUNDED_BEFORE = QDQ.replace("float s = {0.02},", "float s = {0.02}, float zf = {128.0}, float one = {1.0},").replace(
    "q = QuantizeLinear(x, s, z)", "a = Div(x, s)\n b = Round(a)\n c = Add(b, zf)\n q = QuantizeLinear(c, one, u)"
)
FORMS = {"fused": FUSED, "written out": WRITTEN_OUT, "scale through Identity": THROUGH_IDENTITY}
FORMS |= {"in floats": IN_FLOATS, "rounded before": ROUNDED_BEFORE}
WEIGHTS = "5,-9,2,7,1,3,-2,4,8,-6,3,11"
X = np.asarray([[0.3, -0.55, 1.2], [-0.11, 0.9, -0.02]], np.float32)


def model(text: str, weights: str = WEIGHTS) -> onnx.ModelProto:
    return parser.parse_model(f"{HEAD} {text.replace('W}', weights + '}')}")


def in_floats() -> np.ndarray:
    w = np.asarray([int(number) for number in WEIGHTS.split(",")], np.float32).reshape(3, 4) * np.float32(0.01)
    return np.clip(X @ w, 0.0, 2.55)


@pytest.mark.parametrize("text", [QDQ, *FORMS.values()], ids=["QDQ", *FORMS])
def test_every_form_gives_the_sum_without_steps(text: str) -> None:
    one = model(text)
    assert quantizers(one) == 2
    changed = without_rounding(one)
    assert changed is not None
    onnx.checker.check_model(changed)
    np.testing.assert_allclose(open_session(changed).run({"x": X}).outputs["y"], in_floats(), atol=1e-6)
    assert abs(open_session(one).run({"x": X}).outputs["y"] - in_floats()).max() > 1e-4


@pytest.mark.parametrize(
    "text",
    [
        "m (float[4] x) => (uint8[4] y) <float s = {0.1}, uint8 z = {0}> { y = QuantizeLinear(x, s, z) }",
        "m (float[4] x) => (int32[4] y) { r = Round(x) y = Cast<to = 6>(r) }",
        "m (float[4] x) => (int32[4] y) { r = Round(x) i = Cast<to = 6>(r) y = Abs(i) }",
        """m (float[4] x) => (uint8[4] y) <float s = {0.1}, uint8 z = {0}> {
            q = QuantizeLinear(x, s, z) y = Add(q, q) }""",
        """m (float[4] x) => (float[4] y) <float[4] s = {0.1, 0.2, 0.1, 0.1}, uint8[4] z = {0, 0, 0, 0}> {
            q = QuantizeLinear<axis = 0>(x, s, z) y = DequantizeLinear<axis = 0>(q, s, z) }""",
    ],
)
def test_rounding_that_cannot_be_left_out(text: str) -> None:
    assert without_rounding(parser.parse_model(f"{HEAD} {text}")) is None


def test_fused_operators_of_an_old_opset_stay() -> None:
    assert (
        without_rounding(parser.parse_model(f"{HEAD.replace('17', '12')} {FUSED.replace('W}', WEIGHTS + '}')}")) is None
    )


@pytest.mark.parametrize("nodes", ["r = Round(x) y = Add(r, x)", "a = Div(x, s) r = Round(a) y = Mul(r, t)"])
def test_rounding_that_is_no_quantisation_stays(nodes: str) -> None:
    head = f"{HEAD} m (float[4] x) => (float[4] y) <float s = {{0.5}}, float t = {{0.1}}>"
    plain = parser.parse_model(f"{head} {{ {nodes} }}")
    assert (quantizers(plain), without_rounding(plain)) == (0, None)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_golden_of_a_quantised_model_holds_its_other_forms_and_sees_their_faults(tmp_path: Path, text: str) -> None:
    path, golden = tmp_path / "m.onnx", tmp_path / "golden"
    onnx.save(model(QDQ), path)
    verify.record_golden(path, golden)
    onnx.save(model(text), path)
    assert [(c.name, c.status) for c in judged(path, golden)] == [("golden", "pass")]
    wrong = model(text, WEIGHTS.replace("11", "12"))
    assert numpy_helper.to_array(wrong.graph.initializer[-1]).max() == 12
    onnx.save(wrong, path)
    assert [(c.name, c.status) for c in judged(path, golden)] == [("golden", "fail")]


def judged(path: Path, golden: Path) -> list[verify.Check]:
    report = verify.verify_model(path, goldens=[golden], tensorrt=False)
    return [check for check in report.checks if check.name.startswith("golden")]
