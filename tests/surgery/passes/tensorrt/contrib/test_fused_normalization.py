"""SG165: SkipLayerNormalization and its relatives of onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import CONTRIB, Case, becomes, keeps_values, parse, run, stays

CODE = "SG165"
SCALES = "<float[4] g = {1, -2, 0.5, 3}, float[4] b = {0, 1, -1, 0.25}, float[4] k = {0.5, 0, 2, -1}>"
EMBEDDINGS = """<float[5,2] w = {1, 2, 3, -4, 5, 6, -7, 8, 9, 10}, float[4,2] p = {0.5, 1, -2, 3, 0.25, 2, 4, -1},
  float[2,2] t = {1, 0, -2, 0.5}, float[2] g = {1, -2}, float[2] b = {0.5, 3}>"""
IDS = {"ids": [[0, 4, 2], [1, 1, 3]], "kinds": [[0, 1, 1], [1, 0, 0]], "mask": [[1, 1, 0], [1, 0, 0]]}
REWRITES = [
    Case(
        "a sum that is read too",
        CONTRIB + f"""g (float[n,3,4] x, float[n,3,4] s) => (float[n,3,4] y, float[n,3,4] z) {SCALES} {{
          y, , , z = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(x, s, g, b, k)
        }}""",
        after=f"""g (float[n,3,4] x, float[n,3,4] s) => (float[n,3,4] y, float[n,3,4] z) {SCALES} {{
          a = Add(x, s)  z = Add(a, k)  y = LayerNormalization<axis = -1, epsilon = 0.001>(z, g, b)
        }}""",
    ),
    Case(
        "one skip for every batch, without bias",
        CONTRIB + f"""g (float[2,3,4] x, float[1,3,4] s) => (float[2,3,4] y) {SCALES} {{
          y = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(x, s, g)
        }}""",
    ),
    Case(
        "root of the mean square",
        CONTRIB + f"""g (float[n,3,4] x, float[n,3,4] s) => (float[n,3,4] y, float[n,3,4] z) {SCALES} {{
          y, , , z = com.microsoft.SkipSimplifiedLayerNormalization<epsilon = 0.001>(x, s, g, k)
        }}""",
    ),
    Case(
        "root of the mean square in the domain of ONNX",
        CONTRIB + f"g (float[n,4] x) => (float[n,4] y) {SCALES} {{ y = SimplifiedLayerNormalization<axis = 1>(x, g) }}",
    ),
    Case(
        "embeddings with a mask",
        CONTRIB + f"""g (int32[2,3] ids, int32[2,3] kinds, int32[2,3] mask)
        => (float[2,3,2] y, int32[2] m, float[2,3,2] z) {EMBEDDINGS} {{
          y, m, z = com.microsoft.EmbedLayerNormalization<epsilon = 0.01>(ids, kinds, w, p, t, g, b, mask)
        }}""",
        inputs=IDS,
    ),
    Case(
        "embeddings without segments, at given positions",
        CONTRIB + f"""g (int32[2,3] ids, int32[2,3] places) => (float[2,3,2] y, int32[2] m) {EMBEDDINGS} {{
          y, m = com.microsoft.EmbedLayerNormalization<epsilon = 0.01>(ids, , w, p, , g, b, , places)
        }}""",
        inputs={"ids": IDS["ids"], "places": [[3, 1, 0], [0, 0, 2]]},
    ),
]  # fmt: skip
LEFT_ALONE = [
    Case(
        "the mean is read",
        CONTRIB + f"""g (float[2,3,4] x, float[2,3,4] s) => (float[2,3,4] y, float[2,3,1] m) {SCALES} {{
          y, m = com.microsoft.SkipLayerNormalization(x, s, g, b, k)
        }}""",
    ),
    Case(
        "more than the last dim",
        CONTRIB + f"g (float[2,4] x) => (float[2,4] y) {SCALES} {{ y = SimplifiedLayerNormalization<axis = 0>(x, g) }}",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    (becomes if case.after else keeps_values)(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_an_early_opset_is_raised() -> None:
    text = (
        CONTRIB.replace("17", "14")
        + f"""g (float[2,3,4] x, float[2,3,4] s) => (float[2,3,4] y) {SCALES} {{
      y = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(x, s, g, b)
    }}"""
    )
    model = parse(text, 14)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert [node.op_type for node in fixed.graph.node] == ["Add", "LayerNormalization"]
    feeds = {name: np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32) for name in "xs"}
    np.testing.assert_allclose(run(fixed, feeds)[0], run(model, feeds)[0], rtol=1e-5, atol=1e-5)


def test_an_early_opset_is_raised_beside_shapes() -> None:
    """Shape has more attributes since opset 15; without them it means the same."""
    text = (
        CONTRIB.replace("17", "14")
        + f"""g (float[n,3,4] x, float[n,3,4] s) => (float[n,3,4] y, int64[3] d) {SCALES} {{
      y = com.microsoft.SkipLayerNormalization(x, s, g, b)  d = Shape(x)
    }}"""
    )
    fixed, _ = surgery.fix_model(parse(text, 14), guard=False)
    assert {node.op_type for node in fixed.graph.node} == {"Add", "LayerNormalization", "Shape"}


def test_squares_beyond_half_precision() -> None:
    """15360 are the bits of 1.0."""
    text = (
        CONTRIB
        + """g (float16[1,2] x) => (float16[1,2] y) <float16[2] g = {15360, 15360}> {
      y = SimplifiedLayerNormalization(x, g)
    }"""
    )
    fixed, _ = surgery.fix_model(parse(text, 17), guard=False)
    got = run(fixed, {"x": np.array([[3000, 4000]], np.float16)})[0]
    np.testing.assert_allclose(got, np.array([[0.8486, 1.1314]]), rtol=2e-3)
