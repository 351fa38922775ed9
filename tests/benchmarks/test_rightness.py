"""Whether a file computes what the original computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.groups.rightness import compare

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
ORIGINAL = "g (float[n,2] x, float[1] k) => (float[n,2] y) <float[1] k = {2}> { y = Mul(x, k) }"
FEEDS = {"x": np.ones((4, 2), np.float32)}


def saved(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.onnx"
    onnx.save(onnx.parser.parse_model(HEAD + text), path)
    return path


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (ORIGINAL, None),
        (ORIGINAL.replace("Mul(x, k)", "Add(x, x)"), None),
        (ORIGINAL.replace("Mul(x, k)", "Sub(x, k)"), "of the RMS (as given)"),
        (ORIGINAL.replace("Mul(x, k)", "Add(x, k)"), "(as given)"),
        ("g (float[n,2] x) => (float[n,2] y) { y = Add(x, x) }", "input 'k' is gone or new"),
        (ORIGINAL.replace("float[n,2]", "float[4,2]"), "input 'x' has another type or shape"),
        (
            ORIGINAL.replace("{ y = Mul(x, k) }", "{ a = Mul(x, k)  y = Expand(a, s) }").replace(
                "{2}>", "{2}, int64[2] s = {4, 1}>"
            ),
            "does not run (n = 2)",
        ),
    ],
    ids=["same", "other form", "wrong", "wrong too", "input gone", "fixed size", "wrong at another size"],
)
def test_files_are_compared_on_several_inputs_and_sizes(tmp_path: Path, text: str, wrong: str | None) -> None:
    source, target = saved(tmp_path, "source", ORIGINAL), saved(tmp_path, "target", text)
    found = compare(source, target, FEEDS)
    if wrong is None:
        assert "wrong" not in found
        assert found["sets"] == 4
    else:
        assert wrong in found["wrong"]
