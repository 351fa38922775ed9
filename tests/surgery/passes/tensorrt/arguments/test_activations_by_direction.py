"""SG193: recurrent operators with other activations in the second direction."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, parse, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG193"
REWRITES = [
    Case(
        "lstm with states",
        """g (float[T,N,4] x, float[2,8,4] w, float[2,8,2] r, float[2,16] b, float[2,N,2] h, float[2,N,2] c) =>
          (float[T,2,N,2] y, float[2,N,2] yh, float[2,N,2] yc) { y, yh, yc = LSTM<hidden_size = 2, direction =
          "bidirectional", activations = ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Relu", "Tanh"]>(x, w, r,
          b, , h, c) }""",
    ),
    Case(
        "gru",
        """g (float[3,N,4] x, float[2,6,4] w, float[2,6,2] r) => (float[3,2,N,2] y, float[2,N,2] yh) { y, yh =
          GRU<hidden_size = 2, direction = "bidirectional", linear_before_reset = 1, activations = ["Sigmoid",
          "Tanh", "Sigmoid", "Relu"]>(x, w, r) }""",
    ),
    Case(
        "rnn, one output",
        """g (float[3,N,4] x, float[2,2,4] w, float[2,2,2] r) => (float[3,2,N,2] y) { y = RNN<hidden_size = 2,
          direction = "bidirectional", activations = ["Tanh", "Relu"]>(x, w, r) }""",
    ),
    Case(
        "spelled in another case",
        """g (float[3,N,4] x, float[1,8,4] w, float[1,8,2] r) => (float[3,1,N,2] y) { y = LSTM<hidden_size = 2,
          activations = ["SIGMOID", "tanh", "hardsigmoid"]>(x, w, r) }""",
    ),
    Case(
        "spelled in another case and different",
        """g (float[3,N,4] x, float[2,6,4] w, float[2,6,2] r) => (float[3,2,N,2] y) { y = GRU<hidden_size = 2,
          direction = "bidirectional", activations = ["sigmoid", "tanh", "sigmoid", "relu"]>(x, w, r) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "the same activations",
        """g (float[3,1,4] x, float[2,2,4] w, float[2,2,2] r) => (float[3,2,1,2] y) { y = RNN<hidden_size = 2,
          direction = "bidirectional", activations = ["Tanh", "Tanh"]>(x, w, r) }""",
    ),
    Case(
        "activations with parameters",
        """g (float[3,1,4] x, float[2,2,4] w, float[2,2,2] r) => (float[3,2,1,2] y) { y = RNN<hidden_size = 2,
          direction = "bidirectional", activations = ["Tanh", "LeakyRelu"], activation_alpha = [0.5]>(x, w, r)
          }""",
    ),
    Case(
        "one direction",
        """g (float[3,1,4] x, float[1,2,4] w, float[1,2,2] r) => (float[3,1,1,2] y) { y = RNN<hidden_size = 2,
          activations = ["Relu"]>(x, w, r) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_the_process_survives_a_free_batch(op: str, gates: int) -> None:
    """onnxruntime ends its process on an empty batch, so the comparison with the original leaves that size out."""
    model = parse(
        f"g (float[T,N,4] x, float[2,{2 * gates},4] w, float[2,{2 * gates},2] r) => (float[T,2,N,2] y) "
        f'{{ y = {op}<hidden_size = 2, direction = "bidirectional">(x, w, r)  }}',
        17,
    )
    fixed, report = surgery.fix_model(model, outputs=("y",))
    assert [check.status for check in report.checks if check.name == "parity"] == ["pass"]
    assert [node.op_type for node in fixed.graph.node] == [op]
