"""diagnose: every refusal of the real parser and builder, at the right node, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from surgery.diagnose import Settings, diagnose
from surgery.diagnose.provenance import source_of
from surgery.diagnose.rules import code_of, report_codes, rule_texts
from surgery.diagnose.rules.reasons import explain
from surgery.targets.catalog import Feature, load_catalog
from verify.errors import SurgeonError
from verify.report import Finding, Report
from verify.tensorrt import engine

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")

SEVERAL = """
<ir_version: 10, opset_import: ["" : 20]>
several (float[2,3] x, int64[1] ax) => (float[2,3] y, int64[2,n] q) {
  a = Relu(x)
  [mean] b = ReduceMean<keepdims = 1>(a, ax)
  y = Add(a, b)
  q = NonZero(a)
  [norm] c, d, e = LayerNormalization(a, a)
  [det] f = Det(a)
  [max] h = ReduceMax<keepdims = 1>(a, ax)
}
"""
BRANCH = """
<ir_version: 10, opset_import: ["" : 20]>
branch (float[2,3] x, bool c, int64[1] ax) => (float[2,3] y) {
  [choice] y = If(c) <
    then_branch = t () => (float[2,3] u) { u = Relu(x) },
    else_branch = e () => (float[2,3] v) {
      [shift] w = BitShift<direction = "LEFT">(x, x)
      r = ReduceMean<keepdims = 1>(w, ax)
      [norm] v, v1, v2 = LayerNormalization(r, x)
    }>
}
"""
CUSTOM = """
<ir_version: 10, opset_import: ["" : 20, "my" : 1]>
custom (float[2,2] x) => (float[2,2] y) { a = Relu(x)  [foo] b = my.Foo(a)  [det] d = Det(b)  y = Relu(b) }
"""
TWO_ATTENTIONS = """
<ir_version: 10, opset_import: ["" : 23]>
attention (float[1,2,4,64] q, float[1,2,4,64] k, float[1,2,4,64] v) => (float[1,2,4,64] y, float[1,2,4,64] z) {
  a = Relu(q)  [one] b = Attention(a, k, v)  y = Relu(b)  c = Neg(q)  [two] z = Attention(c, k, v)
}
"""

RANKLESS = """
<ir_version: 8, opset_import: ["" : 17]>
grown (float[4,4] x) => (float[a,b] y, float[c,d] z, float w) {
  n = Constant<value = int64 {3}>()  go = Constant<value = bool {1}>()  first = Constant<value = float {0}>()
  [loop] kept = Loop(n, go, first) <body = b (int64 i, bool c, float s) => (bool d, float[4,4] e) {
    d = Identity(c)  e = Sin(x)
  }>
  zero = Constant<value = int64[1] {0}>()  two = Constant<value = int64[1] {2}>()
  one = Constant<value = int64[1] {1}>()
  [left] y = Slice(kept, zero, two, one)
  [det] w = Det(x)
  [right] z = Slice(kept, two, two, one)
}
"""


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Report]:
    def diagnosed(model: str | onnx.ModelProto, **settings: object) -> Report:
        path = tmp_path / "model.onnx"
        onnx.save(onnx.parser.parse_model(model) if isinstance(model, str) else model, path)
        return diagnose(path, Settings(**settings))  # type: ignore[arg-type]

    return diagnosed


def errors(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity == "error"]


@needs_tensorrt
def test_every_independent_refusal_is_listed_and_the_rest_is_built(look: Callable[..., Report]) -> None:
    report = look(SEVERAL)
    assert {(f.node, f.op, f.code) for f in errors(report)} == {
        ("mean", "ReduceMean", "SG107"),
        ("node_of_q", "NonZero", "SG800"),
        ("norm", "LayerNormalization", "SG117"),
        ("det", "Det", "SG129"),
        ("max", "ReduceMax", "SG107"),
    }
    assert report.exit_code == 1
    assert [check.status for check in report.checks if check.name == "tensorrt-builder"] == ["pass"]


@needs_tensorrt
def test_nodes_that_the_parser_does_not_name_are_found(look: Callable[..., Report]) -> None:
    """It says only that an axis is out of range."""
    report = look(RANKLESS)
    assert {(f.node, f.code) for f in errors(report)} == {
        ("left", "SG828"),
        ("right", "SG828"),
        ("det", "SG129"),
        ("loop", "SG009"),
    }
    left = next(finding for finding in errors(report) if finding.node == "left")
    assert left.details["inputs"][0] == {"name": "kept", "dtype": "float32", "shape": None}


@needs_tensorrt
def test_refusal_has_shapes_words_and_neighbours(look: Callable[..., Report]) -> None:
    found = next(f for f in errors(look(SEVERAL)) if f.node == "norm")
    assert found.details["inputs"][0] == {"name": "a", "dtype": "float32", "shape": [2, 3]}
    assert found.details["says"].startswith("This version of TensorRT")
    labels = {box["label"] for box in found.details["neighbourhood"]["nodes"]}
    assert {"Relu", "LayerNormalization norm"} <= labels


@needs_tensorrt
def test_a_bare_false_is_explained(look: Callable[..., Report]) -> None:
    found = next(f for f in errors(look(SEVERAL)) if f.node == "det")
    assert found.details["says"] == "TensorRT gives no reason"
    assert found.why == load_catalog()["determinant"].reason


@needs_tensorrt
def test_refusals_inside_a_branch_name_the_way_there(look: Callable[..., Report]) -> None:
    found = {(f.path, f.node): f.op for f in errors(look(BRANCH))}
    here = "choice/else_branch"
    assert found == {
        (here, "shift"): "BitShift",
        (here, "node_of_r"): "ReduceMean",
        (here, "norm"): "LayerNormalization",
    }


@needs_tensorrt
def test_a_custom_operator_does_not_hide_what_follows(look: Callable[..., Report]) -> None:
    assert {(f.node, f.code) for f in errors(look(CUSTOM))} == {("foo", "SG820"), ("det", "SG129")}


@needs_tensorrt
def test_builder_refusals_are_traced_to_all_their_nodes(look: Callable[..., Report]) -> None:
    report = look(TWO_ATTENTIONS)
    assert {(f.node, f.code) for f in errors(report)} == {("one", "SG116"), ("two", "SG116")}
    assert {check.name: check.status for check in report.checks}["tensorrt-parser"] == "pass"
    unbuilt = look(TWO_ATTENTIONS, build=False)
    assert errors(unbuilt) == []
    assert {check.name: check.status for check in unbuilt.checks}["tensorrt-builder"] == "skip"


@needs_tensorrt
def test_a_clean_model_is_clean(look: Callable[..., Report]) -> None:
    report = look('<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) { [a] y = Relu(x) }')
    assert report.exit_code == 0
    assert report.findings == []


@needs_tensorrt
def test_a_guessed_profile_comes_with_the_flags_that_give_one(look: Callable[..., Report]) -> None:
    report = look('<ir_version: 10, opset_import: ["" : 20]> g (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }')
    note = next(f for f in report.findings if f.code == "SG814")
    assert note.severity == "note"
    assert "--minShapes=x:1x3" in note.details["flags"]
    assert report.exit_code == 0


@needs_tensorrt
def test_a_guess_that_does_not_fit_is_no_error_of_the_model(look: Callable[..., Report]) -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float[20,10] x, int64[2] starts, int64[2] ends, int64[2] axes) => (float[a,b] y) {
      [cut] y = Slice(x, starts, ends, axes) }"""
    report = look(text)
    assert {check.name: check.status for check in report.checks}["tensorrt-builder"] == "skip"
    found = next(f for f in report.findings if f.node == "cut")
    assert (found.code, found.severity) == ("SG839", "warning")
    assert report.exit_code == 0


def test_without_tensorrt_the_table_stands_in_and_says_so(
    look: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "available", lambda: False)
    report = look(CUSTOM)
    assert {(f.node, f.code) for f in errors(report)} == {("foo", "SG820"), ("det", "SG129")}
    assert report.exit_code == 1
    skipped = {check.name: check.message for check in report.checks if check.status == "skip"}
    assert set(skipped) == {"tensorrt-parser", "tensorrt-builder"}
    assert "pip install" in skipped["tensorrt-parser"]


def test_without_tensorrt_bodies_are_searched_too(look: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda: False)
    found = {(f.path, f.node) for f in errors(look(BRANCH))}
    assert ("choice/else_branch", "shift") in found


def catalog_rows() -> list[Feature]:
    return list(load_catalog().values())


@needs_tensorrt
@pytest.mark.parametrize("row", catalog_rows(), ids=lambda row: row.key)
def test_every_catalog_row_is_diagnosed(row: Feature, look: Callable[..., Report]) -> None:
    """Right node (the catalog's operator, or the whole model), right reason, right advice, right code, and no other."""
    profiles = {
        name: [value if isinstance(value, list) else [value]] * 3 for name, value in row.profile.items()
    } or None
    report = look(row.model(), profiles=profiles, seconds=60.0)
    found = errors(report) or [f for f in report.findings if f.code == code_of(row)]
    assert found
    assert {(f.why, f.code) for f in found} == {(row.reason, code_of(row))}
    if row.key != "profile":
        assert {f.advice for f in found} == {row.advice}
        assert row.op in {f.op for f in found} or not any(f.op for f in found)
        assert report.exit_code == 1
        assert all(f.details["rtx_only"] == row.rtx_only for f in found)


def test_every_code_explains_itself() -> None:
    for code, text in rule_texts().items():
        assert text.code == code
        assert text.title
        assert text.sections
    assert all(code_of(row) in rule_texts() for row in catalog_rows())


def test_codes_toml_and_messages_lead_to_known_places() -> None:
    from surgery.diagnose.rules.reasons import _entries

    for entry in _entries():
        assert entry.get("code", "SG800") in report_codes()
        assert entry.get("feature", "nonzero") in load_catalog()
        assert ("code" in entry) != ("feature" in entry)


@pytest.mark.parametrize(
    ("message", "op", "domain", "stage", "code"),
    [
        ("false", "ImageDecoder", "", "parser", "SG821"),
        ("false", "SoftmaxCrossEntropyLoss", "", "parser", "SG101"),
        ("false", "Frobnicate", "my.domain", "parser", "SG820"),
        ("creator && Plugin not found", "TreeEnsemble", "ai.onnx.ml", "parser", "SG825"),
        ("creator && Plugin not found", "Adam", "ai.onnx.preview.training", "parser", "SG826"),
        ("false", "BitwiseNot", "", "parser", "SG111"),
        ("words nobody has heard", "Relu", "", "parser", "SG800"),
        ("words nobody has heard", "Relu", "", "builder", "SG890"),
        ("TensorRT's process ended with code -11", "", "", "builder", "SG891"),
    ],
)
def test_explain(message: str, op: str, domain: str, stage: str, code: str) -> None:
    assert explain(message, op, domain, stage).code == code  # type: ignore[arg-type]


def test_source_line_and_module_of_the_current_exporter() -> None:
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"], name="node_linear")
    trace = (
        'File "/usr/lib/python3/site-packages/torch/nn/modules/linear.py", line 134, in forward\n    return F.linear\n'
        'File "/home/me/net.py", line 12, in forward\n    return self.head(x)\n'
        'File "/usr/lib/python3/site-packages/torch/nn/modules/module.py", line 1786, in _call_impl\n'
    )
    entries = {
        "pkg.torch.onnx.stack_trace": trace,
        "pkg.torch.onnx.name_scopes": "['', 'decoder', 'decoder.head', 'linear']",
        "pkg.torch.onnx.class_hierarchy": "['net.Net', 'net.Decoder', 'torch.nn.modules.linear.Linear', 'aten.linear']",
    }
    for key, value in entries.items():
        node.metadata_props.add(key=key, value=value)
    assert source_of(node) == "/home/me/net.py:12 in forward, module decoder.head (Linear)"


def test_module_of_the_old_exporter_is_its_node_name() -> None:
    node = onnx.helper.make_node("Add", ["a", "b"], ["c"], name="/trunk/blocks.0/norm1/Add_1")
    assert source_of(node) == "module trunk.blocks.0.norm1"
    assert source_of(onnx.helper.make_node("Add", ["a", "b"], ["c"], name="Add_1")) == ""


def test_a_file_that_is_no_model_is_an_error_of_use(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(SurgeonError, match="not an ONNX model"):
        diagnose(tmp_path / "text.onnx")
