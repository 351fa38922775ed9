"""SG181: remainders of integers that may be large."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, mends_fault, not_at_work, parse

CODE = "SG181"
TARGET = "tensorrt-10.9"
REWRITES = [
    Case(
        "signs and large values",
        "g (int64[6] a, int64[6] b) => (int64[6] c) { c = Mod(a, b) }",
        opset=17,
        gone=("Mod",),
        inputs={"a": [2147483647, -7, 7, -7, 0, 9007199254740993], "b": [32, 3, -3, -3, 5, 1024]},
    ),
    Case(
        "constant divisor in int32",
        "g (int32[4] a) => (int32[4] c) { b = Constant<value = int32 {32}>() c = Mod(a, b) }",
        opset=17,
        gone=("Mod",),
        inputs={"a": [2147483647, -2147483648, -1, 31]},
    ),
]
LEFT_ALONE = [
    Case(
        "fmod",
        "g (int64[2] a, int64[2] b) => (int64[2] c) { c = Mod<fmod = 1>(a, b) }",
        opset=17,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    mends_fault(CODE, case, TARGET)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    not_at_work(CODE, parse(case.text, case.opset), TARGET)


def test_versions_without_the_fault_keep_it() -> None:
    not_at_work(CODE, parse(REWRITES[0].text, REWRITES[0].opset), "tensorrt-rtx", "onnxruntime")
