"""diagnose: every judge speaks under its own name, and the exit code follows the one that was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import onnx
import pytest
from click.testing import CliRunner

from surgery.cli.commands.diagnose import command
from surgery.diagnose import Settings, diagnose
from surgery.diagnose.verdicts import verdict_of
from surgery.pipeline.context import Options
from surgery.targets import load_target
from verify.api import verify_model
from verify.render.data import schema
from verify.report import Report, Verdict
from verify.tensorrt import engine

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")

NONZERO = '<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x) => (int64[2,n] y) { [find] y = NonZero(x) }'
BITS = '<ir_version: 8, opset_import: ["" : 18]> g (int32[2] x) => (int32[2] y) { [and] y = BitwiseAnd(x, x) }'
SUM = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x, int64 a) => (float[2] y) { [sum] y = CumSum(x, a) }'
NMS = """<ir_version: 8, opset_import: ["" : 17, "TRT" : 1]>
g (float[1,6,4] b, float[1,6,2] s) => (int32[1,1] y) { [nms] y = TRT.EfficientNMS_TRT(b, s) }"""
PLAIN = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { [relu] y = Relu(x) }'


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Report]:
    def diagnosed(text: str, target: str, **settings: object) -> Report:
        path = tmp_path / "model.onnx"
        onnx.save(onnx.parser.parse_model(text), path)
        return diagnose(path, Settings(options=Options(target=target), **settings))  # type: ignore[arg-type]

    return diagnosed


def asked(report: Report) -> Verdict:
    (found,) = [verdict for verdict in report.verdicts if verdict.asked]
    return found


@pytest.mark.parametrize(
    ("text", "target", "state", "code"),
    [
        (NONZERO, "tensorrt", "accepted", 0),
        (NONZERO, "onnxruntime", "accepted", 0),
        (BITS, "tensorrt-10.14", "refused", 1),
        (BITS, "onnxruntime", "accepted", 0),
        (SUM, "deepstream-9.0", "unknown", 0),
        (NMS, "tensorrt", "accepted", 0),
        (NMS, "tensorrt-11", "accepted", 0),
        (PLAIN, "tensorrt-11", "accepted", 0),
    ],
)
def test_the_exit_code_follows_the_judge_that_was_asked(
    text: str, target: str, state: str, code: int, look: Callable[..., Report]
) -> None:
    report = look(text, target)
    assert (asked(report).state, report.exit_code) == (state, code)


def test_unknown_can_be_made_to_fail(look: Callable[..., Report]) -> None:
    assert look(SUM, "tensorrt-10.14", fail_on="unknown").exit_code == 1
    assert look(PLAIN, "tensorrt-10.14", fail_on="unknown").exit_code == 0


def test_a_table_names_the_version_the_place_and_the_source(look: Callable[..., Report]) -> None:
    report = look(BITS, "deepstream-8.0")
    assert asked(report).judge == "TensorRT 10.9 (DeepStream 8.0) by NVIDIA's operator table"
    assert asked(report).message == "refuses 1 place"
    (found,) = [finding for finding in report.findings if finding.severity == "error"]
    assert (found.node, found.code, found.details["fixable"]) == ("and", "SG111", True)
    assert found.details["source"].startswith("documented: onnx-tensorrt docs/operators.md")


def test_what_is_unknown_is_no_error_and_no_pass(look: Callable[..., Report]) -> None:
    report = look(SUM, "tensorrt-10.14")
    (found,) = [finding for finding in report.findings if finding.severity != "note"]
    assert (found.node, found.code, found.severity) == ("sum", "SG846", "warning")


@needs_tensorrt
def test_tensorrt_rtx_is_a_second_opinion_on_full_tensorrt(look: Callable[..., Report]) -> None:
    report = look(NONZERO, "tensorrt")
    (other,) = [verdict for verdict in report.verdicts if not verdict.asked]
    assert other.judge.startswith("TensorRT-RTX 1.")
    assert other.state == "refused"
    notes = [finding for finding in report.findings if finding.message.startswith("TensorRT-RTX: ")]
    assert [(finding.node, finding.severity) for finding in notes] == [("find", "note")]
    assert not any(check.status == "fail" for check in report.checks)


@needs_tensorrt
def test_the_real_parser_and_builder_judge_for_tensorrt_rtx(look: Callable[..., Report]) -> None:
    assert asked(look(BITS, "tensorrt-rtx")).state == "refused"
    built = asked(look(PLAIN, "tensorrt-rtx"))
    assert built.state == "accepted"
    assert built.judge.endswith("(built here)")
    parsed = asked(look(PLAIN, "tensorrt-rtx", build=False))
    assert parsed.judge.endswith("(parsed here, not built)")


def test_without_tensorrt_the_table_of_its_answers_judges(
    look: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "available", lambda: False)
    assert asked(look(BITS, "tensorrt-rtx")).judge.endswith("by the table of its answers")
    assert asked(look(BITS, "tensorrt-rtx")).state == "refused"
    assert asked(look(PLAIN, "tensorrt-rtx")).state == "accepted"


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_every_format_prints_each_judge_by_itself(form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(NONZERO), path)
    page = tmp_path / "page.html"
    arguments = [str(path), "--target", "tensorrt-10.9", "--format", form, "--html", str(page)]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.exception is None
    assert "TensorRT 10.9 by NVIDIA" in " ".join(done.stdout.split())
    assert "TensorRT 10.9 by NVIDIA" in page.read_text(encoding="utf-8")
    if form == "json":
        document = json.loads(done.stdout)
        jsonschema.validate(document, schema())
        assert document["reports"][0]["verdicts"][0]["state"] == "accepted"


def test_an_unknown_target_lists_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(PLAIN), path)
    done = CliRunner().invoke(command, [str(path), "--target", "tensorrt-9"])
    assert done.exit_code == 2
    assert "tensorrt-10.9" in done.output


@pytest.mark.parametrize(
    ("text", "target", "state", "says"),
    [
        (PLAIN, "tensorrt-11", "accepted", "accepts it"),
        (BITS, "deepstream-9.1", "refused", "refuses 1 place: surgeon diagnose "),
        (SUM, "tensorrt-10.14", "unknown", "1 place unknown: surgeon diagnose "),
        (BITS, "onnxruntime", "accepted", "accepts it"),
    ],
)
def test_one_question_gets_one_verdict(text: str, target: str, state: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    found = verdict_of(path, load_target(target))
    assert found.state == state
    assert found.message.startswith(says)


@needs_tensorrt
def test_one_question_to_the_installed_tensorrt(tmp_path: Path) -> None:
    path, target = tmp_path / "model.onnx", load_target("tensorrt-rtx")
    onnx.save(onnx.parser.parse_model(BITS), path)
    assert verdict_of(path, target).message == f"refuses 1 place: surgeon diagnose {path}"
    assert verdict_of(path, target, build=True).state == "refused"
    onnx.save(onnx.parser.parse_model(PLAIN), path)
    assert verdict_of(path, target).state == "accepted"
    assert verdict_of(path, target, build=True).judge.endswith("(built here)")
    onnx.save(
        onnx.parser.parse_model(PLAIN.replace("float[2] x", "float[n] x").replace("float[2] y", "float[n] y")), path
    )
    assert verdict_of(path, target, build=True).state == "unknown"


@needs_tensorrt
def test_verify_names_the_judge_that_built_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(PLAIN), path)
    (verdict,) = verify_model(path).verdicts
    assert verdict.judge.startswith("TensorRT-RTX 1.")
    assert verdict.state == "accepted"
    onnx.save(onnx.parser.parse_model(BITS), path)
    assert [one.state for one in verify_model(path).verdicts] == ["refused"]
    onnx.save(onnx.parser.parse_model(PLAIN.replace("float[2]", "float[n]")), path)
    assert [one.state for one in verify_model(path).verdicts] == ["unknown"]
