"""SG175: attention of com.microsoft."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, stays
from tests.surgery.passes.contrib import accepted, contrib, keeps_plain

CODE = "SG175"
REWRITES = [
    contrib(
        "as of BERT",
        """g (float[B,S,4] x, float[4, 12] w, float[12] b) => (float[B,S,4] y) { y =
          com.microsoft.Attention<num_heads = 2>(x, w, b) }""",
    ),
    contrib(
        "a mask of tokens",
        """g (float[B,S,4] x, float[4, 12] w, float[12] b, int32[B,S] m) => (float[B,S,4] y) { y =
          com.microsoft.Attention<num_heads = 2>(x, w, b, m) }""",
        m=[[1, 1, 0], [1, 0, 0], [1, 1, 1]],
    ),
    contrib(
        "a mask of pairs",
        """g (float[B,S,4] x, float[4, 12] w, float[12] b, int32[B,S,S] m) => (float[B,S,4] y) { y =
          com.microsoft.Attention<num_heads = 2, mask_filter_value = -100.0>(x, w, b, m) }""",
        m=[[[1, 1, 0], [1, 0, 1], [1, 1, 1]], [[1, 1, 0], [1, 0, 1], [1, 1, 1]], [[1, 1, 0], [1, 0, 1], [1, 1, 1]]],
    ),
    contrib(
        "a mask of lengths",
        """g (float[2, 3, 4] x, float[4, 12] w, float[12] b, int32[2] m) => (float[2, 3, 4] y) { y =
          com.microsoft.Attention<num_heads = 2>(x, w, b, m) }""",
        m=[2, 3],
    ),
    contrib(
        "each sees what came before",
        """g (float[B,S,4] x, float[4, 12] w, float[12] b, int32[B,S] m) => (float[B,S,4] y) { y =
          com.microsoft.Attention<num_heads = 2, unidirectional = 1>(x, w, b, m) }""",
        m=[[0, 1, 0], [1, 0, 0], [1, 1, 1]],
    ),
    contrib(
        "with a past",
        """g (float[B,S,4] x, float[4, 12] w, float[12] b, float[2,B,2,P,2] p) => (float[B,S,4] y,
          float[2,B,2,T,2] r) { y, r = com.microsoft.Attention<num_heads = 2, unidirectional = 1>(x, w, b, ,
          p) }""",
    ),
    contrib(
        "values of another width, and something added to the scores",
        """g (float[B,S,4] x, float[4, 14] w, float[14] b, float[1, 2,S,S] a) => (float[B,S,6] y) { y =
          com.microsoft.Attention<num_heads = 2, qkv_hidden_sizes = [4, 4, 6], scale = 0.3>(x, w, b, , , a) }""",
    ),
    contrib(
        "quantized",
        """g (uint8[B,S,4] x, float[12] b) => (float[B,S,4] y) <int8[4, 12] w = {-60, -23, 14, 51, -32, 5, 42,
          -41, -4, 33, -50, -13, 24, -59, -22, 15, 52, -31, 6, 43, -40, -3, 34, -49, -12, 25, -58, -21, 16,
          53, -30, 7, 44, -39, -2, 35, -48, -11, 26, -57, -20, 17, 54, -29, 8, 45, -38, -1}, float s = {0.01},
          uint8 z = {12}, float t = {0.02}, int8 o = {0}> { y = com.microsoft.QAttention<num_heads = 2>(x, w,
          b, s, t, , z, o) }""",
    ),
    contrib(
        "several heads",
        """g (float[B,S,4] q, float[B,T,4] k, float[B,T,4] v, float[12] b) => (float[B,S,4] y) { y =
          com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v, b) }""",
    ),
    contrib(
        "several heads, padded keys",
        """g (float[B,S,4] q, float[B,S,4] k, float[B,S,4] v, int32[B,S] m) => (float[B,S,4] y) { y =
          com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v, , m) }""",
        m=[[1, 1, 0], [1, 0, 0], [1, 1, 1]],
    ),
    contrib(
        "keys and values that are kept",
        """g (float[B,S,4] q, float[B,T,4] k, float[B,T,4] v, float[B,2,P,2] pk, float[B,2,P,2] pv) =>
          (float[B,S,4] y, float[B,2,R,2] rk, float[B,2,R,2] rv) { y, rk, rv =
          com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v, , , , pk, pv) }""",
    ),
    contrib(
        "keys and values by heads",
        """g (float[B,S,4] q, float[B,2,T,2] k, float[B,2,T,2] v) => (float[B,S,4] y) { y =
          com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v) }""",
    ),
    contrib(
        "unidirectional with something added",
        """g (float[B,S,4] q, float[B,S,4] k, float[B,S,4] v, float[1, 2,S,S] a) => (float[B,S,4] y) { y =
          com.microsoft.MultiHeadAttention<num_heads = 2, unidirectional = 1, scale = 0.7>(q, k, v, , , a) }""",
    ),
    contrib(
        "a mask of ends and starts",
        """g (float[2,3,4] x, float[4,12] w, float[12] b, int32[4] m) => (float[2,3,4] y) {
          y = com.microsoft.Attention<num_heads = 2>(x, w, b, m)
        }""",
        m=[2, 3, 1, 0],
    ),
    contrib(
        "a mask of lengths, computed from another input than the data",
        """g (float[B,3,4] x, float[4,12] w, float[12] b, int32[M,3] k) => (float[B,3,4] y) <int64[1] one = {1}> {
          m = ReduceSum<keepdims = 0>(k, one)
          y = com.microsoft.Attention<num_heads = 2>(x, w, b, m)
        }""",
        k=[[1, 1, 0], [1, 0, 0], [1, 1, 1]],
    ),
]
LEFT_ALONE = [
    contrib(
        "heads of unknown width",
        """g (float[2, 3,H] q, float[2, 3,H] k, float[2, 3,H] v) => (float[2, 3,H] y) { y =
          com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v) }""",
    ),
    contrib(
        "a shared buffer",
        """g (float[2, 3, 4] x, float[4, 12] w, float[12] b, float[2, 2, 2, 9, 2] p, int32[1] n) => (float[2,
          3, 4] y, float[2, 2, 2, 9, 2] r) { y, r = com.microsoft.Attention<num_heads = 2,
          past_present_share_buffer = 1>(x, w, b, , p, , n) }""",
    ),
    contrib(
        "rotary embedding inside",
        """g (float[2, 3, 4] x, float[4, 12] w, float[12] b) => (float[2, 3, 4] y) { y =
          com.microsoft.Attention<num_heads = 2, do_rotary = 1>(x, w, b) }""",
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
