"""Short forms have the shapes and the size of what they stand for, and a wrong node behind them is still found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import surgery
from surgery import steps
from surgery.guard import prove, short_forms
from surgery.guard.changed_nodes import constants
from surgery.passes import all_passes
from tests.surgery.guard.test_guard import liar
from tests.surgery.guard.test_partial_run import parity
from verify.run.session import open_session

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g'
RNG = np.random.default_rng(7)
X = RNG.standard_normal((3, 5, 64)).astype(np.float32)
PICTURE = RNG.standard_normal((2, 64, 9, 8)).astype(np.float32)

PRODUCTS = {
    "weights": ("float[b, 5, 64] x", "float[b, 5, 7] y", "y = MatMul(x, w)", X, (64, 7)),
    "weights first": ("float[b, 64, 5] x", "float[b, 7, 5] y", "y = MatMul(w, x)", X.transpose(0, 2, 1), (7, 64)),
    "no weights": (
        "float[b, s, 64] x",
        "float[b, s, s] y",
        "s = Sin(x) t = Transpose<perm=[0,2,1]>(s) y = MatMul(x, t)",
        X,
        None,
    ),
    "as many terms as the batch": (
        "float[b, s, 64] x",
        "float[64, 64] y",
        "k = Constant<value = int64[2] {-1, 64}>() r = Reshape(x, k) t = Transpose(r) y = MatMul(t, r)",
        X,
        None,
    ),
    "Gemm": ("float[n, 64] x", "float[n, 7] y", "y = Gemm<alpha=0.5>(x, w)", X[0], (64, 7)),
    "transposed Gemm": ("float[64, n] x", "float[n, 7] y", "y = Gemm<transA=1, transB=1>(x, w)", X[0].T, (7, 64)),
    "Conv": ("float[n, 64, h, v] x", "float[n, 6, p, q] y", "y = Conv<strides=[2, 1]>(x, w)", PICTURE, (6, 64, 3, 3)),
}


def model_of(inputs: str, outputs: str, nodes: str, weights: tuple[int, ...] | None = None) -> onnx.ModelProto:
    model = parser.parse_model(f"{HEAD} ({inputs}) => ({outputs}) {{ {nodes} }}")
    if weights:
        values = RNG.standard_normal(weights).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, "w"))
    return model


def forms_of(model: onnx.ModelProto, kept: Any = "y") -> dict[str, list[onnx.NodeProto]]:
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        for tensor in (value.type.tensor_type,)
        if tensor.elem_type == onnx.TensorProto.FLOAT
    }
    nodes = [node for node in model.graph.node if node.output[0] in shapes]
    return short_forms.short_forms(nodes, kept, constants(model.graph), shapes, "own: ")


def before_and_after(model: onnx.ModelProto, x: Any) -> tuple[Any, Any]:
    """What the model gives, and what it gives with its short forms."""
    forms = forms_of(model)
    assert forms
    short = onnx.ModelProto()
    short.CopyFrom(model)
    del short.graph.node[:]
    for node in model.graph.node:
        short.graph.node.extend(forms.get(node.output[0], [node]))
    runs = [open_session(one, backend="onnxruntime").run({"x": np.ascontiguousarray(x)}) for one in (model, short)]
    assert not any(run.error for run in runs), [run.error for run in runs]
    return tuple(run.outputs["y"] for run in runs)


@pytest.fixture
def all_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_forms, "WORTH_IT", 0)


@pytest.mark.usefixtures("all_worth_it")
@pytest.mark.parametrize("case", PRODUCTS)
def test_a_short_product_is_like_the_whole_one(case: str) -> None:
    inputs, outputs, nodes, x, weights = PRODUCTS[case]
    whole, short = before_and_after(model_of(inputs, outputs, nodes, weights), x)
    assert whole.shape == short.shape
    assert np.unique(short).size > short.size / 3, "values repeat"
    assert 0.3 < np.sqrt(np.mean(short**2) / np.mean(whole**2)) < 3


@pytest.mark.usefixtures("all_worth_it")
@pytest.mark.parametrize("terms", [1, 2, 4])
def test_a_product_of_few_terms_keeps_them(terms: int) -> None:
    nodes = "k = Constant<value = int64[1] {3}>() y = MatMul(x, w)"
    model = model_of(f"float[b, 1, 5, {terms}] x", "float[b, 3, 5, 2] y", nodes, (3, terms, 2))
    whole, short = before_and_after(model, RNG.standard_normal((2, 1, 5, terms)).astype(np.float32))
    np.testing.assert_allclose(short, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("all_worth_it")
@pytest.mark.parametrize(
    "attributes", ["", ", cubic_coeff_a=-0.5", ', exclude_outside=1, coordinate_transformation_mode="asymmetric"']
)
def test_a_cubic_resize_becomes_linear(attributes: str) -> None:
    nodes = f's = Constant<value = float[4] {{1.0, 1.0, 2.0, 3.0}}>() y = Resize<mode="cubic"{attributes}>(x, , s)'
    whole, short = before_and_after(model_of("float[2, 64, 9, 8] x", "float[2, 64, 18, 24] y", nodes), PICTURE)
    assert whole.shape == short.shape
    assert 0 < np.abs(whole - short).max() < np.abs(whole).max()


def test_a_model_of_little_work_has_no_short_forms() -> None:
    inputs, outputs, nodes, _, weights = PRODUCTS["weights"]
    assert not forms_of(model_of(inputs, outputs, nodes, weights))
    wide = model_of("float[65536, 512] x", "float[65536, 512] y", "y = MatMul(x, w)", (512, 512))
    assert list(forms_of(wide)) == ["y"]


@pytest.mark.usefixtures("all_worth_it")
@pytest.mark.parametrize(
    "nodes",
    [
        "y = Conv<group=2>(x, w)",
        "a = Shape(x) f = Cast<to=1>(a) y = ReduceSum(f)",
        "y = MatMul(x, x)",
        "y = MatMul(v, z)",
    ],
    ids=["groups", "no product", "16 terms", "sizes that do not fit"],
)
def test_other_nodes_stay(nodes: str) -> None:
    assert not forms_of(
        model_of("float[2, 4, 16, 16] x, float[2, 256] v, float[250, 16] z", "float[n, 6, p, q] y", nodes, (6, 2, 3, 3))
    )


@pytest.mark.usefixtures("all_worth_it")
def test_a_product_that_only_one_model_has_stays() -> None:
    inputs, outputs, nodes, _, weights = PRODUCTS["weights"]
    assert not forms_of(model_of(inputs, outputs, nodes, weights), kept=())


def heavy(tmp_path: Path) -> Path:
    """A file with a long product between a redundant node and a node that a pass may change."""
    nodes = "a = Identity(x) c = MatMul(a, w) e = Abs(c) f = Identity(e) y = Sqrt(f)"
    model = model_of("float[n, 1280] x", "float[n, 1280] y", nodes, (1280, 1280))
    onnx.save(model, tmp_path / "heavy.onnx")
    assert (tmp_path / "heavy.onnx").stat().st_size > prove.WORTH_PARTIAL[0]
    return tmp_path / "heavy.onnx"


@pytest.mark.usefixtures("all_worth_it")
def test_the_report_says_how_many_nodes_ran_in_a_short_form(tmp_path: Path) -> None:
    check = parity(surgery.fix(heavy(tmp_path), tmp_path / "fixed.onnx"))
    assert check.status == "pass"
    assert "(2 nodes are unchanged, 1 of which ran in a short form)" in check.message
    onnx.checker.check_model(tmp_path / "fixed.onnx", full_check=True)
    assert [node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node] == ["MatMul", "Abs", "Sqrt"]


@pytest.mark.usefixtures("all_worth_it")
def test_given_inputs_run_through_the_whole_model(tmp_path: Path) -> None:
    given = {"x": np.ones((2, 1280), "f")}
    check = parity(surgery.fix(heavy(tmp_path), tmp_path / "fixed.onnx", check_inputs=given))
    assert (check.status, "short" in check.message) == ("pass", False)


@pytest.mark.usefixtures("all_worth_it")
def test_a_wrong_pass_behind_a_short_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar("Abs"))
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    report = surgery.fix(heavy(tmp_path), tmp_path / "fixed.onnx")
    assert any(check.message.startswith("SG999 (liar) was left out: with it output 'y'") for check in report.checks)
    assert "short" not in parity(report).message
    assert "Abs" in {node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node}
