"""What a runtime says reaches people without status codes, C++ sources and paths."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from verify.run.messages import one_line
from verify.run.session import open_session

HEAD = '<ir_version: 8, opset_import: ["" : 18, "me" : 1]>'


def session_of(graph: str, backend: str = "onnxruntime"):  # type: ignore[no-untyped-def]
    return open_session(onnx.parser.parse_model(f"{HEAD} {graph}"), backend=backend)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("g (float[2] x) => (float[2] y) { y = me.Own(x) }", "no operator me::Own"),
        ("g (float[2] x) => (float[2] y) { y = Own(x) }", "no operator Own"),
        ("g (float[2] x) => (float[2] y) { y = Relu(x)  y = Neg(x) }", "Duplicate definition of name (y)."),
        (
            "g (uint8[2] x) => (uint8[2] y) { y = Sin(x) }",
            "Type Error: Type 'tensor(uint8)' of input parameter (x) of operator (Sin) in node () is invalid.",
        ),
    ],
)
def test_a_model_that_does_not_load(graph: str, message: str) -> None:
    assert session_of(graph).error == message


def test_both_runtimes_say_the_same_once() -> None:
    graph = "g (float[2] x) => (float[2] y) { y = me.Own(x) }"
    assert session_of(graph, "auto").error == "onnxruntime and onnx.reference: no operator me::Own"


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            "g (float[2] x, int64[1] s) => (float[K] y) { y = Reshape(x, s) }",
            "Reshape: The input tensor cannot be reshaped to the requested shape. Input shape:{2}, requested shape:{7}",
        ),
        (
            "g (float[2] x, int64[1] s) => (float[K] y) { [at] y = Gather(x, s) }",
            "Gather 'at': indices element out of data bounds, idx=7 must be within the inclusive range [-2,1]",
        ),
    ],
)
def test_a_model_that_does_not_run(graph: str, message: str) -> None:
    run = session_of(graph).run({"x": np.ones(2, np.float32), "s": np.array([7])})
    assert run.error == message


def test_other_errors_keep_their_kind_and_fit_one_line() -> None:
    assert one_line(KeyError("x")) == "KeyError: 'x'"
    assert one_line(RuntimeError("two\n  lines")) == "two lines"
    assert one_line(RuntimeError("")) == "RuntimeError: "
    assert one_line(OSError("a" * 400), 20) == "OSError: " + "a" * 11


SOURCE = "/build/core/graph/graph.cc:123 onnxruntime::Graph::Graph(const Model&, int) const "


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {SOURCE}no input 'x'"), "no input 'x'"),
        (ValueError("[ONNXRuntimeError] : 1 : FAIL : Load model from /tmp/m.onnx failed:too deep"), "too deep"),
        (
            ValueError("Load model from /tmp/m.onnx failed:too deep"),
            "ValueError: Load model from /tmp/m.onnx failed:too deep",
        ),
        (ValueError("a::b was false. kept"), "ValueError: a::b was false. kept"),
        (RuntimeError("x > 0 was false. Too small"), "Too small"),
        (NotImplementedError("This is an invalid model. Error: no name"), "no name"),
        (TypeError("This is an invalid model. Error: no name"), "TypeError: This is an invalid model. Error: no name"),
        (RuntimeError("Fatal error: me:Own(-1) is not a registered function/op"), "no operator me::Own"),
        (RuntimeError(":Own(7) is not a registered function/op"), "no operator Own"),
        (RuntimeError("Node type 'Own' from domain 'me' is unknown"), "no operator me::Own"),
        (RuntimeError("Fatal error: Error No Op registered for Own with domain_version of 18"), "no operator Own"),
        (RuntimeError("No registered schema for operator 'Own' and domain 'me'"), "no operator me::Own"),
        (
            KeyError("me:Own(-1) is not a registered function/op"),
            "KeyError: 'me:Own(-1) is not a registered function/op'",
        ),
        (
            RuntimeError("Could not find an implementation for Mod(13) node with name 'n'"),
            "no implementation of Mod of opset 13",
        ),
        (
            RuntimeError("Non-zero status code returned while running Add node. Name:'n' Status Message: off"),
            "Add 'n': off",
        ),
        (RuntimeError("Non-zero status code returned while running Add node. Name:'' Status Message: off"), "Add: off"),
        (
            RuntimeError("Non-zero status code returned while running Add node. Name:'n' Status Message: a/b.cc:3 off"),
            "Add 'n': off",
        ),
        (RuntimeError(""), "RuntimeError: "),
        (ValueError("x" * 400), "ValueError: " + "x" * 288),
    ],
)
def test_what_is_left_of_a_message(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_width_of_a_line() -> None:
    assert one_line(RuntimeError("abcdef"), 3) == "abc"
