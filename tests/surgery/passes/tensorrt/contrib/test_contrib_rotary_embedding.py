"""SG178: RotaryEmbedding of com.microsoft."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, stays
from tests.surgery.passes.contrib import accepted, contrib, keeps_plain

CODE = "SG178"
REWRITES = [
    contrib(
        "halves",
        """g (float[B,S,8] x, int64[B,S] p, float[9, 2] c, float[9, 2] s) => (float[B,S,8] y) { y =
          com.microsoft.RotaryEmbedding(x, p, c, s) }""",
        p=[[0, 1, 4], [0, 1, 4], [0, 1, 4]],
    ),
    contrib(
        "even and odd",
        """g (float[B,S,8] x, int64[B,S] p, float[9, 2] c, float[9, 2] s) => (float[B,S,8] y) { y =
          com.microsoft.RotaryEmbedding<interleaved = 1>(x, p, c, s) }""",
        p=[[0, 1, 4], [0, 1, 4], [0, 1, 4]],
    ),
    contrib(
        "the first place only",
        """g (float[B,S,8] x, int64[1] p, float[9, 2] c, float[9, 2] s) => (float[B,S,8] y) { y =
          com.microsoft.RotaryEmbedding(x, p, c, s) }""",
        p=[2],
    ),
    contrib(
        "a part of each head",
        """g (float[B,S,12] x, int64[B,S] p, float[9, 2] c, float[9, 2] s) => (float[B,S,12] y) { y =
          com.microsoft.RotaryEmbedding<num_heads = 2, rotary_embedding_dim = 4>(x, p, c, s) }""",
        p=[[0, 1, 4], [0, 1, 4], [0, 1, 4]],
    ),
    contrib(
        "by heads",
        """g (float[B,2,S,4] x, int64[B,S] p, float[9, 2] c, float[9, 2] s) => (float[B,2,S,4] y) { y =
          com.microsoft.RotaryEmbedding(x, p, c, s) }""",
        p=[[0, 1, 4], [0, 1, 4], [0, 1, 4]],
    ),
]
LEFT_ALONE = [
    contrib(
        "packed batches",
        """g (float[2, 3, 8] x, int64[2, 3] p, float[9, 2] c, float[9, 2] s) => (float[2, 3, 8] y) { y =
          com.microsoft.RotaryEmbedding<is_packed_batching = 1>(x, p, c, s) }""",
    ),
    contrib(
        "tables of unknown width",
        """g (float[2, 3, 8] x, int64[2, 3] p, float[9,R] c, float[9,R] s) => (float[2, 3, 8] y) { y =
          com.microsoft.RotaryEmbedding(x, p, c, s) }""",
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
