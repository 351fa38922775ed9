"""Recording again: what is kept of the first recording, and what is said of the change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.cli_models import TEXT, weight, write

Surgeon = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_folder")
FREE = TEXT.replace("float[2,8] x", "float[N,8] x").replace("float[2,16] y", "float[N,16] y")


def entries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path("golden/index.json").read_text())["goldens"]
    return found


def test_it_says_what_changed(surgeon: Surgeon, good: Path) -> None:
    assert "replaces an earlier golden; outputs as before" in surgeon("golden", "record", good)[1]
    write(good, w=weight() * 2)
    out = surgeon("golden", "record", good)[1]
    assert "replaces an earlier golden; y moved by 0." in out
    write(good, TEXT.replace(" y)", " z)").replace("y =", "z ="))
    out = surgeon("golden", "record", good)[1]
    assert "replaces an earlier golden that does not fit: output y is missing; the model has z: renamed?" in out
    next(Path("golden").glob("*.npz")).write_bytes(b"damaged")
    assert "replaces an earlier golden that cannot be read: " in surgeon("golden", "record", good)[1]
    assert len(entries()) == 1


def test_sizes_and_seed_of_the_first_recording_are_kept(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"), FREE)
    surgeon("golden", "record", path, "--input-shape", "x:5x8", "--seed", "7")
    surgeon("golden", "record", path)
    (entry,) = entries()
    assert {tuple(case["inputs"][0]["shape"]) for case in entry["cases"]} == {(5, 8)}
    assert entry["cases"][0]["inputs"][0]["drawn"]["seed"] == "7/normal/x"
    surgeon("golden", "record", path, "--input-shape", "x:3x8")
    assert entries()[0]["cases"][0]["inputs"][0]["shape"] == [3, 8]


def test_inputs_from_a_file_are_kept(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"), FREE)
    np.savez("in.npz", x=np.ones((3, 8), np.float32))
    surgeon("golden", "record", path, "--inputs", "in.npz")
    digest = entries()[0]["cases"][0]["inputs_sha256"]
    surgeon("golden", "record", path)
    assert entries()[0]["cases"][0]["inputs_sha256"] == digest
    surgeon("golden", "record", path, "--seed", "1")
    assert entries()[0]["cases"][0]["inputs_sha256"] != digest


def test_a_moved_model_takes_the_place_of_its_old_golden(surgeon: Surgeon, good: Path) -> None:
    good.rename("moved.onnx")
    assert "replaces an earlier golden; outputs as before" in surgeon("golden", "record", "moved.onnx")[1]
    assert [entry["id"] for entry in entries()] == ["../moved.onnx"]
    assert len(list(Path("golden").glob("*.npz"))) == 1


def test_one_bad_file_does_not_end_the_list(surgeon: Surgeon) -> None:
    Path("bad.onnx").write_bytes(b"nonsense")
    write(Path("a.onnx"))
    code, out, err = surgeon("golden", "record", "bad.onnx", "a.onnx", "absent.onnx")
    assert code == 2
    assert [entry["id"] for entry in entries()] == ["../a.onnx"]
    assert out.startswith("a.onnx -> golden")
    assert [line.split(":")[1] for line in err.splitlines()] == [
        " bad.onnx",
        " absent.onnx",
        " 2 of 3 models were not recorded",
    ]


@pytest.mark.parametrize(
    ("shape", "said"),
    [("z:2x8", "no input 'z' to give a shape; the model has x"), ("x:2x9", "input 'x' is [N, 8] and cannot be [2, 9]")],
)
def test_shapes_that_fit_no_input_are_an_error(surgeon: Surgeon, shape: str, said: str) -> None:
    code, _, err = surgeon("golden", "record", write(Path("net.onnx"), FREE), "--input-shape", shape)
    assert (code, said in err) == (2, True)
    assert not Path("golden").exists()


def test_arrays_of_another_golden_are_refused(surgeon: Surgeon, good: Path) -> None:
    other = write(Path("other.onnx"), w=weight() * 2)
    surgeon("golden", "record", other)
    mine, its = (Path("golden") / entry["data"] for entry in entries())
    mine.write_bytes(its.read_bytes())
    code, out, _ = surgeon("verify", good, "--no-trt")
    assert code == 2
    assert "not the arrays that index.json was written for" in " ".join(out.split())


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0, 0.5, "0.1", True])
def test_absurd_tolerances_are_refused(surgeon: Surgeon, good: Path, value: Any) -> None:
    index = json.loads(Path("golden/index.json").read_text())
    index["goldens"][0]["cases"][0]["outputs"][0]["tolerance"]["rms_rel"] = value
    Path("golden/index.json").write_text(json.dumps(index))
    code, out, _ = surgeon("verify", good, "--no-trt")
    assert code == 2
    assert "tolerance rms_rel of 'y' is" in " ".join(out.split())
