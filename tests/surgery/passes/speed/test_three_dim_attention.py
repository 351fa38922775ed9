"""SG201: a dim for the head where half-precision attention has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from surgery.passes.speed.three_dim_attention import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, equal_values, parse
from tests.surgery.passes.structure import structure
from verify.tensorrt import engine
from verify.tensorrt.compile import compile_model

CODE = "SG201"
REWRITES = [
    Case(
        "values straight from a product",
        """g (float16[1,3,4] x, float16[4,4] wq, float16[4,4] wk, float16[4,4] wv) => (float16[1,3,4] y) {
          q = MatMul(x, wq)
          k = MatMul(x, wk)
          v = MatMul(x, wv)
          kt = Transpose<perm = [0, 2, 1]>(k)
          s = MatMul(q, kt)
          p = Softmax<axis = -1>(s)
          y = MatMul(p, v)
        }""",
        after="""g (float16[1,3,4] x, float16[4,4] wq, float16[4,4] wk, float16[4,4] wv) => (float16[1,3,4] y)
        <int64[1] t0 = {2}, int64[1] t1 = {2}, int64[1] t2 = {2}, int64[1] t3 = {2}> {
          q = MatMul(x, wq)
          k = MatMul(x, wk)
          v = MatMul(x, wv)
          t4 = Unsqueeze(q, t0)
          t5 = Unsqueeze(k, t1)
          t6 = Unsqueeze(v, t2)
          t7 = Transpose<perm = [0, 2, 1, 3]>(t4)
          t8 = Transpose<perm = [0, 2, 1, 3]>(t6)
          t9 = Transpose<perm = [0, 2, 3, 1]>(t5)
          t10 = MatMul(t7, t9)
          t11 = Softmax<axis = -1>(t10)
          t12 = MatMul(t11, t8)
          t13 = Transpose<perm = [0, 2, 1, 3]>(t12)
          y = Squeeze(t13, t3)
        }""",
    ),
]
needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")


def model(dtype: str = "float16", value: str = "MatMul(x, wv)", size: int = 8, width: int = 4) -> onnx.ModelProto:
    weights = ", ".join(f"{dtype}[{width},{width}] {name}" for name in ("wq", "wk", "wv"))
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> a ({dtype}[1,{size},{width}] x, {weights}) => '
        f"({dtype}[1,{size},{width}] y) {{ q = MatMul(x, wq)  k = MatMul(x, wk)  v = {value} "
        "kt = Transpose<perm=[0,2,1]>(k)  s = MatMul(q, kt)  p = Softmax<axis=-1>(s)  y = MatMul(p, v) }"
    )


def fixed(source: onnx.ModelProto, **options: str) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options(**options)).model


def test_values_stay_and_a_second_run_finds_nothing() -> None:
    source = model()
    result = fixed(source)
    assert [node.op_type for node in result.graph.node].count("Unsqueeze") == 3
    equal_values(source, result)
    assert fixed(result) is result
    assert [node.op_type for node in result.graph.node].count("Softmax") == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model("float"), "float32 attention is never fused"),
        (model(value="Relu(x)"), "a value that something else makes fuses as it is"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why


def test_left_alone_for_onnxruntime() -> None:
    source = model()
    assert fixed(source, target="onnxruntime") is source


@needs_tensorrt
def test_the_builder_fuses_it_only_afterwards(tmp_path: Path) -> None:
    source = model(size=4096, width=256)
    fill = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float16)
    for value in list(source.graph.input)[1:]:
        source.graph.initializer.append(onnx.numpy_helper.from_array(fill, value.name))
        source.graph.input.remove(value)
    fused = []
    for name, each in (("before", source), ("after", fixed(source))):
        onnx.save(each, tmp_path / f"{name}.onnx")
        fused.append(compile_model(tmp_path / f"{name}.onnx").fused)
    assert fused == [0, 1]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    """Values are compared by ONNX's definition: onnxruntime sums float16 in another order for four dims."""
    source = parse(case.text, case.opset)
    result = fixed(source)
    assert structure(result) == structure(parse(case.after, case.opset))
    equal_values(source, result)
