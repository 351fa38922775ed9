"""`diagnose --log`: what trtexec, nvinfer, onnxruntime, torch_tensorrt and Polygraphy say, at the right node.

The logs in `logs/` are composed by hand in the formats of TensorRT 8.6 to 11.1; no TensorRT wrote them.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from surgery.cli.commands.diagnose import command
from surgery.diagnose.logs import diagnose_log
from tests.surgery.diagnose.log_files import CASES, LOGS, refusals, warnings
from verify.errors import SurgeonError


def test_every_log_has_a_case_and_all_producers_and_versions_are_there() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == set(CASES)
    assert len(CASES) >= 12
    assert {case.producer for case in CASES.values()} >= {
        "trtexec",
        "nvinfer",
        "onnxruntime",
        "torch_tensorrt",
        "Polygraphy",
    }


@pytest.mark.parametrize("name", CASES)
def test_log_names_its_judge_places_and_warnings(name: str, detector: Path) -> None:
    log, expected = LOGS / f"{name}.txt", CASES[name]
    report = diagnose_log(log, detector)
    (verdict,) = report.verdicts
    assert verdict.judge == f"{expected.judge}, from the log {log}"
    assert verdict.state == expected.state
    assert refusals(report) == expected.refusals
    assert warnings(report) == expected.warnings
    assert report.checks[0].figures["producer"] == expected.producer
    assert report.exit_code == (1 if expected.state == "refused" else 0)


def test_without_a_model_the_names_are_those_of_the_log() -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt")
    assert refusals(report) == CASES["trtexec_10.9_three"].refusals
    assert all("fixable" not in found.details for found in report.findings)
    (pool,) = [found for found in report.findings if found.op == "MaxPool"]
    assert [port["name"] for port in pool.details["outputs"]] == ["/head/MaxPool_output_0", "/head/MaxPool_output_1"]
    assert pool.details["says"] == "TensorRT does not support the indices output in MaxPool!"


def test_says_what_fix_rewrites(detector: Path) -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", detector)
    fixable = {found.node: found.details["fixable"] for found in report.findings}
    # The indices of the pooling have no reader; a determinant of 32 rows is not written out.
    assert fixable == {"/norm1/ToyNorm": False, "/head/Det": False, "/head/MaxPool": True}


def test_fused_nodes_are_named_at_both_ends(detector: Path) -> None:
    (found,) = [f for f in diagnose_log(LOGS / "trtexec_8.6_builder.txt", detector).findings if f.code == "SG869"]
    assert "in the fused nodes from /backbone/Relu to /head/Det" in found.message
    assert found.details["together_with"] == ["/backbone/Relu"]


def test_places_of_another_model_are_not_invented(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] z)'
        " { a = Relu(x) b = Relu(a) c = Relu(b) d = Relu(c) e = Relu(d) f = Relu(e) z = Relu(f) }"
    )
    onnx.save(model, tmp_path / "other.onnx")
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", tmp_path / "other.onnx")
    assert report.checks[1].status == "skip"
    expected = f"3 places of 3 not in {tmp_path / 'other.onnx'}; the log is about detector.onnx"
    assert report.checks[1].message == expected
    assert not any(found.details["fixable"] for found in report.findings)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_every_format_has_the_judge_and_the_places(detector: Path, tmp_path: Path) -> None:
    log = LOGS / "trtexec_10.9_three.txt"
    judge = f"TensorRT 10.9.0 on NVIDIA A10, from the log {log}"
    code, text = run(detector, "--log", log, "--html", tmp_path / "page.html")
    assert code == 1
    assert "TensorRT 10.9.0 on NVIDIA A10, from the log" in text
    assert "surgeon fix does it" in text
    page = (tmp_path / "page.html").read_text()
    data = json.loads(run(detector, "--log", log, "--format", "json")[1])
    (report,) = data["reports"]
    assert report["verdicts"][0]["judge"] == judge
    sarif = json.loads(run("--log", log, "--format", "sarif")[1])["runs"][0]
    nodes = {result["locations"][0]["logicalLocations"][0]["name"] for result in sarif["results"][1:]}
    assert nodes == {"/norm1/ToyNorm", "/head/Det", "/head/MaxPool"}
    assert all(name in page for name in (*nodes, judge))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--no-build"], "--build has no effect with --log"),
        (["--against", "optimized"], "--against has no effect with --log"),
        (["--repro", "out"], "--repro has no effect with --log"),
        (["a.onnx", "b.onnx"], "--log is about one model"),
    ],
)
def test_options_that_do_not_go_with_a_log(options: list[str], says: str) -> None:
    with pytest.raises(SurgeonError, match=says):
        run("--log", LOGS / "trtexec_10.9_three.txt", *options)


def test_target_of_the_passes_can_be_chosen(detector: Path) -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", detector, target="tensorrt-11")
    assert report.verdicts[0].judge.startswith("TensorRT 10.9.0")


NO_KERNEL = "Error Code 10: Internal Error (Could not find any implementation for node /backbone/Conv.)"
FROM_PYTHON = "[01/14/2024-15:42:26] [TRT]"
EXCERPTS = {
    "docker compose": (
        "web     | [E] [TRT] 10: [optimizer.cpp::compute::3869] " + NO_KERNEL,
        "a logger of TensorRT",
    ),
    "loguru": ("2025-10-16 11:51:21.1 | ERROR | build:run:42 - [TRT] [E] " + NO_KERNEL, "a logger of TensorRT"),
    "another logger": ("[2025-11-01 10:00:01] [ERROR] [TRT] " + NO_KERNEL, "a logger of TensorRT"),
    "TensorRT-LLM": ("[TensorRT-LLM][ERROR] 10: " + NO_KERNEL, "a logger of TensorRT"),
    "logging of Python": ("ERROR:tensorrt:" + NO_KERNEL, "a logger of TensorRT"),
    "Triton": (f'E0612 09:10:13.500001 1 logging.cc:40] "{NO_KERNEL}"', "Triton"),
    "Torch-TensorRT": ("ERROR: [Torch-TensorRT - Debug Build] - 10: " + NO_KERNEL, "torch_tensorrt"),
    "no prefix": (f"{FROM_PYTHON} [I] Init CUDA\n{NO_KERNEL}\n2024-01-14,root ERROR failed", "Python"),
    "what follows is no part": (
        f"{FROM_PYTHON} [E] 10: {NO_KERNEL}\nexport failure 80.0s: (none",
        "Python",
    ),
    "no code": (
        f"{FROM_PYTHON} [E] 10: Could not find any implementation for node /backbone/Conv.\n"
        "Traceback (most recent call last):",
        "Python",
    ),
    "one of several layers": (f"[07/12/2024-02:03:30] [E] {NO_KERNEL.replace('Conv.', 'Convslice.')}", "trtexec"),
}


@pytest.mark.parametrize("name", EXCERPTS)
def test_an_excerpt_as_people_paste_it_has_its_place(name: str, detector: Path, tmp_path: Path) -> None:
    text, producer = EXCERPTS[name]
    log = tmp_path / "pasted.log"
    log.write_text(text + "\n", encoding="utf-8")
    report = diagnose_log(log, detector)
    assert refusals(report) == {("SG869", "", "/backbone/Conv")}
    assert report.checks[0].figures["producer"] == producer
    (found,) = [finding for finding in report.findings if finding.severity == "error"]
    assert found.details["says"].startswith("Could not find any implementation for node /backbone/Conv")
    assert "\n" not in found.details["says"]


def test_lines_of_the_parser_are_a_log_of_tensorrt_without_its_name(detector: Path, tmp_path: Path) -> None:
    log = tmp_path / "pasted.log"
    line = 'ModelImporter.cpp:771: While parsing node number 4 [Det -> "/head/Det_output_0"]:'
    log.write_text(f"[01/01/2024-00:00:01] [E] [TRT] {line}", encoding="utf-8")
    assert refusals(diagnose_log(log, detector)) == {("SG129", "", "/head/Det")}


def test_a_version_without_a_table_is_said(detector: Path) -> None:
    checks = {check.name: check for check in diagnose_log(LOGS / "trtexec_8.6_plugin.txt", detector).checks}
    assert checks["table"].status == "skip"
    assert checks["table"].message == "there is no table of TensorRT 8.6.1: what surgeon fix does is said for 10.0"
    later = diagnose_log(LOGS / "trtexec_10.9_three.txt", detector)
    assert "table" not in {check.name for check in later.checks}
