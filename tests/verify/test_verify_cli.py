"""`surgeon verify` and `surgeon golden` from end to end: one clear line and the right exit code."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from surgery import cli
from verify import tensorrt
from verify.recognise import write_metadata
from verify.spec import load_spec

Surgeon = Callable[..., tuple[int, str, str]]
HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
TEXT = "m (float[2,8] x) => (float[2,16] y) { h = MatMul(x, w) y = Tanh(h) }"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEON_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def surgeon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Surgeon:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["surgeon", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        code = ended.value.code
        assert isinstance(code, int)
        return code, out, err

    return run


def weight() -> Any:
    return np.random.Generator(np.random.Philox(3)).standard_normal((8, 16)).astype(np.float32)


def write(path: Path, text: str = TEXT, w: Any = None, **options: Any) -> Path:
    model = parser.parse_model(HEADER + text)
    if "w" in text:
        model.graph.initializer.append(numpy_helper.from_array(weight() if w is None else w, "w"))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, **options)
    return path


@pytest.fixture
def good(surgeon: Surgeon) -> Path:
    path = write(Path("net.onnx"))
    assert surgeon("golden", "record", path)[0] == 0
    return path


def decoder(path: Path = Path("mask_decoder.onnx"), **changes: str) -> Path:
    """A model with the interface of the mask decoder, and nothing of it inside; `changes` renames ports."""
    spec = load_spec()["mask_decoder"]
    ports = {
        side: [helper.make_tensor_value_info(changes.get(p.name, p.name), 1, list(p.dims)) for p in getattr(spec, side)]
        for side in ("inputs", "outputs")
    }
    nodes = [
        helper.make_node(
            "RandomNormal", [], [out.name], shape=[d.dim_value or 1 for d in out.type.tensor_type.shape.dim]
        )
        for out in ports["outputs"]
    ]
    graph = helper.make_graph(nodes, "decoder", ports["inputs"], ports["outputs"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_good_model_is_clean_and_kept(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("verify", good, "--no-trt")
    assert code == 0
    assert "1 output as recorded" in out
    os.utime(good, (time.time() - 60, time.time() - 60))
    surgeon("verify", good, "--no-trt")
    kept = list((Path("cache") / "reports").iterdir())
    assert kept
    assert surgeon("verify", good, "--no-trt")[1] == out


WRONG = {
    "renamed input": (lambda p: write(p, TEXT.replace("8] x", "8] image").replace("(x,", "(image,")), "renamed?"),
    "renamed output": (lambda p: write(p, TEXT.replace(" y)", " z)").replace("y =", "z =")), "the model has z"),
    "transposed output": (
        lambda p: write(p, TEXT.replace("[2,16] y", "[16,2] y").replace("y = Tanh(h)", "t = Tanh(h) y = Transpose(t)")),
        "transposed?",
    ),
    "one weight set to zero": (lambda p: write(p, w=np.where(np.arange(128).reshape(8, 16) == 77, 0, weight())), "y: "),
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
    assert code == 2
    assert "2 models" in out
    assert err.splitlines() == ["surgeon: many/b.onnx: not an ONNX model, or cut short; fetch or export it again"]


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


@pytest.mark.skipif(not tensorrt.available(), reason="TensorRT is not installed")
def test_tensorrt_refusal_is_exit_1(surgeon: Surgeon) -> None:
    path = write(Path("n.onnx"), "m (float[2,3] x) => (float[2,3] y) { y, m, v = LayerNormalization(x, x) }")
    code, out, _ = surgeon("verify", path)
    assert code == 1
    assert "LayerNormalization" in out
    assert "surgeon diagnose explains" in " ".join(out.split())


def test_without_tensorrt_skipped_or_exit_4(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "BACKENDS", {})
    code, out, _ = surgeon("verify", good)
    assert code == 0
    assert "skip   tensorrt" in out
    assert surgeon("verify", good, "--strict")[0] == 4
    assert surgeon("verify", good, "--trt")[0] == 4
    assert surgeon("verify", good, "--no-trt", "--strict")[0] == 0


def test_strict_wants_a_golden_where_a_folder_is_named(surgeon: Surgeon, good: Path) -> None:
    other = write(Path("other.onnx"))
    assert surgeon("verify", other, "--no-trt", "--golden", "golden")[0] == 0
    assert surgeon("verify", other, "--no-trt", "--golden", "golden", "--strict")[0] == 1


def test_external_data(surgeon: Surgeon) -> None:
    path = write(Path("ext.onnx"), save_as_external_data=True, location="ext.bin", size_threshold=0)
    assert surgeon("golden", "record", path)[0] == 0
    assert surgeon("verify", path, "--no-trt")[0] == 0
    data = np.fromfile("ext.bin", np.float32)
    data[3] = 0.0
    data.tofile("ext.bin")
    assert surgeon("verify", path, "--no-trt")[0] == 1


def _outside(path: Path) -> None:
    write(path, save_as_external_data=True, location="ext.bin", size_threshold=0)
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../../etc/passwd"
    onnx.save(model, str(path))


def _cut_data(path: Path) -> None:
    write(path, save_as_external_data=True, location="ext.bin", size_threshold=0)
    Path("ext.bin").write_bytes(b"1234")


def _no_data(path: Path) -> None:
    write(path, save_as_external_data=True, location="ext.bin", size_threshold=0)
    Path("ext.bin").unlink()


UNREADABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (lambda p: p.write_bytes(write(p).read_bytes()[:-100]), "cut short"),
    "empty": (lambda p: p.write_bytes(b""), "no graph inside"),
    "text": (lambda p: p.write_text("hello"), "not an ONNX model"),
    "zip": (lambda p: np.savez(p.open("wb"), a=np.zeros(9)), "not an ONNX model"),
    "random": (lambda p: p.write_bytes(np.random.Generator(np.random.Philox(1)).bytes(5000)), "not an ONNX model"),
    "folder": (lambda p: p.mkdir(), "no .onnx file in this folder"),
    "absent": (lambda p: None, "No such file"),
    "loop": (lambda p: p.symlink_to(p), "symbolic links"),
    "device": (lambda p: p.symlink_to("/dev/null"), "no graph inside"),
    "data outside": (_outside, "outside the model's folder"),
    "data cut": (_cut_data, "is cut short"),
    "data absent": (_no_data, "belongs beside the model"),
}


@pytest.mark.parametrize("command", [("verify", "--no-trt"), ("golden", "record")])
@pytest.mark.parametrize("name", list(UNREADABLE))
def test_unreadable_model_is_one_line_and_exit_2(surgeon: Surgeon, name: str, command: tuple[str, ...]) -> None:
    spoil, message = UNREADABLE[name]
    path = Path("bad.onnx")
    spoil(path)
    code, out, err = surgeon(*command, path)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("surgeon: bad.onnx: ")
    assert message in line or name == "folder"
    assert not Path("golden").exists()


@pytest.mark.parametrize("kind", ["pickle", "bomb", "huge header", "text", "wrong names", "wrong shape", "absent"])
def test_hostile_inputs_are_one_line_and_exit_2(surgeon: Surgeon, kind: str) -> None:
    path, given = write(Path("net.onnx")), Path("in.npz")
    if kind == "pickle":
        np.savez(given, x=np.array([object()]))
    elif kind == "bomb":
        np.savez(given, x=np.zeros(4), y=np.zeros(4))
        size_at = 24  # of the unpacked size in an entry of a zip's central directory
        entries = given.read_bytes().split(b"PK\x01\x02")
        given.write_bytes(
            b"PK\x01\x02".join(
                [entries[0], *(e[: size_at - 4] + b"\xf0\xff\xff\xff" + e[size_at:] for e in entries[1:])]
            )
        )
    elif kind == "huge header":
        head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000000,), }"
        with zipfile.ZipFile(given, "w") as archive:
            archive.writestr("x.npy", head.ljust(127) + b"\n")
    elif kind == "text":
        given.write_text("hello")
    elif kind != "absent":
        np.savez(given, **({"z": np.zeros((2, 8), "f4")} if kind == "wrong names" else {"x": np.zeros((3, 3), "f4")}))
    code, out, err = surgeon("golden", "record", path, "--inputs", given)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert not Path("golden").exists()


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


def test_show_lists_versions_and_reasons(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("golden", "show", "golden", "--tensors")
    assert code == 0
    assert "onnxruntime" in out
    assert "8 times the largest difference among" in out


def test_full_disk_leaves_the_old_golden(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in Path("golden").iterdir()}

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = surgeon("golden", "record", good, "--seed", "5")
    assert code == 2
    assert "No space left on device" in err
    assert {path.name: path.read_bytes() for path in Path("golden").iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_target(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"))
    Path("golden").mkdir()
    Path("golden").chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert surgeon("golden", "record", path)[0] == 2


def test_target_that_is_a_file(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"))
    Path("golden").write_text("in the way")
    code, _, err = surgeon("golden", "record", path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert Path("golden").read_text() == "in the way"


def test_interrupt_is_130_and_leaves_nothing(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from verify import golden_record

    before = sorted(path.name for path in Path("golden").iterdir())

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(golden_record, "write_index", interrupted)
    code, _, err = surgeon("golden", "record", good, "--seed", "9")
    assert (code, "Traceback" in err) == (130, False)
    assert sorted(path.name for path in Path("golden").iterdir()) == before


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
    assert runs[0].stdout.splitlines()[:-1] == runs[1].stdout.splitlines()[:-1]


def test_help_fits_a_narrow_terminal() -> None:
    tool = shutil.which("surgeon") or ""
    base = [tool] if tool else [sys.executable, "-m", "surgery"]
    for command in (["verify"], ["golden"], ["golden", "record"], ["golden", "show"]):
        shown = subprocess.run(
            [*base, *command, "--help"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
        )
        assert max(map(len, shown.stdout.splitlines())) <= 80
