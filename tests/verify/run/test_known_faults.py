"""Models of which onnxruntime gives other values than ONNX defines are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from surgery import fix_model
from verify.run.known_faults import RUNNING_STATE, onnxruntime_fault
from verify.run.session import open_session

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,4] x) => (float[2,3,4] y, float[3] r)'
CONSTANTS = "<float[3] s = {1,2,3}, float[3] b = {0,1,0}, float[3] m = {0,0,1}, float[3] v = {1,1,2}>"
NORM = "BatchNormalization<training_mode = 1, momentum = 0.5>(x, s, b, m, v)"
READ = f"{HEAD} {CONSTANTS} {{ y, rm, rv = {NORM} r = Identity(rm) }}"


@pytest.mark.parametrize("target", ["tensorrt-rtx", "onnxruntime"])
def test_a_mean_that_is_read_again_is_judged_by_onnx_reference(target: str) -> None:
    model = parser.parse_model(READ)
    assert onnxruntime_fault(model) == RUNNING_STATE
    fixed, report = fix_model(model, target=target)
    assert "Identity" not in {node.op_type for node in fixed.graph.node}
    assert [check.name for check in report.checks if check.status != "pass"] == []
    x = np.random.default_rng(0).standard_normal([2, 3, 4]).astype(np.float32)
    for wanted, got in zip(*(ReferenceEvaluator(one).run(None, {"x": x}) for one in (model, fixed)), strict=True):
        assert np.allclose(wanted, got, atol=1e-5)


@pytest.mark.parametrize("nodes", [f"y, r, rv = {NORM}", f"y = {NORM} r = Identity(s)"])
def test_a_mean_that_only_is_an_output_is_left_to_onnxruntime(nodes: str) -> None:
    assert onnxruntime_fault(parser.parse_model(f"{HEAD} {CONSTANTS} {{ {nodes} }}")) == ""


@pytest.mark.parametrize("op", ["QLinearSigmoid", "QLinearLeakyRelu"])
def test_a_node_on_which_onnxruntime_ends_the_process_is_not_run(op: str) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (uint8[2] x, float s, uint8 z) => (uint8[2] y) { y = com.microsoft.OP(x, s, z, s%s) }""".replace("OP", op)
    whole, short = (parser.parse_model(text % end) for end in (", z", ""))
    inputs = {"x": np.array([1, 2], np.uint8), "s": np.array(0.1, np.float32), "z": np.array(3, np.uint8)}
    assert not open_session(whole, backend="onnxruntime").run(inputs).error
    assert op in open_session(short, backend="onnxruntime").error
