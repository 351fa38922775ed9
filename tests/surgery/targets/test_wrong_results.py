"""What TensorRT takes and computes as something else: found, named with its source, rewritten where that is exact."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import surgery
from surgery.diagnose import Settings, diagnose
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.verdicts import verdict_of
from surgery.inspect.targets import refusals
from surgery.passes import all_passes
from surgery.pipeline.options import Options
from surgery.targets import load_target
from surgery.targets.conditions import UNKNOWN, evaluate
from surgery.targets.facts import NodeFacts
from surgery.targets.wrong_results import wrong_results
from verify.report import Finding

VERSIONS = ("10.7", "10.9", "10.14", "10.16", "11")
# key -> (opset, model, what each of VERSIONS says: "-" accepts it, "may", "does")
CASES = {
    "grid-sample-names": (
        20,
        'g (float[1,1,4,4] x, float[1,2,2,2] at) => (float[1,1,2,2] y) { y = GridSample<mode = "linear">(x, at) }',
        ("may", "may", "does", "does", "does"),
    ),
    "cumulative-sum-axes": (
        17,
        "g (float[2,3] x) => (float[2,3] a, float[2,3] b) { zero = Constant<value = int64 {0}>()"
        " one = Constant<value = int64 {1}>() a = CumSum(x, zero) b = CumSum(x, one) }",
        ("-", "may", "does", "does", "does"),
    ),
    "large-integer-modulo": (
        17,
        "g (int64[2] a, int64[2] b) => (int64[2] c) { c = Mod(a, b) }",
        ("may",) * 5,
    ),
    "half-mean": (
        17,
        "g (float16[2] a, float16[2] b) => (float16[2] m) { m = Mean(a, b) }",
        ("does",) * 5,
    ),
    "lost-nan": (
        17,
        "g (float[2] a, float[2] b) => (bool[2] n) { c = Min(a, b) n = IsNaN(c) }",
        ("may",) * 5,
    ),
    "cast-of-or": (
        17,
        "g (bool[2] a, bool[2] b) => (float[2] d) { c = Or(a, b) d = Cast<to = 1>(c) }",
        ("may",) * 5,
    ),
    "resize-of-conditional": (
        18,
        "g (bool c, float[1,n,8,4] x, float[4] s) => (float[a,b,d,e] y) {"
        " p = If(c) <then_branch = t () => (float[1,n,8,4] u) { u = Relu(x) },"
        " else_branch = f () => (float[1,n,8,4] v) { v = Neg(x) }>"
        " q = Transpose<perm = [0, 3, 1, 2]>(p) k = Constant<value = float[4] {1.0, 1.0, 2.0, 2.0}>()"
        ' y = Resize<mode = "nearest">(q, , k) }',
        ("-", "-", "-", "-", "may"),
    ),
    "attention-of-scaled-product": (
        17,
        "g (float[2,8,16] q, float[2,16,8] k, float[2,8,16] v) => (float[2,8,16] y) {"
        " d = Constant<value = float {0.25}>() p = MatMul(q, k) s = Mul(p, d) a = Softmax(s) y = MatMul(a, v) }",
        ("may", "-", "-", "-", "-"),
    ),
    "transposed-attention-input": (
        17,
        "g (float16[2,16,8] q, float16[2,16,8] k, float16[2,8,16] v) => (float16[2,8,16] y) {"
        " t = Transpose<perm = [0, 2, 1]>(q) p = MatMul(t, k) a = Softmax(p) y = MatMul(a, v) }",
        ("-", "-", "-", "-", "may"),
    ),
    "two-vector-products": (
        17,
        "g (float[1,8] x, float[8,8] w) => (float[1,8] y) { a = MatMul(x, w) y = MatMul(a, w) }",
        ("-",) * 5,
    ),
}


def saved(key: str, tmp_path: Path) -> Path:
    opset, text, _ = CASES[key]
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]> {text}')
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def found(path: Path, version: str) -> list[Finding]:
    report = diagnose(path, Settings(options=Options(target=f"tensorrt-{version}")))
    return [finding for finding in report.findings if finding.details.get("kind") == "computes something else"]


def test_every_fault_has_a_case() -> None:
    assert CASES.keys() == wrong_results().keys()


@pytest.mark.parametrize("key", CASES)
def test_each_version_says_what_it_computes(key: str, tmp_path: Path) -> None:
    path = saved(key, tmp_path)
    said = []
    for version in VERSIONS:
        words = {finding.message for finding in found(path, version) if finding.code == wrong_results()[key].code}
        label = f"TensorRT {version}"
        assert all(wrong_results()[key].says in text and text.startswith(label) for text in words)
        said.append(
            "-" if not words else "may" if all("may compute something else" in text for text in words) else "does"
        )
    assert tuple(said) == CASES[key][2]


@pytest.mark.parametrize("key", CASES)
def test_rows_are_whole(key: str) -> None:
    row = wrong_results()[key]
    assert len(row.source) > 10
    assert row.since <= row.seen
    assert rule_texts()[row.code]
    known = {name.removeprefix("fact_") for name in dir(NodeFacts) if name.startswith("fact_")}
    asked: list[str] = []
    evaluate(row.when, lambda name, _: asked.append(name) or UNKNOWN)
    assert set(asked) <= known


def test_version_in_which_it_is_mended_is_clean(tmp_path: Path) -> None:
    path = saved("two-vector-products", tmp_path)
    assert [bool(found(path, version)) for version in ("10.0", "10.1", "10.2")] == [True, True, False]


REWRITTEN = [rule.feature for rule in all_passes() if rule.feature in wrong_results()]


@pytest.mark.parametrize("key", REWRITTEN)
def test_fix_takes_the_pattern_away(key: str, tmp_path: Path) -> None:
    path = saved(key, tmp_path)
    (first, *_) = found(path, "11")
    assert first.details["fixable"]
    surgery.fix(path, tmp_path / "fixed.onnx", target="tensorrt-11")
    assert found(tmp_path / "fixed.onnx", "11") == []
    assert verdict_of(tmp_path / "fixed.onnx", load_target("tensorrt-11")).state == "accepted"


def test_verdict_and_inspection_count_the_places(tmp_path: Path) -> None:
    path = saved("half-mean", tmp_path)
    verdict = verdict_of(path, load_target("tensorrt-10.9"))
    assert verdict.state == "refused"
    assert verdict.message.startswith("computes something else at 1 place")
    assert verdict_of(saved("large-integer-modulo", tmp_path), load_target("tensorrt-10.9")).state == "unknown"
    saved("half-mean", tmp_path)
    shown = refusals(ModelView(onnx.load(path)), str(tmp_path))
    assert [found.operators for name, found in shown.items() if name == "tensorrt"] == [{"Mean": 1}]


def test_other_products_are_not_accused(tmp_path: Path) -> None:
    path = saved("half-mean", tmp_path)
    report = diagnose(path, Settings(build=False, options=Options(target="tensorrt-rtx")))
    assert not any(finding.details.get("kind") for finding in report.findings)


@pytest.mark.parametrize("op", ["BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"])
def test_bit_operations_are_rewritten_without_remainders_of_large_integers(op: str) -> None:
    inputs = "a" if op == "BitwiseNot" else "a, b"
    text = f"g (int32[3] a, int32[3] b) => (int32[3] c) {{ c = {op}({inputs}) }}"
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {text}')
    fixed, report = surgery.fix_model(model, target="tensorrt-10.9")
    assert "Mod" not in {node.op_type for node in fixed.graph.node}
    assert "SG181" not in {finding.code for finding in report.findings}
    assert {"SG111"} <= {finding.code for finding in report.findings}
