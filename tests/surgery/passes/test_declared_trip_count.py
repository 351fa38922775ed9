"""Loops that collect, with a declared number of turns."""

from __future__ import annotations

import numpy as np

from tests.surgery.passes.comparing import left_alone, operators, same

TEXT = (
    "g (int64 n, bool c, float[1] x) => (float[1] last, float[{count},1] all) {{ last, all = Loop(n, c, x) <body ="
    " b (int64 i, bool before, float[1] v) => (bool after, float[1] w, float[1] u)"
    " {{ after = {condition} w = Add(v, v) u = Identity(w) }}> }}"
)


def test_written_out() -> None:
    inputs = {"n": np.array(4), "c": np.array(True), "x": np.array([1.5], np.float32)}
    text = TEXT.format(count=4, condition="Identity(before)")
    fixed = same(text, 17, "SG154", [inputs], exact=True, trust_declared_shapes=True)
    assert "Loop" not in operators(fixed)


def test_through_a_change_of_type() -> None:
    text = TEXT.format(count=4, condition="Identity(before)").replace("float[4,1] all", "float16[4,1] all")
    text = text.replace("last, all = Loop", "last, f = Loop").replace("> }", "> all = Cast<to = 10>(f) }")
    inputs = {"n": np.array(4), "c": np.array(True), "x": np.array([1.5], np.float32)}
    assert "Loop" not in operators(same(text, 17, "SG154", [inputs], exact=True, trust_declared_shapes=True))


def test_left_alone() -> None:
    left_alone(TEXT.format(count="k", condition="Identity(before)"), 17, "SG154", trust_declared_shapes=True)
    left_alone(TEXT.format(count=4, condition="Not(before)"), 17, "SG154", trust_declared_shapes=True)
    left_alone(TEXT.format(count=1000, condition="Identity(before)"), 17, "SG154", trust_declared_shapes=True)
