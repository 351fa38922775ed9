"""`surgeon golden trtexec`: what it writes into the folder, and what it refuses to write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.verify.cli_models import write

Surgeon = Callable[..., tuple[int, str, str]]
RunScript = Callable[..., Any]


DEVICE = Path("device")


pytestmark = pytest.mark.usefixtures("own_folder")


def test_profile_is_the_range_of_the_cases(surgeon: Surgeon) -> None:
    path = write(Path("free.onnx"), "m (float[N,8] x) => (float[N,8] y) { y = Tanh(x) }")
    assert surgeon("golden", "record", path)[0] == 0
    assert surgeon("golden", "trtexec", path, "-o", DEVICE)[0] == 0
    manifest = json.loads((DEVICE / "manifest.json").read_text())
    rows = [case["inputs"][0]["shape"][0] for case in manifest["models"][0]["cases"]]
    low, high = min(rows), max(rows)
    assert low < high
    wanted = f"--minShapes=x:{low}x8 --optShapes=x:{high}x8 --maxShapes=x:{high}x8"
    assert wanted in manifest["models"][0]["command"]


def test_half_precision_in_the_file_is_strongly_typed(surgeon: Surgeon) -> None:
    path = write(Path("half.onnx"), "m (float16[2,8] x) => (float16[2,8] y) { y = Add(x, x) }")
    assert surgeon("golden", "record", path)[0] == 0
    assert surgeon("golden", "trtexec", path, "-o", DEVICE)[0] == 0
    assert "--stronglyTyped" in (DEVICE / "run.sh").read_text()
    assert surgeon("golden", "trtexec", path, "-o", "device11", "--target", "tensorrt-11")[0] == 0
    assert "--stronglyTyped" not in Path("device11/run.sh").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", "tensorrt-11", "--precision", "fp16"], "TensorRT 11 has no --fp16"),
        (["--target", "onnxruntime"], "trtexec belongs to TensorRT"),
        (["--target", "tensorrt-7.0"], "unknown target"),
        (["--golden", "nowhere"], "no index.json here"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(surgeon: Surgeon, good: Path, options: list[str], says: str) -> None:
    before = {path.name for path in Path().iterdir()} | {"cache"}
    code, _, err = surgeon("golden", "trtexec", good, "-o", DEVICE, *options)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err
    assert {path.name for path in Path().iterdir()} | {"cache"} == before


def test_folder_that_is_not_empty_or_not_ours(surgeon: Surgeon, good: Path) -> None:
    code, _, err = surgeon("golden", "trtexec", good, "-o", "golden")
    assert code == 2
    assert "exists and is not empty" in err
    code, _, err = surgeon("verify", good, "--device-run", "golden")
    assert code == 2
    assert "no manifest.json here" in err
    Path("golden/manifest.json").write_text('{"format": 1, "models": [{"folder": "../.."}]}')
    code, _, err = surgeon("verify", good, "--device-run", "golden")
    assert code == 2
    assert "not a manifest" in err


def test_keep_without_a_run_is_an_error(surgeon: Surgeon, good: Path) -> None:
    code, _, err = surgeon("verify", good, "--keep")
    assert code == 2
    assert "--device-run FOLDER" in err


def test_without_trtexec_the_script_says_so(
    surgeon: Surgeon, good: Path, run_script: RunScript, tmp_path: Path
) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    (tmp_path / "commands" / "trtexec").unlink()
    done = run_script(DEVICE.absolute(), "10.9")
    assert done.returncode == 4
    assert "set TRTEXEC to its path" in done.stderr
