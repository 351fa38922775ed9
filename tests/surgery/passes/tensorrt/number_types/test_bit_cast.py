"""SG144: BitCast by arithmetic: every class of float32, and random bits."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, parse, run, same

CODE = "SG144"
REWRITES = [
    Case(
        "bits of floats",
        "g (float[5] x) => (int32[5] y) { y = BitCast<to = 6>(x) }",
        opset=26,
        gone=("BitCast",),
        inputs={"x": [-0.0, 1.5, float("-inf"), 1e-42, -3e38]},
    ),
]


CLASSES = [0, 1, 2, 0x007FFFFF, 0x00800000, 0x00800001, 0x3F800000, 0x3F7FFFFF, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]


def bits() -> np.ndarray:
    drawn = np.random.default_rng(1).integers(0, 2**32, 4000).astype(np.uint32)
    powers = np.arange(255, dtype=np.uint32) << 23
    some = np.concatenate([CLASSES, powers, powers + 1, drawn]).astype(np.uint32)
    some = np.concatenate([some[:-4000], some[:-4000] | np.uint32(1 << 31), drawn])
    nan = np.isnan(some.view(np.float32))
    return np.where(nan, np.uint32(0x7FC00000), some)


def test_bits_of_floats() -> None:
    given = bits()
    text = f"g (float[{given.size}] x) => (int32[{given.size}] y) {{ y = BitCast<to = 6>(x) }}"
    fixed = same(text, 26, "SG144", [{"x": given.view(np.float32)}], exact=True)
    assert "BitCast" not in operators(fixed)


def test_floats_of_bits() -> None:
    given = bits()
    text = f"g (int32[{given.size}] x) => (float[{given.size}] y) {{ y = BitCast<to = 1>(x) }}"
    fixed, _ = surgery.fix_model(parse(text, 26), guard=False)
    got = run(fixed, {"x": given.view(np.int32)})[0]
    np.testing.assert_array_equal(got, given.view(np.float32))
    np.testing.assert_array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(given.view(np.float32)[~np.isnan(got)]))


@pytest.mark.parametrize(
    ("source", "to", "dtype"), [("int8", 2, np.int8), ("uint8", 3, np.uint8)], ids=["unsigned", "signed"]
)
def test_bytes(source: str, to: int, dtype: type) -> None:
    wanted = "uint8" if to == 2 else "int8"
    text = f"g ({source}[256] x) => ({wanted}[256] y) {{ y = BitCast<to = {to}>(x) }}"
    same(text, 26, "SG144", [{"x": np.arange(256).astype(np.uint8).view(dtype)}], exact=True)


def test_booleans_become_bytes() -> None:
    fixed, _ = surgery.fix_model(parse("g (bool[2] x) => (uint8[2] y) { y = BitCast<to = 2>(x) }", 26))
    assert run(fixed, {"x": np.array([True, False])})[0].tolist() == [1, 0]


@pytest.mark.parametrize(("source", "to", "wanted"), [("double", 7, "int64"), ("uint8", 9, "bool")])
def test_left_alone(source: str, to: int, wanted: str) -> None:
    left_alone(f"g ({source}[2] x) => ({wanted}[2] y) {{ y = BitCast<to = {to}>(x) }}", 26, "SG144")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
