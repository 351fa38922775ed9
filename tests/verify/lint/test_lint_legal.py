"""Legal models have no breach, and hostile ones do no harm."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.verify.lint.models import BRANCHES, HEAD, changed, function, parsed, weights
from verify.lint import lint
from verify.lint.rule import text

LEGAL = {
    "a branch reads what is around it": parsed(BRANCHES.format(made="v", read="a")),
    "an output is an input": parsed("g (float[2] x) => (float[2] x) { y = Neg(x) }"),
    "an optional input is left out": parsed("g (float[2] x, float h) => (float[2] y) { y = Clip(x, , h) }"),
    "a custom domain is unknown": parsed(
        "g (float[2] x) => (float[2] y) { y = own.Op <any = 1> (x) }", HEAD.replace("18]", '18, "own" : 1]')
    ),
    "a function": function(8),
    "raw bytes": weights(float_data=[], raw_data=np.float32([1, 2]).tobytes()),
    "four bits": weights(data_type=onnx.TensorProto.INT4, float_data=[], raw_data=b"a"),
    "an empty weight": weights(dims=[0], float_data=[]),
    "a scalar": weights(dims=[], float_data=[1.0]),
    "complex numbers": weights(data_type=onnx.TensorProto.COMPLEX64, float_data=[1, 2, 3, 4]),
    "a default of an input": changed(lambda m: m.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros(2, np.float32), "x"))),
    "an output that nothing reads": parsed("g (float[2] x) => (float[2] y) { y, unread = Dropout(x) }"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LEGAL))
def test_a_legal_model_has_no_breach(name: str) -> None:
    assert lint(LEGAL[name]) == []


def test_the_cases_that_come_with_onnx_have_no_breach() -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    files = sorted(folder.rglob("*.onnx"))
    assert files
    for file in files:
        assert not lint(onnx.load(file, load_external_data=False)), file


def test_names_that_are_not_text_are_found_or_shown() -> None:
    raw = (
        parsed("g (float[2] x) => (float[2] y) { y = Add(x, gone) }")
        .SerializeToString()
        .replace(b"gone", b"\xff\xfen\x00")
    )
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except Exception:
        pytest.skip("this protobuf refuses text that is not UTF-8")
    (finding,) = lint(model)
    assert finding.code == "SG713"
    assert "\ufffd" in finding.message


def test_text_is_decoded() -> None:
    assert text(b"\xffa") == "\ufffda"


def test_long_name_is_cut() -> None:
    model = parsed(f"g (float[2] x) => (float[2] y) {{ y = Add(x, {'g' * 5000}) }}")
    (finding,) = lint(model)
    assert len(finding.message) < 200


def test_time_grows_with_the_file_and_not_faster() -> None:
    def seconds(count: int) -> float:
        nodes = [onnx.helper.make_node("Neg", [f"t{i}"], [f"t{i + 1}"]) for i in range(count)]
        branch = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["t0"], ["v"])], "b", [], [_value("v")])
        ifs = [
            onnx.helper.make_node("If", ["c"], [f"o{i}"], then_branch=branch, else_branch=branch) for i in range(count)
        ]
        graph = onnx.helper.make_graph(nodes + ifs, "g", [_value("t0"), _value("c", onnx.TensorProto.BOOL)], [])
        started = time.process_time()
        assert lint(onnx.helper.make_model(graph)) == []
        return time.process_time() - started

    assert seconds(4000) < 8 * max(seconds(1000), 0.05)


def _value(name: str, kind: int = onnx.TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, kind, [2])


def test_deeply_nested_branches_are_followed() -> None:
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["gone"], ["v"])], "b", [], [_value("v")])
    for _ in range(25):
        node = onnx.helper.make_node("If", ["c"], ["v"], then_branch=graph, else_branch=graph)
        if len(graph.SerializeToString()) > 1 << 20:
            break
        graph = onnx.helper.make_graph([node], "b", [], [_value("v")])
    graph.input.append(_value("c", onnx.TensorProto.BOOL))
    model = onnx.helper.make_model(graph)
    assert {finding.code for finding in lint(model)} == {"SG713"}
