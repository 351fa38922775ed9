"""SG204: values narrower than keys."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from surgery.passes.speed.narrow_attention_values import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, equal_values
from verify.tensorrt import engine
from verify.tensorrt.compile import compile_model

CODE = "SG204"
REWRITES = [
    Case(
        "values narrower than keys",
        """g (float16[1,2,3,4] q, float16[1,2,4,3] k, float16[1,2,3,2] v) => (float16[1,2,3,2] y) {
          s = MatMul(q, k)
          p = Softmax<axis = -1>(s)
          y = MatMul(p, v)
        }""",
        after="""g (float16[1,2,3,4] q, float16[1,2,4,3] k, float16[1,2,3,2] v) => (float16[1,2,3,2] y)
        <float16[1,2,3,2] t0 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, int64[1] t1 = {0}, int64[1] t2 = {2}, int64[1]
        t3 = {3}> {
          s = MatMul(q, k)
          p = Softmax<axis = -1>(s)
          t4 = Concat<axis = 3>(v, t0)
          t5 = MatMul(p, t4)
          y = Slice(t5, t1, t2, t3)
        }""",
    ),
]
needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")


def model(dtype: str = "float16", value: int = 16) -> onnx.ModelProto:
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> a ({dtype}[1,2,64,32] q, {dtype}[1,2,32,64] k, '
        f"{dtype}[1,2,64,{value}] v) => ({dtype}[1,2,64,{value}] y) "
        "{ s = MatMul(q, k)  p = Softmax<axis=-1>(s)  y = MatMul(p, v) }"
    )


def fixed(source: onnx.ModelProto, **options: str) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options(select=("SG204",), **options)).model


def test_values_stay_bit_for_bit() -> None:
    source = model()
    result = fixed(source)
    equal_values(source, result)
    assert fixed(result) is result


def test_left_alone() -> None:
    for source in (model("float"), model(value=32)):
        assert fixed(source) is source
    assert apply_passes(source := model(), "", [PASS], Options()).model is source, "only when selected"


@needs_tensorrt
def test_the_builder_fuses_it_only_afterwards(tmp_path: Path) -> None:
    fused = []
    for name, each in (("before", model()), ("after", fixed(model()))):
        onnx.save(each, tmp_path / f"{name}.onnx")
        fused.append(compile_model(tmp_path / f"{name}.onnx").fused)
    assert fused == [0, 1]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
