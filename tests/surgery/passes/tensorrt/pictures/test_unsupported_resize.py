"""SG121: Resize with settings the target does not take, at static sizes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, operators, parse, same, stays

CODE = "SG121"
REWRITES = [
    Case(
        "antialiased",
        """g (float[1,1,4,6] x) => (float[1,1,2,3] y) <float[4] s = {1, 1, 0.5, 0.5}> {
          y = Resize<mode = "linear", antialias = 1>(x, , s)
        }""",
        after="""g (float[1,1,4,6] x) => (float[1,1,2,3] y)
        <float[4,2] t0 = {0.5, 0, 0.375, 0.125, 0.125, 0.375, 0, 0.5}, float[6,3] t1 = {0.5, 0, 0, 0.375, 0.125, 0,
        0.125, 0.375, 0, 0, 0.375, 0.125, 0, 0.125, 0.375, 0, 0, 0.5}> {
          t2 = Transpose<perm = [0, 1, 3, 2]>(x)
          t3 = MatMul(t2, t0)
          t4 = Transpose<perm = [0, 1, 3, 2]>(t3)
          y = MatMul(t4, t1)
        }""",
        opset=18,
        gone=("Resize",),
    ),
    Case(
        "half pixel symmetric",
        """g (float[1,1,4,5] x) => (float[1,1,2,4] y) <float[4] s = {1, 1, 0.6, 0.8}> {
          y = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel_symmetric">(x, , s)
        }""",
        after="""g (float[1,1,4,5] x) => (float[1,1,2,4] y)
        <float[4,2] t0 = {0.3333333, 0, 0.6666667, 0, 0, 0.6666667, 0, 0.3333333}, float[5,4] t1 = {0.875, 0, 0, 0,
        0.12500003, 0.625, 0, 0, 0, 0.375, 0.375, 0, 0, 0, 0.625, 0.12500003, 0, 0, 0, 0.875}> {
          t2 = Transpose<perm = [0, 1, 3, 2]>(x)
          t3 = MatMul(t2, t0)
          t4 = Transpose<perm = [0, 1, 3, 2]>(t3)
          y = MatMul(t4, t1)
        }""",
        opset=19,
        gone=("Resize",),
    ),
    Case(
        "keeps the aspect ratio",
        """g (float[1,1,2,4] x) => (float[1,1,a,b] y) <int64[2] s = {4, 9}> {
          y = Resize<mode = "nearest", axes = [2, 3], keep_aspect_ratio_policy = "not_larger">(x, , , s)
        }""",
        after="""g (float[1,1,2,4] x) => (float[1,1,a,b] y)
        <int64[4] t0 = {0, 0, 1, 1}, int64[8] t1 = {0, 0, 1, 1, 2, 2, 3, 3}> {
          t2 = Gather<axis = 2>(x, t0)
          y = Gather<axis = 3>(t2, t1)
        }""",
        opset=18,
        gone=("Resize",),
    ),
    Case(
        "integers",
        """g (int32[1,1,2,2] x) => (int32[1,1,4,4] y) <float[4] s = {1, 1, 2, 2}> {
          y = Resize<mode = "nearest">(x, , s)
        }""",
        after="""g (int32[1,1,2,2] x) => (int32[1,1,4,4] y) <int64[4] t0 = {0, 0, 1, 1}, int64[4] t1 = {0, 0, 1, 1}> {
          t2 = Gather<axis = 2>(x, t0)
          y = Gather<axis = 3>(t2, t1)
        }""",
        gone=("Resize",),
    ),
]
LEFT_ALONE = [
    Case(
        "the target resizes like that",
        """g (float[1,1,2,2] x) => (float[1,1,4,4] y) <float[4] s = {1, 1, 2, 2}> {
          y = Resize<mode = "linear">(x, , s)
        }""",
    ),
    Case(
        "the scales are not constant",
        """g (float[1,1,4,4] x, float[4] s) => (float[a,b,c,d] y) {
          y = Resize<mode = "linear", antialias = 1>(x, , s)
        }""",
        opset=18,
    ),
    Case(
        "runtimes disagree on one antialiased pixel",
        """g (float[1,1,1,4] x) => (float[1,1,1,1] y) <int64[4] s = {1, 1, 1, 1}> {
          y = Resize<mode = "linear", antialias = 1, coordinate_transformation_mode = "pytorch_half_pixel">(x, , , s)
        }""",
        opset=19,
    ),
]

COPIED = """g (float[batch, 2, 6, 8] x) => (float[batch, 2, 3, h] y) <int64[2] wanted = {3, 5}> {
  kept = Shape <start = 0, end = 2> (x)
  sizes = Concat <axis = 0> (kept, wanted)
  y = Resize <mode = "linear", antialias = 1> (x, , , sizes)
}"""
BY_SCALE = """g (float[batch, 2, 6, 8] x) => (float[b, 2, 3, 4] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
  y = Resize <mode = "linear", antialias = 1> (x, , scales)
}"""
OTHER_DIM = """g (float[batch, 2, 6, 8] x, float[other] z) => (float[o, 2, 3, 5] y) <int64[3] wanted = {2, 3, 5}> {
  count = Shape(z)
  sizes = Concat <axis = 0> (count, wanted)
  y = Resize <mode = "linear", antialias = 1> (x, , , sizes)
}"""
FREE_SIDE = """g (float[batch, 2, 6, w] x) => (float[b, 2, 3, v] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
  y = Resize <mode = "linear", antialias = 1> (x, , scales)
}"""


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("text", [COPIED, BY_SCALE])
def test_resize_with_a_free_batch(text: str) -> None:
    before = parse(text, 18)
    fixed, _ = surgery.fix_model(before)
    assert "Resize" not in [node.op_type for node in fixed.graph.node]
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 8)).astype(np.float32)
    wanted, got = (ReferenceEvaluator(model).run(None, {"x": x})[0] for model in (before, fixed))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", [OTHER_DIM, FREE_SIDE], ids=["a size from elsewhere", "a free side that changes"])
def test_resize_of_an_unknown_size_is_left_alone(text: str) -> None:
    fixed, _ = surgery.fix_model(parse(text, 18))
    assert "Resize" in [node.op_type for node in fixed.graph.node]


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_sizes_that_keep_the_aspect_ratio_are_rounded_half_up(policy: str) -> None:
    text = f"""g (float[1,1,6,3] x) => (float[a,b,c,d] y) <int64[2] s = {{5,5}}>
    {{ y = Resize<axes = [2, 3], keep_aspect_ratio_policy = "{policy}", mode = "linear">(x, "", "", s) }}"""
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 3)).astype(np.float32)
    fixed = same(text, 18, "SG121", [{"x": x}])
    assert "Resize" not in operators(fixed)


def test_settings_that_runtimes_read_differently_stay() -> None:
    text = """g (float[1,1,5,6] x) => (float[a,b,c,d] y) <int64[2] s = {6,9}>
    { y = Resize<axes = [2, 3], keep_aspect_ratio_policy = "not_smaller", mode = "linear",
                 coordinate_transformation_mode = "align_corners">(x, "", "", s) }"""
    fixed, _ = surgery.fix_model(parse(text, 18), guard=False)
    assert "Resize" in operators(fixed)


def test_interpolated_integers_are_computed_in_floating_point() -> None:
    text = """g (uint8[1,3,4,4] x) => (float[1,3,8,8] y) <float[4] s = {1,1,2,2}>
    { z = Resize<mode = "linear">(x, "", s)  y = Cast<to = 1>(z) }"""
    x = np.random.default_rng(0).integers(0, 255, (1, 3, 4, 4)).astype(np.uint8)
    same(text, 18, "SG103", [{"x": x}], exact=True)
