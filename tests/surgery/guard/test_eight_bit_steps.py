"""Sums that lie at the middle between two eight-bit numbers: the outputs move by a step, and nothing else may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import numpy_helper, parser

import surgery
from surgery import steps
from surgery.passes import all_passes
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from tests.surgery.guard.test_partial_run import parity
from verify.model.eight_bits import eight_bit_products
from verify.run.session import open_session

WIDE, LAYERS = 64, 6


def deep() -> onnx.ModelProto:
    """A quantized model of several layers in which rounding moves numbers by a step, with zero points of uint8."""
    rng = np.random.default_rng(5)
    weights = {}
    nodes = []
    for layer in range(LAYERS):
        weights[f"w{layer}"] = rng.integers(-127, 128, (WIDE, WIDE)).astype(np.int8)
        nodes.append(
            f"q{layer} = QuantizeLinear(h{layer}, s, z) d{layer} = DequantizeLinear(q{layer}, s, z) "
            f"f{layer} = DequantizeLinear(w{layer}, t) p{layer} = MatMul(d{layer}, f{layer}) "
            f"h{layer + 1} = Tanh(p{layer})"
        )
    model = parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[200, {WIDE}] x) => (float[200, {WIDE}] y)
        <float s = {{0.008}}, uint8 z = {{117}}, float t = {{0.0017}}> {{
        h0 = Identity(x) {" ".join(nodes)} y = Identity(h{LAYERS}) }}"""
    )
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return model


def outputs(model: onnx.ModelProto, x: Any) -> Any:
    run = open_session(model, backend="onnxruntime").run({"x": x})
    assert not run.error, run.error
    return run.outputs["y"]


def scaled(factor: float, name: str) -> Pass:
    """A pass that multiplies the result of one node and keeps its name."""

    def write(node: gs.Node) -> None:
        result = node.outputs[0]
        inner = gs.Variable(f"{result.name} of before", result.dtype, result.shape)
        node.outputs[0] = inner
        graph_nodes.append(gs.Node("Mul", "wrong", inputs=[inner, factors], outputs=[result]))

    graph_nodes: list[gs.Node] = []
    factors = gs.Constant("wrong factor", np.asarray(factor, np.float32))

    def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
        nonlocal graph_nodes
        graph_nodes = graph.nodes
        for node in context.nodes(graph, "Tanh"):
            if node.outputs[0].name == name:
                yield finding("its result is wrong", node, partial(write, node))

    return Pass(code="SG999", name="scaled", find=find, exact=False, moves_steps=True)


def test_products_stay_in_eight_bits_where_rounding_moves_a_step() -> None:
    model = deep()
    fixed, report = surgery.fix_model(model)
    assert eight_bit_products(fixed) == LAYERS
    check = parity(report)
    assert check.status == "pass"
    assert "rounding may move eight-bit numbers by a step (SG198): outputs of the original move by" in check.message
    x = np.random.default_rng(1).standard_normal((200, WIDE)).astype(np.float32)
    before, after = outputs(model, x), outputs(fixed, x)
    rows = np.abs(after - before).max(axis=1) / np.sqrt(np.mean(before**2))
    assert rows.max() > 1e-3, "no number moves by a step in this model"
    assert np.mean(rows > 1e-5) < 0.05


@pytest.mark.parametrize("factor", [1.001, 1.02])
def test_an_error_below_a_step_is_found(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = scaled(factor, "h3")
    monkeypatch.setattr(steps, "all_passes", lambda given: (*all_passes(), wrong))
    fixed, report = surgery.fix_model(deep())
    assert any(check.message.startswith("SG999 (scaled) was left out") for check in report.checks)
    assert "wrong" not in {node.name for node in fixed.graph.node}
    assert eight_bit_products(fixed) == LAYERS


def test_without_the_flag_outputs_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = tuple(replace(rule, moves_steps=False) for rule in all_passes())
    monkeypatch.setattr(steps, "all_passes", lambda given: strict)
    fixed, report = surgery.fix_model(deep())
    assert any(check.message.startswith("SG198 (shifted-quantization) was left out") for check in report.checks)
    assert eight_bit_products(fixed) == 0
