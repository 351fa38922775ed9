"""`surgeon compile`: broken files, wrong shapes and refused models are answered in plain lines, never as a bug."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.surgery.cli.hostile_models import HEAD, WHOLE, hostile
from tests.surgery.cli.test_diagnose_hostile import said, surgeon
from verify.tensorrt import engine

CASES = list(hostile())
BUILDS = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")
DYNAMIC = HEAD + "g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"


@BUILDS
@pytest.mark.parametrize(("name", "data", "codes"), CASES, ids=[name for name, _, _ in CASES])
def test_hostile_file(
    name: str, data: bytes, codes: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    (tmp_path / "data.bin").write_bytes(bytes(8))
    code = surgeon("compile", str(path), monkeypatch=monkeypatch)
    text = said(capfd)
    assert code in codes, text
    assert code != 2 or len(text.splitlines()) == 1
    assert code != 1 or f"run: surgeon diagnose {path}" in text


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(DYNAMIC), "good.onnx")
    Path("cut.onnx").write_bytes(WHOLE[:-40])
    Path("empty.onnx").write_bytes(b"")
    Path("text.onnx").write_text("hello world\n")
    Path("pointer.onnx").write_text(POINTER)
    Path("folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cut.onnx"], "cut.onnx: not an ONNX model, or cut short; fetch or export it again"),
        (["empty.onnx"], "empty.onnx: not an ONNX model (no graph inside)"),
        (["text.onnx"], "text.onnx: not an ONNX model, or cut short; fetch or export it again"),
        (["pointer.onnx"], "pointer.onnx: a Git LFS pointer, not the file itself; fetch the file with: git lfs pull"),
        (["nothing.onnx"], "nothing.onnx: no such file"),
        (["folder"], "folder: is a folder; name the .onnx file in it"),
        (["good.onnx", "--vs", "cut.onnx"], "cut.onnx: not an ONNX model, or cut short; fetch or export it again"),
        (
            ["good.onnx", "-o", "none/m.engine"],
            "none/m.engine: cannot be written: there is no folder none; make it first",
        ),
        (["good.onnx", "-o", "folder"], "folder: cannot be written: it is a folder; name a file in it"),
        (
            ["good.onnx", "--html", "none/p.html"],
            "none/p.html: cannot be written: there is no folder none; make it first",
        ),
        (
            ["good.onnx", "--min-shape", "x:4x3", "--input-shape", "x:2x3", "--max-shape", "x:8x3"],
            "input 'x': --min-shape 4x3 is above --input-shape 2x3; give shapes from the smallest to the largest",
        ),
        (
            ["good.onnx", "--input-shape", "x:9x3", "--max-shape", "x:8x3"],
            "input 'x': --input-shape 9x3 is above --max-shape 8x3; give shapes from the smallest to the largest",
        ),
        (["good.onnx", "--input-shape", "x:2x4"], "input 'x' is [N, 3], so it cannot have shape [2, 4]"),
        (["good.onnx", "--input-shape", "z:2x3"], "good.onnx has no input 'z'; it has x"),
        (
            ["good.onnx", "--size", "frames=7"],
            "good.onnx has no size 'frames': no spec leaves one of its sizes open; give the shape of an input with "
            "--input-shape",
        ),
    ],
)
def test_wrong_use_is_one_line(
    here: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for more in ([], ["--trtexec"]):
        assert surgeon("compile", *arguments, *more, monkeypatch=monkeypatch) == 2
        assert said(capfd) == f"surgeon: {message}\n"


@BUILDS
def test_refused_model_names_the_nodes_and_diagnose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    text = HEAD + 'g (int32[2] x) => (int32[2] y) { y = BitwiseAnd(x, x) }'  # fmt: skip
    onnx.save(onnx.parser.parse_model(text), "m.onnx")
    assert surgeon("compile", "m.onnx", monkeypatch=monkeypatch) == 1
    lines = said(capfd).splitlines()
    assert any(line.startswith("m.onnx: BitwiseAnd: TensorRT gives no reason") for line in lines)
    assert surgeon("compile", "m.onnx", "-o", "m.engine", monkeypatch=monkeypatch) == 1
    assert "engine for GPUs" not in said(capfd)
    assert not Path("m.engine").exists()
    assert lines[-1] == "m.onnx was not built; for reasons and rewrites run: surgeon diagnose m.onnx"


@BUILDS
def test_engine_that_cannot_be_written_is_one_line_and_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    onnx.save(onnx.parser.parse_model(HEAD + "g (float[2] x) => (float[2] y) { y = Relu(x) }"), "static.onnx")
    files = sorted(path.name for path in here.iterdir())
    for place in ("/dev/full", "/proc/self/m.engine"):
        assert surgeon("compile", "static.onnx", "-o", place, monkeypatch=monkeypatch) == 2
        (line,) = said(capfd).splitlines()
        assert line.startswith(f"surgeon: {place}: cannot be written (No s")
    assert sorted(path.name for path in here.iterdir()) == files
    assert surgeon("compile", "static.onnx", "-o", "m.engine", monkeypatch=monkeypatch) == 0
    assert Path("m.engine").stat().st_size > 1000
    out = said(capfd)
    assert "m.engine: engine for GPUs of SM89, written by tensorrt" in out
    assert "guessed" not in out


def test_trtexec_command_without_sizes_says_what_trtexec_takes(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("compile", "good.onnx", "--trtexec", monkeypatch=monkeypatch) == 0
    out, err = capfd.readouterr()
    assert out.startswith("trtexec --onnx=good.onnx")
    assert err == "good.onnx: trtexec takes 1 for each open size of x; give --input-shape\n"
    assert surgeon("compile", "good.onnx", "--trtexec", "--input-shape", "x:2x3", monkeypatch=monkeypatch) == 0
    assert capfd.readouterr().err == ""


@BUILDS
def test_sizes_that_nobody_gave_are_said_to_be_guessed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("compile", "good.onnx", monkeypatch=monkeypatch) == 0
    (line,) = (line for line in said(capfd).splitlines() if "guessed" in line)
    assert line.startswith("good.onnx: the sizes were guessed, give those you mean: --min-shape x:")
    options = line.split(": ", 2)[2].split()
    assert options[::2] == ["--min-shape", "--input-shape", "--max-shape"]
    assert surgeon("compile", "good.onnx", *options, monkeypatch=monkeypatch) == 0
    assert "guessed" not in said(capfd)
    for more, guessed in (([], True), (options, False)):
        assert surgeon("compile", "good.onnx", *more, "--format", "json", monkeypatch=monkeypatch) == 0
        assert json.loads(said(capfd))["builds"][0]["guessed"] is guessed


@BUILDS
def test_two_models_fail_if_one_of_them_does(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    static = HEAD + "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    bits = HEAD + "g (int32[2] x) => (int32[2] y) { y = BitwiseAnd(x, x) }"
    for name, text in (("static", static), ("bits", bits)):
        onnx.save(onnx.parser.parse_model(text), f"{name}.onnx")
    arguments = ["static.onnx", "--vs", "bits.onnx", "-o", "s.engine", "--format", "json", "--html", "p.html"]
    assert surgeon("compile", *arguments, monkeypatch=monkeypatch) == 1
    out, _ = capfd.readouterr()
    assert out.startswith('{\n  "builds": [\n')
    assert [(build["model"], build["ok"]) for build in json.loads(out)["builds"]] == [
        ("static.onnx", True), ("bits.onnx", False),
    ]  # fmt: skip
    assert Path("s.engine").stat().st_size > 1000
    page = Path("p.html").read_text(encoding="utf-8")
    assert "<title>TensorRT build</title>" in page
    assert "bits.onnx" in page
