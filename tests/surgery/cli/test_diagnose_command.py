"""`surgeon diagnose` from the command line: exit codes, formats, the page, repros, values against another model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from surgery.cli.commands.diagnose import command
from verify.render.data import schema
from verify.tensorrt import engine

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")

GOOD = '<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) { [r] y = Relu(x) }'
BAD = """<ir_version: 10, opset_import: ["" : 20]>
b (float[4,4] x) => (float y) { [relu] a = Relu(x)  [det] b = Det(a)  [neg] y = Neg(b) }"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(GOOD), "good.onnx")
    onnx.save(onnx.parser.parse_model(BAD), "bad.onnx")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


@needs_tensorrt
def test_exit_code_and_one_summary_for_several_models(models: Path) -> None:
    assert run("good.onnx").return_value == 0
    result = run("good.onnx", "bad.onnx")
    assert result.return_value == 1
    assert result.output.splitlines()[-1].startswith("2 models: 1 of 2 failed")
    assert "det" in result.output


@needs_tensorrt
def test_json_and_sarif_are_whole_documents(models: Path) -> None:
    document = json.loads(run("bad.onnx", "--format", "json").output)
    jsonschema.validate(document, schema())
    finding = document["reports"][0]["findings"][0]
    assert (finding["code"], finding["node"], finding["op"]) == ("SG129", "det", "Det")
    log = json.loads(run("bad.onnx", "--format", "sarif").output)
    assert {result["ruleId"] for result in log["runs"][0]["results"]} == {"SG129", "check-tensorrt-parser"}
    assert log["runs"][0]["tool"]["driver"]["rules"][0]["help"]["text"]


@needs_tensorrt
def test_page_has_the_finding_and_its_drawing(models: Path) -> None:
    assert run("bad.onnx", "--html", "page.html").return_value == 1
    page = Path("page.html").read_text(encoding="utf-8")
    assert "SG129" in page
    assert "<svg" in page


@needs_tensorrt
def test_repros_go_where_they_are_told(models: Path) -> None:
    result = run("bad.onnx", "--repro", "out")
    assert "refused as the original" in " ".join(result.output.split())
    assert {path.name for path in Path("out/SG129-Det").iterdir()} == {"model.onnx", "reproduce.py", "report.md"}


def test_against_another_model_and_another_precision(models: Path) -> None:
    other = GOOD.replace("Relu", "Neg")
    onnx.save(onnx.parser.parse_model(other), "other.onnx")
    np.savez("in.npz", x=np.array([1.0, 2.0], np.float32))
    result = run("good.onnx", "--against", "other.onnx", "--inputs", "in.npz")
    assert result.return_value == 1
    assert "'y', made by Relu 'r'" in " ".join(result.output.split())
    assert run("good.onnx", "--against", "good.onnx").return_value == 0
    assert run("good.onnx", "--against", "float16").return_value == 0


def test_help_of_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, click.testing; from surgery.cli.commands.diagnose import command;"
        "click.testing.CliRunner().invoke(command, ['--help']);"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'rich', 'jinja2', 'torch', 'tensorrt_rtx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FREE = '<ir_version: 8, opset_import: ["" : 17]> g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }'


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--against", "float16", "--size", "bogus=3"], "no dim 'bogus'; its free dims are N"),
        (["--size", "N=3"], "--size has no effect without --against"),
        (["--repro", "somewhere", "--against", "float16"], "--repro has no effect with --against"),
        (["--input-shape", "x:4x5"], "input 'x' is [N, 3], so it cannot have shape [4, 5]"),
        (["--input-shape", "z:4x5"], "no input 'z'; it has x"),
    ],
)
def test_an_option_that_names_nothing_is_an_error(options: list[str], says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(FREE), path)
    done = subprocess.run(
        [sys.executable, "-m", "surgery", "diagnose", str(path), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr


def test_a_provider_that_is_not_there_is_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(FREE), path)
    command = [sys.executable, "-m", "surgery", "diagnose", str(path), "--against", "MissingExecutionProvider"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "CPUExecutionProvider" in done.stderr
