"""`surgeon verify` from end to end: one clear line and the right exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.verify.cli_models import TEXT, decoder, weight, write
from verify.interface.recognise import write_metadata
from verify.tensorrt import engine

Surgeon = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_folder")


def test_good_model_is_clean_and_kept(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("verify", good, "--no-trt")
    assert code == 0
    assert "1 output as recorded in 8 cases" in " ".join(out.split())
    os.utime(good, (time.time() - 60, time.time() - 60))
    surgeon("verify", good, "--no-trt")
    kept = list((Path("cache") / "reports").iterdir())
    assert kept
    name, *rest = out.splitlines()
    cached = "  from cache: unchanged since the last check; --no-cache checks again"
    assert surgeon("verify", good, "--no-trt")[1].splitlines() == [name, cached, *rest]
    assert surgeon("verify", good, "--no-trt", "--no-cache")[1] == out
    answers = [
        json.loads(surgeon("verify", good, "--no-trt", "--format", "json", *how)[1])["reports"][0]
        for how in ([], ["--no-cache"])
    ]
    assert [answer.pop("cached") for answer in answers] == [True, False]
    for answer in answers:
        for check in answer["checks"]:
            check["figures"].pop("seconds", None)
    assert answers[0] == answers[1]


WRONG = {
    "renamed input": (lambda p: write(p, TEXT.replace("8] x", "8] image").replace("(x,", "(image,")), "renamed?"),
    "renamed output": (lambda p: write(p, TEXT.replace(" y)", " z)").replace("y =", "z =")), "the model has z"),
    "transposed output": (
        lambda p: write(p, TEXT.replace("[2,16] y", "[16,2] y").replace("y = Tanh(h)", "t = Tanh(h) y = Transpose(t)")),
        "transposed?",
    ),
    "one weight set to zero": (lambda p: write(p, w=np.where(weight() == weight()[4, 13], 0, weight())), "y (norm"),
    "weights scaled by 1.0001": (lambda p: write(p, w=weight() * np.float32(1.0001)), "allowed"),
    "NaN": (lambda p: write(p, w=np.where(weight() == weight().max(), np.float32(np.nan), weight())), "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_model_is_one_line_and_exit_1(surgeon: Surgeon, good: Path, name: str) -> None:
    spoil, message = WRONG[name]
    spoil(good)
    code, out, err = surgeon("verify", good, "--no-trt")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "FAIL" in line]
    assert message in " ".join(out.split())
    assert "golden" in line
    assert err == ""


def test_wrong_module_is_one_line(surgeon: Surgeon) -> None:
    path = decoder(Path("image_encoder.onnx"))
    code, out, _ = surgeon("verify", path, "--no-trt")
    assert code == 1
    words = " ".join(out.split())
    assert "says it is the image_encoder, but its inputs and outputs are those of the mask_decoder" in words
    assert out.count("FAIL") == 1
    write(Path("mask_decoder.onnx"))
    out = surgeon("verify", "mask_decoder.onnx", "--no-trt")[1]
    assert "has 0% of its inputs and outputs" in " ".join(out.split())
    assert surgeon("verify", "mask_decoder.onnx", "--no-trt", "--spec", "none")[0] == 0


def test_metadata_that_lies_is_found(surgeon: Surgeon) -> None:
    model = onnx.load(str(decoder()))
    write_metadata(model, {"spec": "sam2", "module": "memory_encoder"})
    onnx.save(model, "any.onnx")
    code, out, _ = surgeon("verify", "any.onnx", "--no-trt")
    assert (code, out.count("FAIL")) == (1, 1)
    assert "says it is the memory_encoder" in out


def test_documented_interface_passes_and_a_renamed_port_does_not(surgeon: Surgeon) -> None:
    code, out, _ = surgeon("verify", decoder(), "--no-trt")
    assert (code, "10 inputs and outputs as documented" in out) == (0, True)
    assert "skip" in out
    code, out, _ = surgeon("verify", decoder(point_coords="coords"), "--no-trt")
    assert code == 1
    assert "the model has coords: renamed?" in " ".join(out.split())


def test_many_files_folders_and_exit_code_of_the_worst(surgeon: Surgeon, good: Path) -> None:
    Path("many").mkdir()
    write(Path("many/a.onnx"))
    Path("many/b.onnx").write_bytes(b"nonsense")
    code, out, err = surgeon("verify", good, "many", "--no-trt", "--spec", "none")
    assert (code, err) == (2, "")
    assert "3 models: 1 of 3 failed" in out
    assert "not an ONNX model, or cut short; fetch or export it again" in out


def test_folders_are_searched_at_any_depth_and_case(surgeon: Surgeon, own_folder: None) -> None:
    for name in ("m/a.onnx", "m/deep/er/b.ONNX", "m/deep/c.Onnx", "m/.git/d.onnx", "m/env/lib/e.onnx"):
        write(Path(name))
    Path("m/env/pyvenv.cfg").touch()
    Path("m/onnx").mkdir()
    code, out, _ = surgeon("verify", "m", "m/a.onnx", "--no-trt", "--format", "json")
    looked_at = [report["model"] for report in json.loads(out)["reports"]]
    assert (code, looked_at) == (0, ["m/a.onnx", "m/deep/c.Onnx", "m/deep/er/b.ONNX"])
    Path("m/deep/er/b.ONNX").write_bytes(b"nonsense")
    assert surgeon("verify", "m", "--no-trt")[0] == 2
    code, out, err = surgeon("verify", "m/onnx", "--no-trt")
    assert (code, out, err) == (2, "", "surgeon: m/onnx: no .onnx file in this folder or below it\n")


def test_json_can_be_judged_again(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("verify", good, "--no-trt", "--format", "json")
    assert code == 0
    saved = Path("saved.json")
    saved.write_text(out)
    assert json.loads(out)["reports"][0]["checks"]
    good.unlink()
    assert surgeon("verify", "--results", saved)[0] == 0
    assert surgeon("verify", "--results", saved, "--max-error", "1e-3", "--cosine", "0.99")[0] == 0
    code, out, _ = surgeon("verify", "--results", saved, "--cosine", "1.5")
    assert code == 1
    assert "cosine" in out


def test_limits_replace_tolerances(surgeon: Surgeon, good: Path) -> None:
    write(good, w=weight() * np.float32(1.0001))
    assert surgeon("verify", good, "--no-trt")[0] == 1
    assert surgeon("verify", good, "--no-trt", "--max-error", "1e-2")[0] == 0
    assert surgeon("verify", good, "--no-trt", "--scale", "10000")[0] == 0


def test_sarif_and_page_are_written(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("verify", good, "--no-trt", "--format", "sarif", "--html", "page.html")
    assert code == 0
    assert json.loads(out)["version"] == "2.1.0"
    assert "<html" in Path("page.html").read_text()


@pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")
def test_tensorrt_refusal_is_exit_1(surgeon: Surgeon) -> None:
    path = write(Path("n.onnx"), "m (float[2,3] x) => (float[2,3] y) { y, m, v = LayerNormalization(x, x) }")
    code, out, _ = surgeon("verify", path)
    assert code == 1
    assert "LayerNormalization" in out
    assert "surgeon diagnose explains" in " ".join(out.split())


def test_without_tensorrt_skipped_or_exit_4(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BACKENDS", {})
    code, out, _ = surgeon("verify", good)
    assert code == 0
    assert "skip   tensorrt" in out
    assert surgeon("verify", good, "--strict")[0] == 4
    code, out, _ = surgeon("verify", good, "--strict", "--format", "json")
    assert (code, json.loads(out)["exit_code"]) == (4, 4)
    assert surgeon("verify", good, "--trt")[0] == 4
    assert surgeon("verify", good, "--no-trt", "--strict")[0] == 0


def test_strict_wants_a_golden_where_a_folder_is_named(surgeon: Surgeon, good: Path) -> None:
    other = write(Path("other.onnx"), w=weight() * 2)
    assert surgeon("verify", good, other, "--no-trt", "--golden", "golden")[0] == 0
    assert surgeon("verify", good, other, "--no-trt", "--golden", "golden", "--strict")[0] == 1


def test_a_golden_folder_that_has_none_of_the_models_is_an_error(surgeon: Surgeon, good: Path) -> None:
    other = write(Path("other.onnx"), w=weight() * 2)
    code, out, _ = surgeon("verify", other, "--no-trt", "--golden", "golden")
    assert code == 2
    assert "no golden of these models; it has ../net.onnx" in " ".join(out.split())


def test_a_golden_that_cannot_be_read_is_said_once(surgeon: Surgeon, good: Path) -> None:
    (data,) = Path("golden").glob("*.npz")
    data.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    code, out, _ = surgeon("verify", good, "--no-trt", "--golden", "golden")
    assert code == 2
    assert "a Git LFS pointer" in out
    assert "no golden" not in out
    assert "1 model: 1 of 1 failed" in out


def test_external_data(surgeon: Surgeon) -> None:
    path = write(Path("ext.onnx"), save_as_external_data=True, location="ext.bin", size_threshold=0)
    assert surgeon("golden", "record", path)[0] == 0
    assert surgeon("verify", path, "--no-trt")[0] == 0
    data = np.fromfile("ext.bin", np.float32)
    data[3] = 0.0
    data.tofile("ext.bin")
    assert surgeon("verify", path, "--no-trt")[0] == 1


def test_wrong_options_are_exit_2(surgeon: Surgeon, good: Path) -> None:
    for arguments in (
        ("verify",),
        ("verify", good, "--results", "x.json"),
        ("verify", "--results", "absent.json"),
        ("verify", "--results", str(good)),
        ("verify", good, "--golden", "nowhere"),
        ("verify", good, "--spec", "sam9"),
        ("verify", good, "--format", "yaml"),
        ("golden", "show", "nowhere"),
        ("golden", "record", good, "--input-shape", "x=3"),
    ):
        code, _, err = surgeon(*arguments)
        assert (code, bool(err)) == (2, True), arguments


def test_second_run_of_the_whole_process_imports_no_judge(good: Path) -> None:
    os.utime(good, (time.time() - 60, time.time() - 60))
    code = (
        "import sys; from surgery import cli; sys.argv = ['surgeon', 'verify', 'net.onnx', '--no-trt']\n"
        "try: cli.main()\n"
        "except SystemExit as end: print('code', end.code)\n"
        "print([m for m in ('onnx', 'onnxruntime', 'numpy', 'tensorrt_rtx', 'torch') if m in sys.modules])"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert "code 0" in runs[0].stdout
    assert runs[1].stdout.splitlines()[-1] == "[]"
    first, second = (run.stdout.splitlines()[:-1] for run in runs)
    assert "cache" in second.pop(1)
    assert first == second


def test_help_fits_a_narrow_terminal() -> None:
    tool = shutil.which("surgeon") or ""
    base = [tool] if tool else [sys.executable, "-m", "surgery"]
    for command in (["verify"], ["golden"], ["golden", "record"], ["golden", "show"]):
        shown = subprocess.run(
            [*base, *command, "--help"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
        )
        assert max(map(len, shown.stdout.splitlines())) <= 80


def test_comparing_with_a_provider_that_is_not_here_is_exit_4(surgeon: Surgeon, good: Path) -> None:
    code, out, err = surgeon("diagnose", good, "--against", "CUDAExecutionProvider")
    assert (code, out) == (4, "")
    assert "onnxruntime has no CUDAExecutionProvider here" in err
    assert surgeon("diagnose", good, "--against", "CPUExecutionProvider")[0] == 0


def test_shapes_go_to_the_models_that_have_the_input(surgeon: Surgeon, own_folder: None) -> None:
    write(Path("a.onnx"), TEXT.replace("[2,8] x", "[N,8] x").replace("[2,16] y", "[N,16] y"))
    write(Path("b.onnx"), TEXT.replace("8] x", "8] image").replace("(x,", "(image,"))
    assert surgeon("verify", "a.onnx", "b.onnx", "--no-trt", "--input-shape", "x:3x8")[0] == 0
    code, out, err = surgeon("verify", "a.onnx", "b.onnx", "--no-trt", "--input-shape", "z:3x8")
    assert (code, out) == (2, "")
    assert "no input 'z' in these models; they have x, image" in err
    code, out, _ = surgeon("verify", "a.onnx", "--no-trt", "--input-shape", "x:3x9")
    assert (code, "cannot have shape [3, 9]" in " ".join(out.split())) == (2, True)


def test_a_spec_without_the_models_is_an_error(surgeon: Surgeon, good: Path) -> None:
    spec = Path("own.toml")
    spec.write_text("""name = "own"
[modules.segmenter]
inputs = [{ name = "image", dims = [1, 3] }]
outputs = [{ name = "mask", dims = [1, 3] }]
""")
    code, out, _ = surgeon("verify", good, "--no-trt", "--spec", spec)
    words = " ".join(out.split())
    assert code == 2
    assert "skip interface the model is no module of own.toml, which has segmenter" in words
    assert "own.toml FAIL file no model is a module of own.toml, which has segmenter" in words
    other = write(Path("seg.onnx"), "m (float[1,3] image) => (float[1,3] mask) { mask = Neg(image) }")
    assert surgeon("verify", good, other, "--no-trt", "--spec", spec)[0] == 0
