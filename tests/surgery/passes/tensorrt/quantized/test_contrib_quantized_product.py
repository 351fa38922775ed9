"""SG177: products of quantized matrices of com.microsoft."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, stays
from tests.surgery.passes.contrib import accepted, contrib, keeps_plain

CODE = "SG177"
REWRITES = [
    contrib(
        "integers to floating point",
        """g (uint8[B,4] a) => (float[B,3] y) <int8[4, 3] w = {1, -2, 3, 4, -50, 6, 7, 8, -9, 10, 11, -120},
          float[3] f = {0.1, 0.2, 0.05}, int8[3] i = {0, 0, 0}, float s = {0.02}, uint8 z = {128}, float[3] c
          = {1, 2, 3}> { y = com.microsoft.MatMulIntegerToFloat(a, w, s, f, z, i, c) }""",
    ),
    contrib(
        "quantized at run time",
        """g (float[B,4] a) => (float[B,3] y) <int8[4, 3] w = {1, -2, 3, 4, -50, 6, 7, 8, -9, 10, 11, -120},
          float[3] f = {0.1, 0.2, 0.05}, int8[3] i = {0, 0, 0}, float[3] c = {1, 2, 3}> { y =
          com.microsoft.DynamicQuantizeMatMul(a, w, f, i, c) }""",
    ),
    contrib(
        "gemm",
        """g (uint8[B,4] a) => (float[B,3] y) <int8[4, 3] w = {1, -2, 3, 4, -50, 6, 7, 8, -9, 10, 11, -120},
          float[3] f = {0.1, 0.2, 0.05}, int8[3] i = {0, 0, 0}, float s = {0.02}, uint8 z = {128}, int32[3] c
          = {100, -200, 3}> { y = com.microsoft.QGemm<alpha = 0.5>(a, s, z, w, f, i, c) }""",
    ),
    contrib(
        "gemm, quantized again",
        """g (uint8[B,4] a) => (uint8[B,3] q, float[B,3] y) <int8[4, 3] w = {1, -2, 3, 4, -50, 6, 7, 8, -9, 10,
          11, -120}, float[3] f = {0.1, 0.2, 0.05}, int8[3] i = {0, 0, 0}, float s = {0.02}, uint8 z = {128},
          int32[3] c = {100, -200, 3}> { q = com.microsoft.QGemm(a, s, z, w, f, i, c, s, z)  y =
          DequantizeLinear(q, s, z) }""",
    ),
    contrib(
        "packed weights of four bits",
        """g (float[B,16] a) => (float[B,2] y) <uint8[2, 1, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5,
          34, 63, 92, 121, 150, 179}, float[2] s = {0.1, 0.2}> { y = com.microsoft.MatMulNBits<K = 16, N = 2,
          bits = 4, block_size = 16>(a, w, s) }""",
    ),
    contrib(
        "packed weights with zero points",
        """g (float[B,32] a, float[2] k) => (float[B,2] y) <uint8[2, 2, 8] w = {0, 29, 58, 87, 116, 145, 174,
          203, 232, 5, 34, 63, 92, 121, 150, 179, 208, 237, 10, 39, 68, 97, 126, 155, 184, 213, 242, 15, 44,
          73, 102, 131}, float[4] s = {0.1, 0.2, 0.3, 0.15}, uint8[2] z = {33, 120}> { y =
          com.microsoft.MatMulNBits<K = 32, N = 2, bits = 4, block_size = 16>(a, w, s, z, , k) }""",
    ),
    contrib(
        "packed weights of eight bits with zero points",
        """g (float[B,16] a) => (float[B,2] y) <uint8[2, 1, 16] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179, 208, 237, 10, 39, 68, 97, 126, 155, 184, 213, 242, 15, 44, 73, 102, 131}, float[2] s =
          {0.1, 0.2}, uint8[2] z = {33, 120}> { y = com.microsoft.MatMulNBits<K = 16, N = 2, bits = 8, block_size = 16>
          (a, w, s, z) }""",
    ),
    contrib(
        "packed weights with rows in groups",
        """g (float[B,32] a) => (float[B,1] y) <uint8[1, 2, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179}, float[2] s = {0.1, 0.2}, int32[32] i = {0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1,
          1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}> { y = com.microsoft.MatMulNBits<K = 32, N = 1, bits = 4,
          block_size = 16>(a, w, s, , i) }""",
    ),
    contrib(
        "default zero points of rows in groups",
        """g (float[B,32] a) => (float[B,1] y) <uint8[1, 2, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179}, float[2] s = {0.1, 0.2}, uint8[1] z = {136}, int32[32] i = {0, 1, 1, 0, 0, 0, 1, 1, 0, 1,
          0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}> { y = com.microsoft.MatMulNBits<K = 32,
          N = 1, bits = 4, block_size = 16>(a, w, s, z, i) }""",
    ),
    contrib(
        "inputs rounded to eight bits",
        """g (float[B,T,16] a) => (float[B,T,2] y) <uint8[2, 1, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5,
          34, 63, 92, 121, 150, 179}, float[2] s = {0.1, 0.2}> { y = com.microsoft.MatMulNBits<K = 16, N = 2,
          bits = 4, block_size = 16, accuracy_level = 4>(a, w, s) }""",
    ),
    contrib(
        "inputs rounded to eight bits, the last block not full",
        """g (float[B,24] a, float[1] k) => (float[B,1] y) <uint8[1, 2, 16] w = {0, 29, 58, 87, 116, 145, 174, 203, 232,
          5, 34, 63, 92, 121, 150, 179, 208, 237, 10, 39, 68, 97, 126, 155, 184, 213, 242, 15, 44, 73, 102, 131},
          float[2] s = {0.1, 0.2}, uint8[2] z = {33, 120}> { y = com.microsoft.MatMulNBits<K = 24, N = 1, bits = 8,
          block_size = 16, accuracy_level = 4>(a, w, s, z, , k) }""",
    ),
    contrib(
        "inputs of zeros, rounded to eight bits",
        """g (float[2,16] a) => (float[2,2] y) <uint8[2, 1, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179}, float[2] s = {0.1, 0.2}> { y = com.microsoft.MatMulNBits<K = 16, N = 2, bits = 4,
          block_size = 16, accuracy_level = 4>(a, w, s) }""",
        a=np.zeros((2, 16)),
    ),
    contrib(
        "groups of rows, for which onnxruntime does not round the inputs",
        """g (float[B,32] a) => (float[B,1] y) <uint8[1, 2, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179}, float[2] s = {0.1, 0.2}, int32[32] i = {0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1,
          1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}> { y = com.microsoft.MatMulNBits<K = 32, N = 1, bits = 4,
          block_size = 16, accuracy_level = 4>(a, w, s, , i) }""",
    ),
]
LEFT_ALONE = [
    contrib(
        "packed zero points of rows in groups, which onnxruntime does not read",
        """g (float[B,32] a) => (float[B,1] y) <uint8[1, 2, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5, 34, 63,
          92, 121, 150, 179}, float[2] s = {0.1, 0.2}, uint8[1] z = {33}, int32[32] i = {0, 1, 1, 0, 0, 0, 1, 1, 0, 1,
          0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}> { y = com.microsoft.MatMulNBits<K = 32,
          N = 1, bits = 4, block_size = 16>(a, w, s, z, i) }""",
    ),
    contrib(
        "two bits in blocks of 16, for which onnxruntime rounds no inputs",
        """g (float[B,16] a) => (float[B,2] y) <uint8[2, 1, 4] w = {0, 29, 58, 87, 116, 145, 174, 203}, float[2] s =
          {0.1, 0.2}> { y = com.microsoft.MatMulNBits<K = 16, N = 2, bits = 2, block_size = 16, accuracy_level = 4>
          (a, w, s) }""",
    ),
    contrib(
        "rounded inputs of half precision",
        """g (float16[B,16] a) => (float16[B,2] y) <uint8[2, 1, 8] w = {0, 29, 58, 87, 116, 145, 174, 203, 232, 5,
          34, 63, 92, 121, 150, 179}, float16[2] s = {11878, 12902}> { y = com.microsoft.MatMulNBits<K = 16, N = 2,
          bits = 4, block_size = 16, accuracy_level = 4>(a, w, s) }""",
    ),
    contrib(
        "computed weights",
        """g (float[2, 16] a, uint8[2, 1, 8] w, float[2] s) => (float[2, 2] y) { y =
          com.microsoft.MatMulNBits<K = 16, N = 2, bits = 4, block_size = 16>(a, w, s) }""",
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
