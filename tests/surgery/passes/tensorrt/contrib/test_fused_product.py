"""SG164: FusedMatMul, TransposeMatMul and FusedGemm of onnxruntime."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import CONTRIB, Case, becomes, keeps_values, stays

CODE = "SG164"


def product(shapes: str, attributes: str, out: str, op: str = "FusedMatMul") -> str:
    return CONTRIB + f"g ({shapes}) => (float{out} y) {{ y = com.microsoft.{op}<{attributes}>(a, b) }}"


REWRITES = [
    Case(
        "scaled and turned",
        product("float[2,3,4] a, float[5,4] b", "alpha = 0.5, transB = 1", "[2,3,5]"),
        after="""g (float[2,3,4] a, float[5,4] b) => (float[2,3,5] y) <float s = {0.5}> {
          t = Transpose<perm = [1, 0]>(b)  p = MatMul(a, t)  y = Mul(p, s)
        }""",
    ),
    Case(
        "nothing to turn",
        product("float[2,3] a, float[3,4] b", "transA = 0", "[2,4]"),
        after="g (float[2,3] a, float[3,4] b) => (float[2,4] y) { y = MatMul(a, b) }",
    ),
    Case("both turned", product("float[2,4,3] a, float[2,5,4] b", "transA = 1, transB = 1", "[2,3,5]")),
    Case("turned at the front", product("float[3,2,4] a, float[2,4,5] b", "transBatchA = 1", "[2,3,5]")),
    Case(
        "turned at the front and at the back",
        product("float[3,2,7,4] a, float[4,2,7,5] b", "transBatchA = 1, transBatchB = 1", "[2,7,3,5]"),
    ),
    Case(
        "turned at the front, then at the back",
        product(
            "float[4,2,7,3] a, float[5,2,7,4] b",
            "transBatchA = 1, transA = 1, transBatchB = 1, transB = 1",
            "[2,7,3,5]",
        ),
    ),
    Case("the old name", product("float[4,3] a, float[4,5] b", "transA = 1", "[3,5]", "TransposeMatMul")),
    Case(
        "a general product with Relu",
        CONTRIB + """g (float[2,3] a, float[4,3] b, float[4] c) => (float[2,4] y) {
          y = com.microsoft.FusedGemm<activation = "Relu", alpha = 0.5, beta = -2.0, transB = 1>(a, b, c)
        }""",
        after="""g (float[2,3] a, float[4,3] b, float[4] c) => (float[2,4] y) {
          p = Gemm<alpha = 0.5, beta = -2.0, transB = 1>(a, b, c)  y = Relu(p)
        }""",
    ),
    Case(
        "a leaky one without a third term",
        CONTRIB + """g (float[2,3] a, float[3,4] b) => (float[2,4] y) {
          y = com.microsoft.FusedGemm<activation = "LeakyRelu", activation_alpha = 0.25, alpha = -1.0>(a, b)
        }""",
    ),
]  # fmt: skip
LEFT_ALONE = [
    Case(
        "an activation that ONNX does not have",
        CONTRIB + """g (float[2,3] a, float[3,4] b) => (float[2,4] y) {
          y = com.microsoft.FusedGemm<activation = "ScaledTanh">(a, b)
        }""",
    ),
    Case(
        "rank unknown",
        CONTRIB + """g (float x, float[2,3] b) => (y) {
          a = other.Made(x)  y = com.microsoft.FusedMatMul<transA = 1>(a, b)
        }""",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    (becomes if case.after else keeps_values)(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
