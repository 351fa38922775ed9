"""Parts of models: the right nodes and types, the values of the whole, and what cannot be cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from surgery.extract import extract, parity
from verify.errors import CheckFailed, SurgeonError
from verify.run.session import open_session

NET = """<ir_version: 9, opset_import: ["" : 18]>
net (float[N,3] x, float[N,3] skip, bool c) => (float[N,3] y, float[N,3] other)
    <float[3] w = {1, 2, 3}, float[3] v = {4, 5, 6}> {
  a = Mul(x, w)
  b = Add(a, v)
  k = Constant<value = float {2}>()
  d = If(c) <then_branch = t () => (float[N,3] p) { p = Mul(b, k) },
             else_branch = e () => (float[N,3] q) { q = Sub(a, v) }>
  y = Add(d, skip)
  other = Neg(skip)
}"""


def saved(folder: Path, text: str = NET) -> Path:
    onnx.save(onnx.parser.parse_model(text), folder / "m.onnx")
    return folder / "m.onnx"


def names(values: object) -> list[str]:
    return [value.name for value in values]  # type: ignore[attr-defined]


def test_part_between_two_tensors(tmp_path: Path) -> None:
    report = extract(saved(tmp_path), tmp_path / "part.onnx", ["a"], ["d"])
    part = onnx.load(tmp_path / "part.onnx")
    onnx.checker.check_model(part, full_check=True)
    assert [node.op_type for node in part.graph.node] == ["Add", "Constant", "If"]
    assert names(part.graph.input) == ["a", "c"]
    assert names(part.graph.output) == ["d"]
    assert names(part.graph.initializer) == ["v"]
    assert [dim.dim_param or dim.dim_value for dim in part.graph.input[0].type.tensor_type.shape.dim] == ["N", 3]
    assert [(check.name, check.status) for check in report.checks] == [
        ("extract", "pass"), ("inputs", "pass"), ("parity", "pass"),
    ]  # fmt: skip
    assert "3 of 6 nodes" in report.checks[0].message
    assert "from a float32[N, 3], c bool[] to d float32[N, 3]" in report.checks[0].message
    assert report.checks[1].figures == {"added": ["c"]}
    assert report.checks[2].figures == {"sets": 3, "exact": True, "backend": "onnxruntime"}


def test_part_computes_what_the_whole_computes(tmp_path: Path) -> None:
    extract(saved(tmp_path), tmp_path / "part.onnx", ["a"], ["d"])
    session = open_session(str(tmp_path / "part.onnx"))
    a = np.array([[1, -2, 3]], np.float32)
    assert session.run({"a": a, "c": np.array(True)}).outputs["d"].tolist() == [[10, 6, 18]]
    assert session.run({"a": a, "c": np.array(False)}).outputs["d"].tolist() == [[-3, -7, -3]]


def test_ends_left_out_are_those_of_the_model(tmp_path: Path) -> None:
    path = saved(tmp_path)
    report = extract(path, tmp_path / "front.onnx", (), ["b"])
    front = onnx.load(tmp_path / "front.onnx")
    assert (names(front.graph.input), names(front.graph.output)) == (["x"], ["b"])
    assert [check.name for check in report.checks] == ["extract", "parity"]
    extract(path, tmp_path / "back.onnx", ["d"])
    back = onnx.load(tmp_path / "back.onnx")
    assert (names(back.graph.input), names(back.graph.output)) == (["d", "skip"], ["y", "other"])
    assert not back.graph.initializer


def test_weight_may_become_an_input(tmp_path: Path) -> None:
    extract(saved(tmp_path), tmp_path / "part.onnx", ["w", "x"], ["a"])
    part = onnx.load(tmp_path / "part.onnx")
    assert (names(part.graph.input), names(part.graph.initializer)) == (["w", "x"], [])
    assert part.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3


def test_a_sequence_may_become_an_input_and_an_output(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[2] x, float[3] z) => (float[N] y) <int64 first = {0}> {
      pair = SequenceConstruct(x, z)  twice = SequenceInsert(pair, x)  one = SequenceAt(twice, first)  y = Neg(one) }"""
    report = extract(saved(tmp_path, text), tmp_path / "part.onnx", ["pair"], ["twice"])
    part = onnx.load(tmp_path / "part.onnx")
    for (port,), name in ((part.graph.input[:1], "pair"), (part.graph.output, "twice")):
        assert port.name == name
        assert port.type.sequence_type.elem_type.tensor_type.elem_type == TensorProto.FLOAT
    assert [node.op_type for node in part.graph.node] == ["SequenceInsert"]
    assert {check.status for check in report.checks} <= {"pass", "skip"}


def test_type_that_onnx_cannot_infer_comes_from_the_run(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18, "com.microsoft" : 1]>
    g (float[2,4] x) => (float[2,4] y) { a = com.microsoft.Gelu(x)  b = com.microsoft.Gelu(a)  y = Relu(b) }"""
    report = extract(saved(tmp_path, text), tmp_path / "part.onnx", ["a"], ["b"])
    part = onnx.load(tmp_path / "part.onnx")
    kind = part.graph.input[0].type.tensor_type
    assert kind.elem_type == TensorProto.FLOAT
    assert [dim.dim_param for dim in kind.shape.dim] == ["a_0", "a_1"]
    assert report.checks[-1].status == "pass"
    unknown = text.replace("com.microsoft.Gelu", "com.microsoft.NoSuchOperator")
    with pytest.raises(SurgeonError, match="the type of 'a' is not known"):
        extract(saved(tmp_path, unknown), tmp_path / "none.onnx", ["a"], ["b"])
    assert not (tmp_path / "none.onnx").exists()


def test_external_data_of_the_part_alone_is_copied(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    weights = [numpy_helper.from_array(np.full(1000, size, np.float32), f"w{size}") for size in (1, 2)]
    nodes = [helper.make_node("Add", ["x", "w1"], ["a"]), helper.make_node("Add", ["a", "w2"], ["y"])]
    ends = [value("x", TensorProto.FLOAT, [1000])], [value("y", TensorProto.FLOAT, [1000])]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, weights), ir_version=9)
    (tmp_path / "from").mkdir()
    onnx.save(model, tmp_path / "from" / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=100)
    report = extract(tmp_path / "from" / "m.onnx", tmp_path / "to" / "part.onnx", ["a"], ["y"])
    assert report.checks[-1].status == "pass"
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["part.onnx", "part.onnx.data"]
    assert (tmp_path / "to" / "part.onnx.data").stat().st_size < 8000
    part = onnx.load(tmp_path / "to" / "part.onnx")
    assert numpy_helper.to_array(part.graph.initializer[0])[0] == 2


def test_half_precision_may_round_once_more(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float16[8,8] x) => (float16[8,8] y) { a = Sqrt(x)  b = Exp(a)  c = Mul(b, b)  y = Div(c, a) }"""
    report = extract(saved(tmp_path, text), tmp_path / "part.onnx", ["a"], ["y"])
    assert report.checks[-1].status == "pass"


def test_given_inputs_are_compared_on(tmp_path: Path) -> None:
    values = {"x": np.ones((5, 3), np.float32), "skip": np.ones((5, 3), np.float32), "c": np.array(True)}
    report = extract(saved(tmp_path), tmp_path / "part.onnx", ["a"], ["d"], values=values)
    assert report.checks[-1].figures["sets"] == 1
    with pytest.raises(SurgeonError, match="does not run on the given inputs"):
        extract(tmp_path / "m.onnx", tmp_path / "part.onnx", ["a"], ["d"], values={"x": values["x"]})


def test_part_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> parity.Whole:
        whole = parity.run_whole(*arguments)  # type: ignore[arg-type]
        whole.runs[-1]["d"] = whole.runs[-1]["d"] + 1
        return whole

    monkeypatch.setattr("surgery.extract.run_whole", wrong)
    with pytest.raises(CheckFailed, match=r"nothing was written: 'd' differs from the whole on set 3"):
        extract(saved(tmp_path), tmp_path / "part.onnx", ["a"], ["d"])
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("expected", [np.float64([1, 2]), np.float32([[1, 2]])], ids=["type", "shape"])
def test_part_of_another_type_or_shape_is_not_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: np.ndarray
) -> None:
    path = saved(tmp_path, '<ir_version: 9, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Relu(x) }')
    runs = [{"x": np.float32([1, 2]), "y": expected}]
    monkeypatch.setattr("surgery.extract.run_whole", lambda *_, **__: parity.Whole("onnxruntime", runs))
    with pytest.raises(CheckFailed, match="'y' differs from the whole on set 1"):
        extract(path, tmp_path / "part.onnx", ["x"], ["y"])
    assert not (tmp_path / "part.onnx").exists()


def test_what_cannot_be_run_is_unchecked(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18, "me" : 1]>
    g (float[2] x) => (float[2] y) { a = me.Foo(x)  b = Relu(x)  y = Add(a, b) }"""
    path = saved(tmp_path, text)
    assert extract(path, tmp_path / "part.onnx", (), ["b"]).checks[-1].status == "pass"  # it needs no node of "me"
    whole = """<ir_version: 9, opset_import: ["" : 18, "me" : 1]>
    g (float[2] x) => (float[2] y) <float[2] a> { a = me.Foo(x)  b = Relu(a)  y = Neg(b) }"""
    found = extract(saved(tmp_path, whole), tmp_path / "unrun.onnx", ["a"], ["b"]).checks[-1]
    assert found.status == "skip"
    assert found.message.startswith("unchecked: the whole model cannot be run: ")
    assert found.message.endswith("no operator me::Foo; give --check-inputs")
    random = saved(tmp_path, NET.replace("a = Mul(x, w)", "r = RandomNormalLike(x) a = Mul(r, w)"))
    report = extract(random, tmp_path / "part.onnx", ["x"], ["b"])
    assert (report.checks[-1].status, report.checks[-1].message) == ("skip", "unchecked: it draws random numbers")
    with pytest.raises(CheckFailed, match="nothing was written: unchecked"):
        extract(random, tmp_path / "strict.onnx", ["x"], ["b"], strict=True)
    assert not (tmp_path / "strict.onnx").exists()


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["zzz"], ["y"], "has no tensor 'zzz'; surgeon inspect lists its inputs and outputs"),
        (["a"], ["othr"], "has no tensor 'othr'; did you mean other?"),
        (["y"], ["b"], "none of the outputs b needs the input 'y'"),
        (["skip"], ["b"], "none of the outputs b needs the input 'skip'"),
        ([], ["x"], "'x' cannot be an output of the part: no node of the part makes it"),
        ([], ["w"], "'w' cannot be an output of the part"),
        (["b"], ["b"], "'b' cannot be an output of the part"),
        (["p"], ["y"], "has no tensor 'p'"),
    ],
)
def test_wrong_names_are_named(tmp_path: Path, inputs: list[str], outputs: list[str], message: str) -> None:
    with pytest.raises(SurgeonError) as caught:
        extract(saved(tmp_path), tmp_path / "part.onnx", inputs, outputs)
    assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_model_itself_is_never_overwritten(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(SurgeonError, match="is the model itself"):
        extract(path, tmp_path / "." / "m.onnx", ["a"], ["d"])
    assert path.read_bytes() == before
