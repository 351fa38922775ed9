"""Broken and hostile model files: one clear line, exit code 2 and nothing written."""

from __future__ import annotations

import json
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
    "absent": (lambda p: None, "no such file"),
    "loop": (lambda p: p.symlink_to(p), "symbolic links"),
    "device": (lambda p: p.symlink_to("/dev/null"), "no graph inside"),
    "data outside": (_outside, "outside the model's folder"),
    "data cut": (_cut_data, "is cut short"),
    "data absent": (_no_data, "put the file beside the model"),
}


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1234\n".format("0" * 64)


def _pointer_data(path: Path) -> None:
    write(path, save_as_external_data=True, location="ext.bin", size_threshold=0)
    Path("ext.bin").write_text(LFS)


FETCH = "a Git LFS pointer, not the file itself; fetch the file with: git lfs pull"
UNREADABLE |= {
    "pointer": (
        lambda p: p.write_text(LFS),
        "a Git LFS pointer, not the file itself; fetch the file with: git lfs pull",
    ),
    "pointer data": (
        _pointer_data,
        "ext.bin: a Git LFS pointer, not the file itself; fetch the file with: git lfs pull",
    ),
}


@pytest.mark.parametrize("name", [name for name in UNREADABLE if name != "folder"])
def test_unreadable_model_is_in_every_format_and_exit_2(surgeon: Surgeon, name: str) -> None:
    spoil, message = UNREADABLE[name]
    spoil(Path("bad.onnx"))
    code, out, err = surgeon("verify", "--no-trt", "bad.onnx")
    assert (code, err, out.count("FAIL   file")) == (2, "", 1)
    assert message in " ".join(out.split())
    assert out.splitlines()[-1] == "1 model: 1 of 1 failed; checks: 1 failed"

    code, out, err = surgeon("verify", "--no-trt", "bad.onnx", "--format", "json")
    document = json.loads(out)
    assert (code, document["exit_code"], document["reports"][0]["exit_code"]) == (2, 2, 2)
    assert message in document["reports"][0]["checks"][0]["message"]
    (line,) = err.splitlines()
    assert line.startswith("surgeon: bad.onnx: ")

    code, out, _ = surgeon("verify", "--no-trt", "bad.onnx", "--format", "sarif")
    (run,) = json.loads(out)["runs"]
    (invocation,) = run["invocations"]
    assert (code, invocation["executionSuccessful"], invocation["exitCode"]) == (2, False, 2)
    assert [said["level"] for said in invocation["toolExecutionNotifications"]] == ["error"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [("check-file", "error")]


@pytest.mark.parametrize("command", [("golden", "record"), ("fix",)])
@pytest.mark.parametrize("name", ["pointer", "pointer data"])
def test_other_commands_know_pointers_too(surgeon: Surgeon, name: str, command: tuple[str, ...]) -> None:
    spoil, message = UNREADABLE[name]
    spoil(Path("bad.onnx"))
    code, _, err = surgeon(*command, "bad.onnx")
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize("name", list(UNREADABLE))
def test_unreadable_model_is_not_recorded(surgeon: Surgeon, name: str) -> None:
    spoil, message = UNREADABLE[name]
    path = Path("bad.onnx")
    spoil(path)
    code, out, err = surgeon("golden", "record", path)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line or name == "folder"
    assert not Path("golden").exists()
