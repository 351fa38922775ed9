"""How tensors are fetched for a comparison: which nodes they need, how large they are, how many at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from verify.compare import divergence
from verify.compare.divergence import as_check, diverge, way
from verify.compare.divergence_graph import fetching, nodes_near, rounded, size_of
from verify.compare.statistics import Limits

HEADER = '<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>'
CHAIN = "g (float[4] x) => (float[4] e) { a = Neg(x) b = Neg(a) c = Neg(b) d = Neg(c) e = Neg(d) }"
LIMITS = Limits(rms_rel=1e-4)
INPUTS = {"x": np.array([1, 2, 3, 4], np.float32)}


def save(path: Path, text: str) -> Path:
    onnx.save(parser.parse_model(HEADER + text), path)
    return path


def batches(path: Path, monkeypatch: pytest.MonkeyPatch, inputs: Any = INPUTS, **options: Any) -> list[list[str]]:
    asked: list[list[str]] = []

    def spy(model: onnx.ModelProto, names: Any) -> onnx.ModelProto:
        asked.append(list(names))
        return fetching(model, names)

    monkeypatch.setattr(divergence, "fetching", spy)
    found = diverge(way(path), way(path), inputs, LIMITS, **options)
    assert found.first is None
    assert asked[::2] == asked[1::2]
    return asked[::2]


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (1, [["a"], ["b"], ["c"], ["d"], ["e"]]),
        (31, [["a"], ["b"], ["c"], ["d"], ["e"]]),
        (32, [["a", "b"], ["c", "d"], ["e"]]),
        (79, [["a", "b", "c", "d"], ["e"]]),
        (80, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_batches_are_filled_up_to_their_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, wanted: list[list[str]]
) -> None:
    assert batches(save(tmp_path / "m.onnx", CHAIN), monkeypatch, batch_bytes=limit) == wanted


def test_tensor_of_unknown_size_counts_as_a_megabyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "g (float[4] x) => (float[4] d) { a = Neg(x) b = com.microsoft.Gelu(a) c = com.microsoft.Gelu(b) d = Neg(c) }"
    )
    path = save(tmp_path / "m.onnx", text)
    assert "b" not in size_of(onnx.load(path))
    assert batches(path, monkeypatch, batch_bytes=1 << 20) == [["a"], ["b"], ["c"], ["d"]]
    assert batches(path, monkeypatch, batch_bytes=(2 << 20) + 16) == [["a", "b", "c"], ["d"]]


def test_sizes_are_in_bytes() -> None:
    model = parser.parse_model(
        HEADER + "g (float[N,3,5] x, double[7] w, int64[6] i) => (float[N,3,5] y, double[7] d, int64[6] j) "
        "{ h = Cast<to=10>(x)  b = Cast<to=9>(x)  y = Neg(x)  d = Neg(w)  j = Neg(i) }"
    )
    assert size_of(model) == {"h": 60, "b": 60, "y": 60, "d": 56, "j": 48}


def test_only_the_nodes_that_are_needed_are_kept() -> None:
    model = parser.parse_model(HEADER + CHAIN)
    cut = fetching(model, ["b", "b"])
    assert [node.output[0] for node in cut.graph.node] == ["a", "b"]
    assert [value.name for value in cut.graph.output] == ["b"]
    assert len(model.graph.node) == 5


def test_what_a_body_reads_from_outside_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """branch (float[4] x, bool c) => (float[4] y) { a = Neg(x)  b = Abs(x)
    y = If(c) <then_branch = t () => (float[4] u) { u = Relu(a) }, else_branch = e () => (float[4] b) { }> }"""
    path = save(tmp_path / "m.onnx", text)
    inputs = {**INPUTS, "c": np.array(True)}
    assert batches(path, monkeypatch, inputs, batch_bytes=1) == [["a"], ["b"], ["y"]]
    assert [node.op_type for node in fetching(onnx.load(path), ["y"]).graph.node] == ["Neg", "Abs", "If"]


def test_neighbours() -> None:
    model = parser.parse_model(HEADER + "g (float[4] x) => (float[4] y) { a, i = TopK(x, k) y = Add(a, a) }")
    assert nodes_near(model, "i") == (["x", "k"], [])
    assert nodes_near(model, "a") == (["x", "k"], ["y"])


def test_rounding_stands_behind_every_float_and_nothing_else() -> None:
    model = parser.parse_model(
        HEADER + "g (float[2] x, int64[2] i) => (float[2] y, int64[2] j) <float[2] w = {1, 2.01}, int64[2] n = {1, 2}> "
        "{ a = Mul(x, w)  y = Neg(a)  j = Add(i, n) }"
    )
    half = rounded(model, "bfloat16")
    assert [node.op_type for node in half.graph.node] == [
        "Mul",
        *["Cast"] * 2,
        "Neg",
        *["Cast"] * 2,
        "Add",
    ]
    kinds = [node.attribute[0].i for node in half.graph.node if node.op_type == "Cast"]
    assert kinds == [onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT] * 2
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor).tolist() for tensor in half.graph.initializer}
    assert weights == {"w": [1.0, 2.015625], "n": [1, 2]}
    assert [node.op_type for node in model.graph.node] == ["Mul", "Neg", "Add"]


def test_ways_to_run_a_model(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", CHAIN)
    assert (way(path).options, way(path).label) == ({}, str(path))
    assert way(path, "optimized").options == {"optimize": True}
    assert way(path, "reference").options == {"backend": "reference"}
    assert way(path, "CPUExecutionProvider").options == {"providers": ("CPUExecutionProvider",)}
    assert way(path, "float16").label == f"{path} (float16)"


def test_check_says_what_agreed_and_what_is_near(tmp_path: Path) -> None:
    one, other = save(tmp_path / "a.onnx", CHAIN), save(tmp_path / "b.onnx", CHAIN.replace("d = Neg(c)", "d = Abs(c)"))
    same = as_check(diverge(way(one), way(one), INPUTS, LIMITS), way(one), way(one))
    assert (same.status, same.message) == ("pass", f"5 tensors of {one} and {one} agree in every bit")
    assert diverge(way(one), way(other), INPUTS, LIMITS).first is None  # nothing below zero comes to Abs
    found = diverge(way(one), way(other), {"x": -INPUTS["x"]}, LIMITS)
    check = as_check(found, way(one), way(other), "net.py:3")
    assert check.status == "fail"
    assert check.message == (
        f"the first tensor that differs from {other} is 'd', made by Neg 'node_of_d' (net.py:3): RMS error / RMS 2, "
        "allowed 0.0001; 5 compared up to there; what it reads: c 0 RMS; what is made of it: e 2 RMS"
    )
    assert check.figures is not None
    tensors = check.figures["tensors"]
    assert {name: tensor["place"] for name, tensor in tensors.items()} == {"c": "before", "d": "first", "e": "after"}
    assert (check.figures["first"], check.figures["op"], check.figures["compared"]) == ("d", "Neg", 5)
