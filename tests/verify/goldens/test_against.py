"""Two models compared on several sizes and on both branches of an If."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from verify.compare.divergence import way
from verify.compare.statistics import Limits
from verify.errors import SurgeonError
from verify.goldens.against import Compared, compare_models
from verify.report import Check

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
IF = """m (float[n,4] x) => (float[n,4] y) <float half = {0.5}, float zero = {0.0}> {
    s = ReduceMean<keepdims = 0>(x)
    c = Greater(s, zero)
    y = If(c) <
        then_branch = t () => (float[n,4] a) { a = Relu(x) },
        else_branch = e () => (float[n,4] b) { b = Mul(x, half) }
    >
}"""
NEVER = IF.replace("zero = {0.0}", "zero = {1000000.0}")


def compare(folder: Path, one: str, other: str, **sizes: int) -> tuple[Compared, Check]:
    ways = []
    for name, text in (("one", one), ("other", other)):
        onnx.save(parser.parse_model(f"{HEAD} {text}"), folder / f"{name}.onnx")
        ways.append(way(folder / f"{name}.onnx"))
    found = compare_models(ways[0], ways[1], sizes, 0, Limits(rms_rel=1e-3))
    return found, found.check(ways[0], ways[1])


def test_a_size_that_one_model_treats_otherwise(tmp_path: Path) -> None:
    """Where the dims of x are 1 the transpose shows nothing."""
    right = "m (float[n,t] x) => (float[a,b] y) { z = Softmax<axis = 1>(x) y = Relu(z) }"
    wrong = right.replace("axis = 1", "axis = 0")
    found, check = compare(tmp_path, right, wrong, n=1, t=1)
    assert (found.count, check.status) == (1, "pass")
    found, check = compare(tmp_path, right, wrong)
    assert (found.count, check.status, check.figures["first"]) == (2, "fail", "z")
    assert "with inputs normal, x:3x5" in check.message


@pytest.mark.parametrize(("old", "new"), [("a = Relu(x)", "a = Neg(x)"), ("b = Mul(x, half)", "b = Add(x, half)")])
def test_both_branches_are_taken(tmp_path: Path, old: str, new: str) -> None:
    found, check = compare(tmp_path, IF, IF)
    assert (check.status, found.unreached) == ("pass", ())
    assert f", with {found.count} sets of inputs" in check.message
    assert found.count > 2
    assert compare(tmp_path, IF, IF.replace(old, new))[1].status == "fail"


def test_a_branch_that_no_input_reaches_is_reported(tmp_path: Path) -> None:
    _, check = compare(tmp_path, NEVER, NEVER.replace("a = Relu(x)", "a = Neg(x)"))
    assert check.status == "pass"
    assert "never takes then_branch" in check.message
    assert check.figures["unreached"]


def test_fixed_sizes_are_compared_once(tmp_path: Path) -> None:
    text = "m (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"
    found, check = compare(tmp_path, text, text)
    assert (found.count, check.status) == (1, "pass")
    assert "sets of inputs" not in check.message


def test_a_size_at_which_only_the_other_model_fails_is_an_error_that_names_it(tmp_path: Path) -> None:
    free = "m (float[n,4] x) => (float[n,4] y) <int64[2] shape = {-1, 4}> { z = Reshape(x, shape) y = Relu(z) }"
    with pytest.raises(SurgeonError, match=r"other\.onnx: cannot be run: .*; with inputs normal, x:3x4"):
        compare(tmp_path, free, free.replace("{-1, 4}", "{1, 4}"))
