"""Files in and out: hostile input refused in one line, external data kept outside, nothing half-written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from surgery.files import model_file as files
from verify.errors import SurgeonError

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 64] x) => (float[n, 64] y) { [one] a = Identity(x) [two] y = MatMul(a, w) }"""


def external_model(folder: Path, location: str = "weights.bin") -> Path:
    """A model whose weight lies in `location`."""
    model = onnx.parser.parse_model(TEXT)
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype("f")
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    for tensor in files.external_tensors(proto := onnx.load(folder / "m.onnx", load_external_data=False)):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


def run(path: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((2, 64), "f")})[0]


@pytest.mark.parametrize("where", [".", "elsewhere/deep"])
def test_external_data_stays_external(where: str, tmp_path: Path) -> None:
    source, target = external_model(tmp_path), tmp_path / where / "fixed.onnx"
    before = source.read_bytes()
    surgery.fix(source, target)
    assert np.array_equal(run(source), run(target))
    assert source.read_bytes() == before
    assert all(True for _ in files.external_tensors(onnx.load(target, load_external_data=False)))
    assert target.stat().st_size < 2000
    assert (target.parent / "fixed.onnx.data").exists() == (where != ".")


def test_weights_move_out_when_asked(tmp_path: Path) -> None:
    model = onnx.load(external_model(tmp_path))
    onnx.save(model, tmp_path / "inline.onnx")
    surgery.fix(tmp_path / "inline.onnx", tmp_path / "out.onnx", save_external_data=True)
    assert (tmp_path / "out.onnx.data").stat().st_size >= 64 * 64 * 4
    assert np.array_equal(run(tmp_path / "inline.onnx"), run(tmp_path / "out.onnx"))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "none.bin", ""])
def test_external_data_outside_its_folder_or_missing(location: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\0" * 16384)
    (tmp_path / "inner").mkdir()
    source = external_model(tmp_path / "inner", location)
    with pytest.raises(SurgeonError, match="external data"):
        surgery.fix(source, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_external_data_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    source = external_model(tmp_path / "inner")
    (tmp_path / "inner" / "weights.bin").rename(tmp_path / "secret.bin")
    (tmp_path / "inner" / "weights.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(SurgeonError, match="outside"):
        surgery.fix(source, tmp_path / "out.onnx")


def test_external_data_cut_short(tmp_path: Path) -> None:
    source = external_model(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100)
    with pytest.raises(SurgeonError, match="cut short"):
        surgery.fix(source, tmp_path / "out.onnx")


@pytest.mark.parametrize("data", [b"", b"not onnx at all", b"\x08\x08\x12\x04abcd", b"\x3a\xff"])
def test_not_a_model(data: bytes, tmp_path: Path) -> None:
    source = tmp_path / "bad.onnx"
    source.write_bytes(data)
    with pytest.raises(SurgeonError, match="not an ONNX model"):
        surgery.fix(source, tmp_path / "out.onnx")
    with pytest.raises(SurgeonError, match="no such file"):
        surgery.fix(tmp_path / "none.onnx", tmp_path / "out.onnx")
    with pytest.raises(SurgeonError, match="is a folder; name the"):
        surgery.fix(tmp_path, tmp_path / "out.onnx")


def test_truncated(tmp_path: Path) -> None:
    source = external_model(tmp_path)
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(SurgeonError):
        surgery.fix(source, tmp_path / "out.onnx")


def test_the_input_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    source = external_model(tmp_path)
    before = source.read_bytes()
    with pytest.raises(SurgeonError, match="in-place"):
        surgery.fix(source, source)
    surgery.fix(source, source, in_place=True)
    assert (tmp_path / "m.onnx.bak").read_bytes() == before
    assert [node.op_type for node in onnx.load(source).graph.node] == ["MatMul"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_broken_write_leaves_nothing(failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = external_model(tmp_path), tmp_path / "out" / "fixed.onnx"
    target.parent.mkdir()
    target.write_bytes(b"what was there before")

    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((SurgeonError, KeyboardInterrupt)):
        surgery.fix(source, target)
    assert target.read_bytes() == b"what was there before"
    assert [path.name for path in target.parent.iterdir()] == ["fixed.onnx"]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurgeonError, match="cannot be written"):
        surgery.fix(external_model(tmp_path), tmp_path / "file" / "out.onnx")
