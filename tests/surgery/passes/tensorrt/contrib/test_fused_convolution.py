"""SG173: convolutions of com.microsoft with a fused activation or channels last."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, drawn, parse, run, stays
from tests.surgery.passes.contrib import accepted, builds, contrib, keeps_plain, near, written

CODE = "SG173"
REWRITES = [
    contrib(
        "relu",
        """g (float[B,2, 5, 5] x, float[3, 2, 3, 3] w, float[3] b) => (float[B,3, 5, 5] y) { y =
          com.microsoft.FusedConv<activation = "Relu", pads = [1, 1, 1, 1]>(x, w, b) }""",
    ),
    contrib(
        "sum and clip",
        """g (float[1, 2, 5, 5] x, float[2, 2, 3, 3] w, float[2] b, float[1, 2, 5, 5] z) => (float[1, 2, 5, 5]
          y) { y = com.microsoft.FusedConv<activation = "Clip", activation_params = [0.0, 0.5], pads = [1, 1,
          1, 1]>(x, w, b, z) }""",
    ),
    contrib(
        "leaky",
        """g (float[1, 2, 5, 5] x, float[4, 1, 3, 3] w) => (float[1, 4, 2, 2] y) { y =
          com.microsoft.FusedConv<activation = "LeakyRelu", activation_params = [0.1], group = 2, strides =
          [2, 2]>(x, w) }""",
    ),
    contrib(
        "hard sigmoid",
        """g (float[1, 2, 5, 5] x, float[4, 2, 3, 3] w) => (float[1, 4, 3, 3] y) { y =
          com.microsoft.FusedConv<activation = "HardSigmoid", activation_params = [0.1, 0.4]>(x, w) }""",
    ),
]
LEFT_ALONE = [
    contrib(
        "an unknown activation",
        """g (float[1, 2, 5, 5] x, float[4, 2, 3, 3] w) => (float[1, 4, 3, 3] y) { y =
          com.microsoft.FusedConv<activation = "Mish">(x, w) }""",
    ),
    contrib(
        "another number of parameters",
        """g (float[1, 2, 5, 5] x, float[4, 2, 3, 3] w) => (float[1, 4, 3, 3] y) { y =
          com.microsoft.FusedConv<activation = "Clip", activation_params = [0.0]>(x, w) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_plain(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("operator", ["NhwcConv", "NhwcFusedConv"])
def test_channels_last_are_put_in_front_of_the_picture(operator: str) -> None:
    """onnxruntime has no kernel for float32 on a processor: the same is written with Transpose by hand."""
    constants = "float[2,3,2,2] w = {" + ", ".join(map(str, range(-12, 12))) + "}, float[2] b = {1, -2}"
    head = f"g (float[N,5,5,3] x) => (float[N,H,W,2] y) <{constants}>"
    text = f'{head} {{ y = com.microsoft.{operator}<pads = [1,0,1,0], activation = "Relu">(x, w, b) }}'
    by_hand = f"""{head} {{ t = Transpose<perm = [0,3,1,2]>(x) c = Conv<pads = [1,0,1,0]>(t, w, b) r = Relu(c)
      y = Transpose<perm = [0,2,3,1]>(r) }}"""
    case = contrib(operator, text)
    fixed = written(parse(case.text, case.opset), CODE)
    plain = parse(by_hand, 17)
    feeds = drawn(plain, {})
    near(run(plain, feeds), run(fixed, feeds), atol=1e-5, rtol=1e-5)
    builds(fixed, {})
