"""What the inputs of a golden do not reach in the model, with the input that would help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from verify import record_golden
from verify.errors import SurgeonError
from verify.goldens.index import read_index

Surgeon = Callable[..., tuple[int, str, str]]
HEADER = '<ir_version: 9, opset_import: ["" : 18]> '


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def coverage(text: str, inputs: dict[str, Any] | None = None, **weights: Any) -> tuple[str, ...]:
    model = parser.parse_model(HEADER + text)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items())
    onnx.save(model, "m.onnx")
    record_golden("m.onnx", inputs=inputs)
    return read_index(Path("golden"))[0].coverage


def test_a_branch_that_is_never_taken() -> None:
    text = (
        "g (float[n,2] x, bool c) => (float[n,2] y) { y = If(c) <then_branch = t () => (float[n,2] a) { a = Relu(x) }, "
        "else_branch = e () => (float[n,2] b) { b = Neg(x) }> }"
    )
    x = np.asarray([[1.0, -1.0]], np.float32)
    (found,) = coverage(text, {"x": x, "c": np.asarray(True)})
    assert "never takes else_branch; give an input for which 'c' is false" in found
    Path("golden/index.json").unlink()
    assert coverage(text) == ()


def test_rows_that_are_never_read() -> None:
    text = "g (int64[n] ids) => (float[n,2] y) { y = Gather<axis = 0>(t, ids) }"
    table = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    (found,) = coverage(text, {"ids": np.asarray([0, 1, 2, 5, -1])}, t=table)
    assert found.startswith("3 to 4, 6 to 18 of the 20 rows of 't' are never read; ")
    Path("golden/index.json").unlink()
    assert coverage(text, t=table) == ()


@pytest.mark.parametrize(
    ("node", "inputs", "words"),
    [
        ("y = Relu(x)", [1.0, 2.0], "never gets a value below 0"),
        ("y = LeakyRelu(x)", [-1.0, -2.0], "never gets a value above 0"),
        ("y = Clip(x, low, high)", [-3.0, 2.0], "never reaches its upper limit of 6"),
        ("y = Clip(x, low, high)", [3.0, 9.0], "never reaches its lower limit of -1"),
        ("y = Clip(x, low, high)", [-3.0, 9.0], ""),
        ("y = Relu(x)", [-1.0, 1.0], ""),
    ],
)
def test_sides_that_are_never_reached(node: str, inputs: list[float], words: str) -> None:
    text = f"g (float[n] x) => (float[n] y) {{ {node} }}"
    limits = {"low": np.float32(-1), "high": np.float32(6)} if "low" in node else {}
    found = coverage(text, {"x": np.asarray(inputs, np.float32)}, **limits)
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_a_loop_that_never_runs() -> None:
    text = (
        "g (float[2] x, int64 turns) => (float[2] y) { y = Loop(turns, , x) <body = b (int64 i, bool c, float[2] v) => "
        "(bool d, float[2] w) { d = Identity(c)  w = Add(v, v) }> }"
    )
    (found,) = coverage(text, {"x": np.asarray([1.0, 2.0], np.float32), "turns": np.asarray(0)})
    assert "never runs its body; give an input for which 'turns' is above 0" in found


def test_a_golden_of_saturated_outputs_is_refused() -> None:
    with pytest.raises(SurgeonError, match="output 'y' is saturated for all inputs"):
        coverage(
            "g (float[n] x) => (float[n] y) { b = Mul(x, k)  y = Sigmoid(b) }",
            {"x": np.asarray([100.0, -100.0], np.float32)},
            k=np.float32(1e3),
        )


def test_an_output_that_is_partly_nan_is_a_note() -> None:
    coverage("g (float[n] x) => (float[n] y) { y = Sqrt(x) }", {"x": np.asarray([1.0, 4.0, -1.0, 9.0], np.float32)})
    assert "output 'y' has up to 25% NaN" in read_index(Path("golden"))[0].notes[0]


def test_it_is_shown(surgeon: Surgeon) -> None:
    coverage("g (float[n] x) => (float[n] y) { y = Relu(x) }", {"x": np.asarray([1.0, 2.0], np.float32)})
    assert "not covered: Relu 'node_of_y' never gets a value below 0" in surgeon("golden", "show", "golden")[1]
    surgeon("verify", "m.onnx", "--spec", "none", "--no-trt", "--html", "page.html")
    assert "What the inputs of the golden do not reach" in Path("page.html").read_text(encoding="utf-8")
