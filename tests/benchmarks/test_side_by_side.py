"""Whether a peer's file is right, and where it leaves fewer nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from benchmarks.rightness import compare
from benchmarks.side_by_side import at_once, summary

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


def row(ours: int, onnxsim: dict[str, Any], onnxslim: dict[str, Any]) -> dict[str, Any]:
    spent = {"seconds": 1.0, "processor seconds": 2.0}
    peers = {"onnxsim": spent | onnxsim, "onnxslim": spent | onnxslim}
    return {"ours": spent | {"raw": 9, "nodes": ours}, "peers": peers}


def test_only_files_that_are_right_count() -> None:
    models = {
        "a": row(5, {"nodes": 6}, {"nodes": 5}),
        "b": row(5, {"nodes": 4, "wrong": "output 'y' differs"}, {"error": "took longer"}),
        "c": row(5, {"nodes": 4}, {"nodes": 7}),
    }
    text = summary(models)
    assert "or as few, on 2 of 3 models" in text
    assert "A peer leaves fewer: c (onnxsim 1)." in text
    assert "onnxsim: wrong on 1 (b: output 'y' differs)." in text
    assert "onnxslim: fails on 1 (b)." in text
    assert "the 2 that all finished rightly, a command each: surgeon 4.0, onnxsim 4.0, onnxslim 4.0" in text


def test_one_command_for_all() -> None:
    text = at_once({"at once": {"models": 3, "seconds": 4.0, "processor seconds": 5.25}})
    assert "all 3 models of this table, with the guard: 4.0 s, 5.2 processor seconds" in text
