"""`-`: a model comes from standard input, and fix writes one to standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
MODEL = onnx.parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) {{ a = Identity(x)  y = Relu(a) }}")


def surgeon(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "SURGEON_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "surgery", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, input=given, capture_output=True, check=False)


@pytest.mark.parametrize(
    "arguments", [("fix", "-"), ("fix", "-", "-"), ("fix", "-", "-o", "-"), ("fix", "in.onnx", "-")]
)
def test_fix_writes_the_model_to_standard_output(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    onnx.save(MODEL, tmp_path / "in.onnx")
    done = surgeon(tmp_path, *arguments, given=MODEL.SerializeToString())
    assert done.returncode == 0, done.stderr
    assert [node.op_type for node in onnx.load_model_from_string(done.stdout).graph.node] == ["Relu"]
    assert b"parity: equal" in done.stderr
    assert not list(tmp_path.glob("surgeon-*"))


def test_fix_reads_standard_input_and_writes_a_file(tmp_path: Path) -> None:
    done = surgeon(tmp_path, "fix", "-", "-o", "out.onnx", given=MODEL.SerializeToString())
    assert done.stdout.startswith(b"- -> out.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["Relu"]


@pytest.mark.parametrize("command", [("verify", "--no-trt"), ("inspect",), ("diagnose", "--no-build")])
def test_commands_that_look_read_standard_input(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = surgeon(tmp_path, *command, "-", given=MODEL.SerializeToString())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == b"-"
    assert b"standard-input" not in done.stdout


@pytest.mark.parametrize("command", ["fix", "verify", "inspect", "diagnose"])
@pytest.mark.parametrize("given", [b"", MODEL.SerializeToString()[:40], b"no model at all"])
def test_input_that_is_no_model_is_one_line_and_exit_2(tmp_path: Path, command: str, given: bytes) -> None:
    done = surgeon(tmp_path, command, "-", given=given)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert b"standard-input" not in said
    assert b"Traceback" not in said
    if command != "verify":
        assert done.stdout == b""
        assert len(done.stderr.splitlines()) == 1


def test_two_models_cannot_share_a_stream(tmp_path: Path) -> None:
    done = surgeon(tmp_path, "inspect", "-", "-")
    assert (done.returncode, done.stderr) == (2, b"surgeon: -: standard input holds one model\n")
    done = surgeon(tmp_path, "fix", "a.onnx", "b.onnx", "-o", "-")
    assert (done.returncode, done.stderr) == (2, b"surgeon: -o -: standard output takes one model\n")


def test_weights_beside_the_model_do_not_go_to_standard_output(tmp_path: Path) -> None:
    text = f"{HEAD} g (float[4] x) => (float[4] y) <float[4] w = {{1, 2, 3, 4}}> {{ y = Add(x, w) }}"
    given = onnx.parser.parse_model(text).SerializeToString()
    done = surgeon(tmp_path, "fix", "-", "--save-external-data", given=given)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"the model has weights in a file beside it; give the name of a file" in done.stderr


def test_extract_reads_and_writes_the_streams(tmp_path: Path) -> None:
    done = surgeon(tmp_path, "extract", "-", "--outputs", "a", "-o", "-", given=MODEL.SerializeToString())
    assert done.returncode == 0, done.stderr
    assert [node.op_type for node in onnx.load_model_from_string(done.stdout).graph.node] == ["Identity"]
    assert done.stderr.splitlines()[0] == b"-"
    assert b"1 of 2 nodes of standard input" in done.stderr
    assert not list(tmp_path.glob("surgeon-*"))


def test_compile_reads_standard_input(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    done = surgeon(tmp_path, "compile", "-", "--format", "json", given=MODEL.SerializeToString())
    assert done.returncode == 0, done.stderr
    (build,) = json.loads(done.stdout)["builds"]
    assert (build["model"], build["ok"]) == ("-", True)
    done = surgeon(tmp_path, "compile", "-", "--trtexec", given=MODEL.SerializeToString())
    assert (done.returncode, done.stderr) == (2, b"surgeon: -: --trtexec names the file of the model; give it\n")


@pytest.mark.parametrize("command", [("fix",), ("extract", "--inputs", "a")])
def test_a_model_that_nothing_runs_is_reported_without_paths_and_codes(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    graph = "g (float[2] x) => (float[2] y) { a = Identity(x)  b = me.Own(a)  y = Relu(b) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18, "me" : 1]> {graph}')
    done = surgeon(tmp_path, *command, "-", "-o", "out.onnx", given=model.SerializeToString())
    said = " ".join(done.stdout.decode().split())
    assert done.returncode == 0, done.stderr
    assert "onnxruntime and onnx.reference: no operator me::Own" in said
    assert str(tmp_path) not in said
    assert "[ONNXRuntimeError]" not in said


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("golden", "record", "-"), "golden record"),
        (("golden", "record", "in.onnx", "-o", "-"), "golden record -o"),
        (("golden", "trtexec", "in.onnx", "-o", "-"), "golden trtexec -o"),
        (("golden", "list", "-"), "golden list"),
        (("verify", "in.onnx", "--golden", "-"), "verify --golden"),
        (("verify", "in.onnx", "--html", "-"), "verify --html"),
        (("diagnose", "in.onnx", "--repro", "-"), "diagnose --repro"),
        (("fix", "in.onnx", "--report", "-"), "fix --report"),
        (("compile", "in.onnx", "-o", "-"), "compile -o"),
        (("extract", "in.onnx", "--outputs", "a", "--check-inputs", "-"), "extract --check-inputs"),
        (("deepstream", "-", "-o", "out"), "deepstream"),
    ],
)
def test_a_dash_elsewhere_is_one_line_and_makes_no_file(tmp_path: Path, arguments: tuple[str, ...], place: str) -> None:
    onnx.save(MODEL, tmp_path / "in.onnx")
    done = surgeon(tmp_path, *arguments, given=MODEL.SerializeToString())
    assert done.returncode == 2
    assert done.stdout == b""
    said = "give a path; - is the model of fix, extract, verify, diagnose, inspect, compile only"
    assert done.stderr.decode() == f"surgeon: {place} -: {said}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.onnx"]


def test_json_of_fix_goes_to_standard_error_beside_the_model(tmp_path: Path) -> None:
    done = surgeon(tmp_path, "fix", "-", "--format", "json", given=MODEL.SerializeToString())
    assert [node.op_type for node in onnx.load_model_from_string(done.stdout).graph.node] == ["Relu"]
    assert json.loads(done.stderr)["reports"][0]["model"] == "-"
    onnx.save(MODEL, tmp_path / "in.onnx")
    done = surgeon(tmp_path, "fix", "in.onnx", "--format", "json")
    assert json.loads(done.stdout)["reports"][0]["model"] == "in.onnx"
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "stream", "said"),
    [
        (("inspect", "-"), "stdin", "-: standard input is a terminal; pipe a model into surgeon"),
        (("fix", "in.onnx", "-o", "-"), "stdout",
         "-o -: standard output is a terminal; pipe it into a file or a program"),
    ],
)  # fmt: skip
def test_a_terminal_is_no_place_for_a_model(tmp_path: Path, arguments: tuple[str, ...], stream: str, said: str) -> None:
    onnx.save(MODEL, tmp_path / "in.onnx")
    ours, terminal = os.openpty()
    variables = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "surgery", *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL} | {stream: terminal}
    done = subprocess.run(
        command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, timeout=60, check=False, **streams
    )
    os.close(ours)
    os.close(terminal)
    assert (done.returncode, done.stderr.decode()) == (2, f"surgeon: {said}\n")
