"""Half precision as a step of `fix`: what is written, what is reported, and that a failed budget writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper, parser

import surgery
from surgery.cli.commands.fix import command
from surgery.cli.fix_summary import _island
from surgery.precision import step
from surgery.precision.calibration import Calibration
from surgery.precision.lower import Lowered
from surgery.precision.measure import run
from tests.surgery.precision.models import ATTENTION, feeds, types
from verify.errors import CheckFailed


def test_fix_writes_half_precision(tmp_path: Path) -> None:
    source, target, given = tmp_path / "in.onnx", tmp_path / "out.onnx", tmp_path / "feeds.npz"
    model = parser.parse_model(ATTENTION)
    onnx.save(model, source)
    np.savez(given, **feeds(model)[0])
    arguments = [str(source), "-o", str(target), "--precision", "fp16", "--calibrate", str(given)]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert "4 nodes in fp16" in done.output
    assert types(onnx.load(target))["s__fp16"] == onnx.TensorProto.FLOAT16


def test_a_failed_budget_leaves_no_file_and_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(parser.parse_model(ATTENTION), source)
    exceeded = Lowered("fp16", 0.01, errors={"y": 0.5}, lowered={"fp16": 4})
    monkeypatch.setattr(step, "lower", lambda model, *_, **__: (model, exceeded))
    with pytest.raises(CheckFailed, match=r"nothing was written: 4 nodes in fp16, .*error 0\.5 .*raise --max-error"):
        surgery.fix(source, target, precision="fp16")
    assert [path.name for path in tmp_path.iterdir()] == ["in.onnx"]
    target.write_bytes(b"what was there before")
    with pytest.raises(CheckFailed):
        surgery.fix(source, target, precision="fp16")
    assert target.read_bytes() == b"what was there before"


def test_where_no_node_can_be_lowered_the_report_does_not_say_passed(tmp_path: Path) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(parser.parse_model(ATTENTION), source)
    report = surgery.fix(source, target, precision="fp16", max_error=1e-12)
    check = next(check for check in report.checks if check.name == "precision")
    assert check.status == "skip"
    assert check.message.startswith("the model stays in float32: no node can run in half precision within 1e-12; ")
    assert "Cast" not in {node.op_type for node in onnx.load(target).graph.node}


def test_the_report_is_of_the_file_that_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(parser.parse_model(ATTENTION), source)
    inputs = Calibration(feeds(parser.parse_model(ATTENTION)), "normal numbers")
    report = surgery.fix(source, target, precision="fp16", calibrate=inputs)
    assert report.checks[2].message.endswith("measured on normal numbers")
    figures = report.checks[0].figures
    assert figures["bytes_after"] == target.stat().st_size
    assert figures["nodes_after"] == len(onnx.load(target).graph.node) > figures["nodes_before"]
    assert figures["op_counts"]["after"]["Cast"] == 4
    assert [check.name for check in report.checks] == ["surgery", "parity", "precision", "onnx.checker"]


@pytest.mark.parametrize("in_place", [False, True])
def test_external_data_stays_external_and_the_original_keeps_its_own(tmp_path: Path, in_place: bool) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> a (float[8,64] x) => (float[8,64] y) {y = MatMul(x, w)}'
    model = parser.parse_model(text)
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    source = tmp_path / "in.onnx"
    onnx.save(model, source, save_as_external_data=True, location="in.onnx.data", size_threshold=0)
    target = source if in_place else tmp_path / "other" / "out.onnx"
    surgery.fix(source, target, precision="fp16", in_place=in_place)
    kept = onnx.load(tmp_path / ("in.onnx.bak" if in_place else "in.onnx"))
    np.testing.assert_array_equal(numpy_helper.to_array(kept.graph.initializer[0]), weights)
    assert target.stat().st_size < 4096
    lowered = numpy_helper.to_array(onnx.load(target).graph.initializer[0])
    np.testing.assert_array_equal(lowered, weights.astype(np.float16))
    assert not list(tmp_path.rglob("*.tmp"))


GROWING = """<ir_version: 8, opset_import: ["" : 17]> g (float[4, 8] x) => (float[4, 2] y) <float[8, 2] w> {
  y = MatMul(x, w) }"""


def test_large_values_are_among_the_drawn_inputs_and_real_inputs_count_as_they_are(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(GROWING.replace("<float[8, 2] w>", ""))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((8, 2), 1e3, "f"), "w"))
    _, report = surgery.fix_model(model, precision="fp16")
    assert next(check for check in report.checks if check.name == "precision").status == "skip"
    np.savez(tmp_path / "real.npz", x=np.random.default_rng(0).standard_normal((4, 8)).astype("f"))
    _, report = surgery.fix_model(model, precision="fp16", calibrate=tmp_path / "real.npz")
    assert next(check for check in report.checks if check.name == "precision").status == "pass"


MIXED = """<ir_version: 8, opset_import: ["" : 17]>
a (float[1,2,32,16] q, float[1,2,16,32] k, float[1,2,32,16] v, float[4] d) => (float[1,2,32,16] y, float[4] e) {
    s = MatMul(q, k)  p = Softmax<axis=-1>(s)  y = MatMul(p, v)  [slow] e = Sin(d)
}"""


def test_the_summary_names_each_node_in_fp32_with_its_reason_and_speaks_of_the_written_file(tmp_path: Path) -> None:
    source, target, given = tmp_path / "in.onnx", tmp_path / "out.onnx", tmp_path / "feeds.npz"
    model = parser.parse_model(MIXED)
    onnx.save(model, source)
    np.savez(given, **feeds(model)[0])
    arguments = [str(source), "-o", str(target), "--precision", "fp16", "--calibrate", str(given)]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert "1 kept in fp32" in done.output
    assert "    fp32: Sin 'slow': Sin is not among the operators that are lowered\n" in done.output
    assert "  parity: before half precision: equal bit for bit" in done.output
    assert "byte for byte" not in done.output
    assert f"-> {target.stat().st_size:,} bytes" in done.output
    assert done.output.count("of RMS") == 1


def test_bf16_is_named_where_onnxruntime_cannot_run_it(tmp_path: Path) -> None:
    model = parser.parse_model(MIXED)
    inputs = Calibration(feeds(model), "normal numbers")
    lowered, report = surgery.fix_model(model, precision="bf16", max_error=0.05, calibrate=inputs)
    check = next(check for check in report.checks if check.name == "precision")
    assert "onnxruntime on a CPU has no bf16 kernels for most operators" in check.message
    assert check.figures["measured_as"].startswith("the written file in float32")
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        run(lowered, inputs.inputs)
    _, report = surgery.fix_model(model, precision="fp16", calibrate=inputs)
    assert "bf16" not in next(check for check in report.checks if check.name == "precision").message


def test_reasons_that_differ_in_names_and_numbers_share_a_line() -> None:
    whys = [f"'x{i}' reaches {i + 1}e+06, too large for fp16" for i in range(5)]
    stayed = [{"node": f"n{i}", "op": "Pow", "why": why} for i, why in enumerate(whys)]
    stayed.append({"node": "slow", "op": "Sin", "why": "Sin is not among the operators that are lowered"})
    assert list(_island(stayed, verbose=False)) == [
        "    fp32: Pow 'n0', Pow 'n1', Pow 'n2' and 2 more: for example, 'x0' reaches 1e+06, too large for fp16",
        "    fp32: Sin 'slow': Sin is not among the operators that are lowered",
    ]
    assert len(list(_island(stayed, verbose=True))) == 6


def test_the_report_says_on_which_sets_the_error_does_not_count(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    a (float[1024,32] x) => (float[1024,32] y) { z = MatMul(x, w)  g = HardSigmoid(z)  y = Mul(g, x) }"""
    model = parser.parse_model(text)
    w = np.random.default_rng(1).standard_normal((32, 32)).astype("f") / 2
    model.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    _, report = surgery.fix_model(model, precision="fp16", max_error=1e-3)
    check = next(check for check in report.checks if check.name == "precision")
    sizes = check.figures["unsteady"]
    assert sizes
    assert min(sizes) > 1e-3 >= max(check.figures["errors"].values())
    assert f"on {len(sizes)} sets of large values the outputs stay finite, but the error" in check.message
    real = Calibration(feeds(model), "normal numbers")
    _, report = surgery.fix_model(model, precision="fp16", max_error=1e-3, calibrate=real)
    check = next(check for check in report.checks if check.name == "precision")
    assert check.figures["unsteady"] == []
    assert "large values" not in check.message
