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
def test_a_wrong_pass_is_caught_named_and_left_out(op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar(op))
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), source)
    report = surgery.fix(source, target)
    (left_out,) = [check.message for check in report.checks if check.status == "skip"]
    assert left_out.startswith("SG999 (liar) was left out: with it output 'y' ")
    assert [node.op_type for node in onnx.load(target).graph.node] == ["Sqrt"]


def test_a_pass_that_breaks_off_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("oops")

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        yield from (finding("x", node, broken) for node in context.nodes(graph, "Sqrt"))

    rules = (*all_passes(), Pass(code="SG998", name="broken", find=find, exact=True))
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    fixed, report = surgery.fix_model(onnx.parser.parse_model(MODEL))
    assert [node.op_type for node in fixed.graph.node] == ["Sqrt"]
    assert any("SG998 failed while fixing" in check.message for check in report.checks)


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


def swap(code: str, op: str, new: str) -> Pass:
    """A pass that replaces an operator by another one."""

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        for node in context.nodes(graph, op):
            yield finding("is wrong", node, lambda node=node: setattr(node, "op", new))

    return Pass(code=code, name=f"swap-{new.lower()}", find=find, exact=True)


TWO = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 4] x) => (float[n, 4] y) { a = Identity(x) b = Abs(a) c = Sqrt(b) y = Floor(c) }"""


def test_several_wrong_passes_are_left_out_and_the_right_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (swap("SG997", "Sqrt", "Neg"), *all_passes(), swap("SG998", "Floor", "NoSuchOperator"))
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    fixed, report = surgery.fix_model(onnx.parser.parse_model(TWO))
    assert [node.op_type for node in fixed.graph.node] == ["Abs", "Sqrt", "Floor"]
    left_out = [check.message.split(":")[0] for check in report.checks if check.status == "skip"]
    assert sorted(left_out) == ["SG997 (swap-neg) was left out", "SG998 (swap-nosuchoperator) was left out"]
    assert next(check for check in report.checks if check.name == "parity").status == "pass"


def test_an_invalid_result_is_the_fault_of_a_pass_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "all_passes", lambda given: (*all_passes(), swap("SG998", "Floor", "NoSuchOperator")))
    fixed, report = surgery.fix_model(onnx.parser.parse_model(TWO), guard=False)
    assert [node.op_type for node in fixed.graph.node] == ["Abs", "Sqrt", "Floor"]
    assert any("left out: with it the result is not valid ONNX" in check.message for check in report.checks)


def test_where_leaving_out_does_not_help_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tuple(swap(f"SG99{place}", "Sqrt", "Neg") for place in range(9)) + tuple(all_passes())
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    onnx.save(onnx.parser.parse_model(TWO), tmp_path / "a.onnx")
    with pytest.raises(CheckFailed, match=r"nothing was written: output 'y' .*; the result differs since SG998 \(swap"):
        surgery.fix(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


SOFTMAX = """<ir_version: 8, opset_import: ["" : 17]> g (float[2, 3] x) => (float[2, 3] y) <int64[1] last = {1}> {
  i = Identity(x) e = Exp(i) s = ReduceSum<keepdims = 1>(e, last) y = Div(e, s) }"""


def test_an_overflow_that_a_pass_declares_to_remove_is_allowed_and_reported() -> None:
    large = {"x": np.float32([[90, 1, 2], [1, 2, 3]])}
    _, report = surgery.fix_model(onnx.parser.parse_model(SOFTMAX), check_inputs=large)
    message = next(check.message for check in report.checks if check.name == "parity")
    assert "finite in 1 place where the original overflows (SG203)" in message
    _, report = surgery.fix_model(onnx.parser.parse_model(SOFTMAX), check_inputs={"x": large["x"] / 90})
    message = next(check.message for check in report.checks if check.name == "parity")
    assert "; the result may be finite where the original overflows (SG203)" in message
    _, report = surgery.fix_model(onnx.parser.parse_model(MODEL))
    assert "overflows" not in next(check.message for check in report.checks if check.name == "parity")


def test_the_report_says_where_onnxruntime_gives_other_eight_bit_products_than_onnx(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "g (uint8[2, 4] a, int8[4, 3] b) => (int32[2, 3] y) { y = MatMulInteger(a, b) }"
    for here in (True, False):
        monkeypatch.setattr("surgery.guard.reference.saturates_here", lambda here=here: here)
        _, report = surgery.fix_model(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}'))
        (message,) = (check.message for check in report.checks if check.name == "parity")
        assert ("the original itself may give other values" in message) == here


def test_a_result_that_does_not_load_is_refused_where_the_original_runs_on_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "all_passes", lambda given: (*all_passes(), swap("SG998", "Sqrt", "Not")))
    do_not_fit = {"x": np.ones((3, 5), "f")}
    fixed, report = surgery.fix_model(onnx.parser.parse_model(MODEL), check_inputs=do_not_fit)
    assert [node.op_type for node in fixed.graph.node] == ["Sqrt"]
    (left_out,) = [check.message for check in report.checks if check.name == "pass"]
    assert left_out.startswith("SG998 (swap-not) was left out: with it the fixed model does not load: ")
    assert next(check for check in report.checks if check.name == "parity").status == "skip"


def test_where_the_only_pass_that_found_something_is_wrong_the_model_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "all_passes", lambda given: (liar("Abs"),))
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), source)
    report = surgery.fix(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert [check.status for check in report.checks] == ["pass", "skip", "pass"]
    assert report.checks[1].message.startswith("SG999 (liar) was left out")
    assert report.checks[0].message == "0 findings fixed"


def with_flag(moves_nan: bool) -> Pass:
    """A pass that writes -x as -x - 0 * x, which is NaN where x is infinite."""

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        for node in context.nodes(graph, "Neg"):
            yield finding("is there", node, lambda node=node: zero_times(graph, node))

    return Pass(code="SG999", name="zero-times", find=find, exact=False, moves_nan=moves_nan)


def zero_times(graph: gs.Graph, node: gs.Node) -> None:
    """Write -x as -x - 0 * x."""
    source, nil, (output,) = node.inputs[0], gs.Constant("nil", np.zeros((), np.float32)), node.outputs
    zero, negative = gs.Variable("zero", np.float32), gs.Variable("negative", np.float32)
    node.inputs.clear()
    node.outputs.clear()
    graph.nodes.remove(node)
    graph.nodes += [
        gs.Node("Mul", "times", inputs=[source, nil], outputs=[zero]),
        gs.Node("Sub", "minus", inputs=[nil, source], outputs=[negative]),
        gs.Node("Sub", "less", inputs=[negative, zero], outputs=[output]),
    ]


@pytest.mark.parametrize("moves_nan", [False, True])
def test_infinities_stay_where_they_are_unless_a_pass_says_otherwise(
    moves_nan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "all_passes", lambda given: (with_flag(moves_nan),))
    model = onnx.parser.parse_model(MODEL.replace("Identity", "Relu").replace("Sqrt", "Neg"))
    fixed, report = surgery.fix_model(model)
    messages = " ".join(check.message for check in report.checks)
    assert ("Sub" in [node.op_type for node in fixed.graph.node]) == moves_nan
    assert ("with NaN or infinity in the inputs 'y' has NaN in other places (SG999)" in messages) == moves_nan
    assert ("SG999 (zero-times) was left out: with it output 'y' has NaN in other places" in messages) != moves_nan


def test_a_pass_that_moves_nan_does_not_hide_another_that_must_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        for node in context.nodes(graph, "Relu"):
            if all(reader.op != "Add" for reader in node.outputs[0].outputs):
                yield finding("is there", node, lambda node=node: add_zero_times(graph, node))

    def add_zero_times(graph: gs.Graph, node: gs.Node) -> None:
        """Write relu(x) as relu(x) + 0 * x."""
        source, nil, (output,) = node.inputs[0], gs.Constant("none", np.zeros((), np.float32)), node.outputs
        scaled, kept = gs.Variable("scaled", np.float32), gs.Variable("kept", np.float32)
        node.outputs[0] = kept
        graph.nodes += [
            gs.Node("Mul", "scale", inputs=[source, nil], outputs=[scaled]),
            gs.Node("Add", "add", inputs=[kept, scaled], outputs=[output]),
        ]

    silent = Pass(code="SG998", name="silent", find=find, exact=True)
    monkeypatch.setattr(steps, "all_passes", lambda given: (silent, with_flag(True)))
    model = onnx.parser.parse_model(MODEL.replace("Identity", "Relu").replace("Sqrt", "Neg"))
    fixed, report = surgery.fix_model(model)
    messages = " ".join(check.message for check in report.checks)
    assert [node.op_type for node in fixed.graph.node] == ["Relu", "Mul", "Sub", "Sub"]
    assert "SG998 (silent) was left out: with it output 'y' has NaN in other places" in messages
    assert "with NaN or infinity in the inputs 'y' has NaN in other places (SG999)" in messages


def test_nan_that_an_opset_conversion_moves_is_reported_and_refuses_nothing() -> None:
    model = onnx.parser.parse_model("""<ir_version: 3, opset_import: ["" : 6]>
    g (float[1,1,6] x) => (float[1,1,3] y) {
        p = Pad <mode = "constant", pads = [0, 0, 0, 0, 0, 0], value = 0.0> (x)
        y = AveragePool <kernel_shape = [2], strides = [2], pads = [0, 0]> (p)
    }""")
    fixed, report = surgery.fix_model(model)
    assert fixed.opset_import[0].version == 17
    parity = next(check for check in report.checks if check.name == "parity")
    causes = "(opset 6 written as 17, or because onnxruntime ran the result and onnx.reference the original)"
    assert (parity.status, causes in parity.message) == ("pass", True), parity.message


def test_a_model_of_two_megabytes_is_compared_on_nan_and_infinity_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "all_passes", lambda given: (with_flag(False),))
    text = MODEL.replace("Identity(x)", "Gather(w, k)").replace("Sqrt(a)", "Neg(x)")
    model = onnx.parser.parse_model(text.replace("{ [one]", "<int64[1] k = {0}> { [one]"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1 << 17, 4), np.float32), "w"))
    fixed, report = surgery.fix_model(model)
    assert fixed is model
    messages = " ".join(check.message for check in report.checks)
    assert "SG999 (zero-times) was left out: with it output 'y' has NaN in other places" in messages
