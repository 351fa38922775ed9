"""Nothing is written that computes something else, and what was not checked says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

import surgery
from surgery import steps
from surgery.guard.tolerances import difference
from surgery.passes import all_passes
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from verify.errors import CheckFailed

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 4] x) => (float[n, 4] y) { [one] a = Identity(x) [two] y = Sqrt(a) }"""


def liar(op: str) -> Pass:
    """A pass that claims to be exact and is not."""

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        for node in context.nodes(graph, "Sqrt"):
            yield finding("is wrong", node, lambda node=node: setattr(node, "op", op))

    return Pass(code="SG999", name="liar", find=find, exact=True)


@pytest.mark.parametrize("op", ["Abs", "Relu"])
def test_a_wrong_pass_is_caught_and_named(op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar(op))
    monkeypatch.setattr(steps, "all_passes", lambda: rules)
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), source)
    with pytest.raises(CheckFailed, match=r"output 'y'.*SG999 \(liar\)"):
        surgery.fix(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_pass_that_breaks_off_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("oops")

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        yield from (finding("x", node, broken) for node in context.nodes(graph, "Sqrt"))

    rules = (*all_passes(), Pass(code="SG998", name="broken", find=find, exact=True))
    monkeypatch.setattr(steps, "all_passes", lambda: rules)
    fixed, report = surgery.fix_model(onnx.parser.parse_model(MODEL))
    assert [node.op_type for node in fixed.graph.node] == ["Sqrt"]
    assert any("SG998 broke off" in check.message for check in report.checks)


def test_unknown_operators_are_unchecked_and_strict_refuses() -> None:
    text = MODEL.replace("Sqrt", "my.Op").replace('["" : 17]', '["" : 17, "my" : 1]')
    model = onnx.parser.parse_model(text)
    fixed, report = surgery.fix_model(model)
    assert [node.op_type for node in fixed.graph.node] == ["Op"]
    assert next(c for c in report.checks if c.name == "parity").status == "skip"
    with pytest.raises(CheckFailed, match="nothing was written"):
        surgery.fix_model(model, strict=True)


def test_random_outputs_are_left_out() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y, float[2] z) {
      a = Identity(x)  r = RandomNormalLike(a)  y = Add(a, r)  z = Neg(a) }"""
    _, report = surgery.fix_model(onnx.parser.parse_model(text))
    parity = next(check for check in report.checks if check.name == "parity")
    assert parity.status == "pass"
    assert "random: y" in parity.message


def test_differences() -> None:
    nan = np.asarray([1, np.nan], "f")
    assert difference(nan, nan.copy(), True)[0] == ""
    assert "NaN" in difference(nan, np.asarray([1, 2], "f"), False)[0]
    assert "infinities" in difference(np.asarray([np.inf, 1], "f"), np.asarray([1, 1], "f"), False)[0]
    assert difference(np.ones(3, "f"), np.ones(3, "f") * 1.0001, False)[0] == ""
    assert difference(np.ones(3, "f"), np.ones(3, "f") * 1.00001, True)[0]
    assert difference(np.ones(3), np.ones(3) * (1 + 1e-12), True)[0]
    assert difference(np.zeros(3, "i"), np.ones(3, "i"), False)[0]
    assert "float64" in difference(np.zeros(3, "f"), np.zeros(3), False)[0]


def test_real_inputs_are_used(tmp_path: Path) -> None:
    source, inputs = tmp_path / "a.onnx", tmp_path / "x.npz"
    onnx.save(onnx.parser.parse_model(MODEL), source)
    np.savez(inputs, x=np.ones((5, 4), "f"))
    report = surgery.fix(source, tmp_path / "b.onnx", check_inputs=inputs)
    assert "on 1 set of" in next(check for check in report.checks if check.name == "parity").message
