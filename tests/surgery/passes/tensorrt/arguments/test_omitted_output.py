"""SG132: An output that is omitted between others."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, parse, stays

CODE = "SG132"
REWRITES = [
    Case(
        "the middle of three",
        "g (float[6] x) => (float[2] a, float[2] b) { a, , b = Split<num_outputs = 3>(x) }",
        after="g (float[6] x) => (float[2] a, float[2] b) { a, t0, b = Split<num_outputs = 3>(x) }",
        opset=18,
    ),
    Case(
        "the first of two",
        "g (float[4] x) => (float[2] b) { , b = Split<num_outputs = 2>(x) }",
        after="g (float[4] x) => (float[2] b) { t0, b = Split<num_outputs = 2>(x) }",
        opset=18,
    ),
]
LEFT_ALONE = [
    Case(
        "the last output is left out", "g (float[6] x) => (float[2] a) { a, , = Split<num_outputs = 3>(x) }", opset=18
    ),
    Case(
        "every output has a name",
        "g (float[4] x) => (float[2] a, float[2] b) { a, b = Split<num_outputs = 2>(x) }",
        opset=18,
    ),
    Case(
        "the omitted output is optional",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] d) {
          y, , d = LayerNormalization<axis = 1>(x, s)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_fix_compares_an_output_that_is_omitted_in_the_middle() -> None:
    model = parse("g (float[6] x) => (float[2] a, float[2] b) { a, , b = Split<num_outputs = 3>(x) }", 18)
    _, report = surgery.fix_model(model)
    assert next(check for check in report.checks if check.name == "parity").status == "pass"
