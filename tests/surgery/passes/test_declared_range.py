"""Range of floats, and loops that collect, with a declared number of elements."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import left_alone, operators, parse, run, same

TEXT = "g ({0} a, {0} b, {0} d) => ({0}[{1}] y) {{ y = Range(a, b, d) }}"


@pytest.mark.parametrize("numbers", [(1, 5, 2, 2), (0.5, -1, -0.5, 3), (-2, 8, 2.5, 4)])
def test_elements(numbers: tuple[float, float, float, int]) -> None:
    inputs = {name: np.array(value, np.float32) for name, value in zip("abd", numbers, strict=False)}
    text = TEXT.format("float", numbers[3])
    assert "Range" not in operators(same(text, 17, "SG153", [inputs], trust_declared_shapes=True))


def test_halves() -> None:
    inputs = {name: np.array(value, np.float16) for name, value in zip("abd", (1, 5, 2), strict=True)}
    fixed, report = surgery.fix_model(parse(TEXT.format("float16", 2), 27), trust_declared_shapes=True)
    assert "SG153" in {finding.code for finding in report.findings}
    assert run(fixed, inputs)[0].tolist() == [1, 3]


def test_left_alone() -> None:
    left_alone(TEXT.format("float", "n"), 17, "SG153", trust_declared_shapes=True)
    left_alone(TEXT.format("int64", 3), 17, "SG153", trust_declared_shapes=True)
    left_alone(TEXT.format("float", 3), 17, "SG153", trust_declared_shapes=True, target="onnxruntime")


def test_the_guard_draws_what_gives_the_declared_size() -> None:
    _, report = surgery.fix_model(parse(TEXT.format("float", 7), 17), trust_declared_shapes=True)
    assert any("3 sets of inputs" in check.message for check in report.checks if check.status == "pass")
