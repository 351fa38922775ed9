"""What `surgeon inspect` says of a model is what the model contains."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from surgery.inspect import describe
from surgery.inspect.compare import changes
from surgery.inspect.text import size_text
from verify.errors import SurgeonError

BRANCHES = """<ir_version: 9, opset_import: ["" : 18, "me" : 1]>
branches (float[N,3] x, bool c, float[?] free) => (float[N,3] y, int64[2,M] at) <float16[2,3] w = {1,2,3,4,5,6}> {
  h = Cast<to = 1>(w)
  y = If(c) <then_branch = t () => (float[N,3] u) <float[3] inner = {1,2,3}> { u = Mul(x, inner) },
             else_branch = e () => (float[N,3] v) { k = Constant<value = float[4] {1,2,3,4}>()  v = me.double(x) }>
  at = NonZero(x)
}
<domain: "me", opset_import: ["" : 18]> double (a) => (b) { b = Add(a, a) }"""


def saved(folder: Path, text: str = BRANCHES, name: str = "m.onnx") -> Path:
    onnx.save(onnx.parser.parse_model(text), folder / name)
    return folder / name


def test_interface_operators_and_dims(tmp_path: Path) -> None:
    path = saved(tmp_path)
    found = describe(path)
    assert found.bytes == path.stat().st_size
    assert (found.ir_version, found.opsets, found.functions) == (9, {"ai.onnx": 18, "me": 1}, ("me::double",))
    assert found.inputs == (
        {"name": "x", "dtype": "float32", "shape": ["N", 3]},
        {"name": "c", "dtype": "bool", "shape": []},
        {"name": "free", "dtype": "float32", "shape": [None]},
    )
    assert [(port["name"], port["shape"]) for port in found.outputs] == [("y", ["N", 3]), ("at", [2, "M"])]
    assert found.dynamic_dims == {"N": ["x[0]", "y[0]"], "?": ["free[0]"], "M": ["at[1]"]}
    assert (found.nodes, found.nested_nodes) == (3, 4)
    assert found.operators == {"Add": 1, "Cast": 1, "Constant": 1, "If": 1, "Mul": 1, "NonZero": 1, "me::double": 1}
    assert list(found.operators) == sorted(found.operators)


def test_weights_of_branches_and_constants_count(tmp_path: Path) -> None:
    found = describe(saved(tmp_path))
    assert [(one.name, one.dtype, one.shape, one.bytes) for one in found.weights] == [
        ("node_of_k", "float32", (4,), 16),
        ("inner", "float32", (3,), 12),
        ("w", "float16", (2, 3), 12),
    ]
    assert {name: (one.tensors, one.elements, one.bytes) for name, one in found.by_type.items()} == {
        "float32": (2, 7, 28),
        "float16": (1, 6, 12),
    }


def test_tensors_in_a_list_of_an_attribute_are_weights(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 18, "own" : 1]> g (float[2] x) => (float[2] y) { y = own.Op(x) }'
    model = onnx.parser.parse_model(text)
    tensors = [numpy_helper.from_array(np.zeros(count, np.float32)) for count in (3, 5)]
    model.graph.node[0].attribute.append(helper.make_attribute("tables", tensors))
    onnx.save(model, tmp_path / "m.onnx")
    assert sorted(one.bytes for one in describe(tmp_path / "m.onnx").weights) == [12, 20]


@pytest.mark.parametrize(
    ("dtype", "elements", "size"),
    [(TensorProto.INT4, 5, 3), (TensorProto.UINT4, 4, 2), (TensorProto.BFLOAT16, 5, 10), (TensorProto.DOUBLE, 5, 40),
     (TensorProto.BOOL, 5, 5), (TensorProto.FLOAT8E4M3FN, 5, 5), (TensorProto.COMPLEX128, 2, 32)],
)  # fmt: skip
def test_bytes_of_a_weight_without_raw_data(tmp_path: Path, dtype: int, elements: int, size: int) -> None:
    model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (y) { y = Relu(x) }')
    model.graph.initializer.append(TensorProto(name="w", data_type=dtype, dims=[elements], int32_data=[0]))
    onnx.save(model, tmp_path / "m.onnx")
    (weight,) = describe(tmp_path / "m.onnx").weights
    assert (weight.elements, weight.bytes) == (elements, size)


def test_external_data_is_listed_by_file(tmp_path: Path) -> None:
    weights = {name: numpy_helper.from_array(np.ones(size, np.float32), name) for name, size in (("a", 2000), ("b", 3))}
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Add", ["x", "b"], ["y"]), helper.make_node("Identity", ["a"], ["z"])]
    outputs = [value("y", TensorProto.FLOAT, [3]), value("z", TensorProto.FLOAT, [2000])]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [3])], outputs, list(weights.values()))
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=True, location="w.data", size_threshold=100)
    found = describe(path)
    assert {file: (total.tensors, total.bytes, size) for file, (total, size) in found.external.items()} == {
        "w.data": (1, 8000, (tmp_path / "w.data").stat().st_size)
    }
    assert [(one.name, one.file) for one in found.weights] == [("a", "w.data"), ("b", "")]
    (tmp_path / "w.data").unlink()
    with pytest.raises(SurgeonError, match=r"w\.data"):
        describe(path)


def test_targets_refuse_what_their_tables_say(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[2,8] x, int32[8] bits) => (int32[8] y, int64[2,M] z) <int32 mask = {12}> {
      y = BitwiseAnd(bits, mask)  z = NonZero(x) }"""
    targets = describe(saved(tmp_path, text)).targets
    assert targets["tensorrt-rtx"].operators == {"BitwiseAnd": 1, "NonZero": 1}
    assert targets["tensorrt-rtx"].fixable == 1
    assert targets["tensorrt"].operators == {"BitwiseAnd": 1}
    assert targets["onnxruntime"].nodes == 0


def test_changes_name_what_differs_and_nothing_else(tmp_path: Path) -> None:
    before = saved(tmp_path, '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) '
                             '<float[2] w = {1,2}> { a = Identity(x)  y = Relu(a) }', "a.onnx")  # fmt: skip
    after = saved(tmp_path, '<ir_version: 8, opset_import: ["" : 18]> g (float[4] x) => (float[4] z) { z = Relu(x) }',
                  "b.onnx")  # fmt: skip
    found = {(change.section, change.name): (change.before, change.after) for change in
             changes(describe(before), describe(after))}  # fmt: skip
    size = found.pop(("file", "size"))
    assert size == (before.stat().st_size, after.stat().st_size)
    assert found == {
        ("opset", "ai.onnx"): (17, 18),
        ("inputs", "x"): ("float32[N]", "float32[4]"),
        ("outputs", "y"): ("float32[N]", None),
        ("outputs", "z"): (None, "float32[4]"),
        ("nodes", "main graph"): (2, 1),
        ("operators", "Identity"): (1, 0),
        ("weights", "tensors"): (1, 0),
        ("weights", "elements"): (2, 0),
        ("weights", "size"): (8, 0),
        ("weights", "size of float32"): (8, 0),
    }
    assert changes(describe(before), describe(before)) == []


def test_order_of_inputs_is_a_change(tmp_path: Path) -> None:
    head = '<ir_version: 8, opset_import: ["" : 17]>'
    before = saved(tmp_path, f"{head} g (float[2] a, float[2] b) => (float[2] y) {{ y = Add(a, b) }}", "a.onnx")
    after = saved(tmp_path, f"{head} g (float[2] b, float[2] a) => (float[2] y) {{ y = Add(a, b) }}", "b.onnx")
    (change,) = changes(describe(before), describe(after))
    assert (change.section, change.name, change.before, change.after) == ("inputs", "order", "a, b", "b, a")


def test_fixable_counts_what_the_passes_together_rewrite(tmp_path: Path) -> None:
    """SG105 needs the dtype of `over`, which only the model's inference knows."""
    text = """<ir_version: 8, opset_import: ["" : 18]>
    detector (float[1,3,8] x) => (bool[1] found, float[1,3,8] y) <float half = {0.5}> {
      over = Greater(x, half)  axes = Constant<value_ints = [1, 2]>()
      found = ReduceMax<keepdims = 0>(over, axes)  y = Relu(x) }"""
    refused = describe(saved(tmp_path, text)).targets["tensorrt-rtx"]
    assert (refused.operators, refused.fixable) == ({"ReduceMax": 1}, 1)


def test_fixable_leaves_out_what_no_pass_rewrites(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 18, "me" : 1]>
    g (bool[2,3] x, float[2] z) => (bool[2] y, float[2] v) <int64[1] axes = {1}> {
      y = ReduceMax<keepdims = 0>(x, axes)  v = me.Own(z) }"""
    refused = describe(saved(tmp_path, text)).targets["tensorrt-rtx"]
    assert (refused.nodes, refused.fixable) == (2, 1)


def test_passes_that_end_their_process_leave_the_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGABRT)

    monkeypatch.setattr("surgery.inspect.targets.mark_by_table", dies)
    monkeypatch.setattr("surgery.isolated.THREADED", set())  # fork, so that the child has the function above
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[2,3] x) => (bool[2] y) <int64[1] axes = {1}, float half = {0.5}> {
      over = Greater(x, half)  y = ReduceMax<keepdims = 0>(over, axes) }"""
    refused = describe(saved(tmp_path, text)).targets["tensorrt-rtx"]
    assert (refused.operators, refused.fixable) == ({"ReduceMax": 1}, 0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_999, "1000.0 kB"), (10**6, "1.0 MB"),
        (10**9, "1.0 GB"), (1_250_000_000, "1.2 GB"),
    ],
)  # fmt: skip
def test_sizes_for_people(count: int, text: str) -> None:
    assert size_text(count) == text
