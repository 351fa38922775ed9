"""Broken and hostile model files: one clear line, exit code 2 and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.verify.cli_models import write

Surgeon = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_folder")


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
