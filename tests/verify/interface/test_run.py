"""A documented interface is proven by running the model: what a declaration claims the graph may not give."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from verify import verify_model
from verify.report import Check

SPEC = """name = "m"
[sizes]
c = 8
[symbols]
n = [1, 2, 8]
t = [1, 4, 9]
[modules.m]
file = "m.onnx"
inputs = [{ name = "x", dims = ["n", "t", "c"] }, { name = "k", dims = [], dtype = "int64" }]
outputs = [{ name = "y", dims = ["n", "t", "c"] }, { name = "s", dims = ["n", 4] }]
"""
HEAD = '<ir_version: 9, opset_import: ["" : 18]> '
GOOD = (
    HEAD
    + """m (float[n,t,8] x, int64 k) => (float[n,t,8] y, float[n,4] s)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] four = {4}, int64[3] fixed = {2, 4, 8}> {
    f = Cast<to = 1>(k)
    y = Mul(x, f)
    sum = ReduceSum<keepdims = 0>(x, one)
    s = Slice(sum, zero, four, one)
}"""
)
WRONG = {
    "another size": ("four, one)", "three, one)", "output s is [1, 3], the spec says [1, 4]"),
    "another type": (
        "y = Mul(x, f)",
        "a = Mul(x, f) y = Cast<to = 11>(a)",
        "onnxruntime cannot load the model: ",
    ),
    "transposed": (
        "y = Mul(x, f)",
        "a = Mul(x, f) y = Transpose<perm = [0, 2, 1]>(a)",
        "output y is [1, 8, 1], the spec says [1, 1, 8]: transposed?",
    ),
    "another rank": (
        "y = Mul(x, f)",
        "a = Mul(x, f) y = Unsqueeze(a, zero)",
        "output y is [1, 1, 1, 8], the spec",
    ),
    "one batch only": (
        "y = Mul(x, f)",
        "a = Reshape(x, fixed) y = Mul(a, f)",
        "does not run at smallest sizes (n=1, t=1)",
    ),
}


def checks(folder: Path, text: str) -> dict[str, Check]:
    folder.joinpath("m.toml").write_text(SPEC)
    text = text.replace("four = {4}", "four = {4}, int64[1] three = {3}")
    onnx.save(parser.parse_model(text), folder / "m.onnx")
    report = verify_model(folder / "m.onnx", spec=folder / "m.toml", goldens=None, tensorrt=False)
    return {check.name: check for check in report.checks}


def test_a_model_that_keeps_to_its_interface(tmp_path: Path) -> None:
    found = checks(tmp_path, GOOD)["interface run"]
    assert (found.status, found.message) == ("pass", "outputs as documented at smallest and usual sizes")


@pytest.mark.parametrize("name", list(WRONG))
def test_a_declaration_that_is_not_kept(tmp_path: Path, name: str) -> None:
    old, new, said = WRONG[name]
    found = checks(tmp_path, GOOD.replace(old, new))
    assert found["interface"].status == "pass"  # what is declared is as documented
    assert found["interface run"].status == "fail"
    assert said in found["interface run"].message


def test_a_model_without_kernels_here_is_not_judged(tmp_path: Path) -> None:
    text = GOOD.replace("y = Mul(x, f)", "b = Cast<to = 16>(x) c = Erf(b) d = Cast<to = 1>(c) y = Mul(d, f)")
    assert checks(tmp_path, text)["interface run"].status == "skip"
