"""SG143: DeformConv, with offsets that leave the image."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, parse, same

CODE = "SG143"
REWRITES = [
    Case(
        "small offsets",
        """g (float[1,1,3,3] x, float[1,1,2,2] w, float[1,8,2,2] o) => (float[1,1,2,2] y) {
          y = DeformConv<pads = [0, 0, 0, 0]>(x, w, o)
        }""",
        opset=19,
        gone=("DeformConv",),
    ),
]


CASES = [
    ("x, w, o", "", 1, (3, 3)),
    ("x, w, o, b, m", "pads = [1, 1, 1, 1], strides = [2, 1]", 1, (3, 5)),
    ("x, w, o, , m", "pads = [1, 0, 0, 1], dilations = [2, 1], group = 2, offset_group = 2", 2, (4, 5)),
    ("x, w, o, b", "offset_group = 4", 4, (3, 3)),
]


@pytest.mark.parametrize(("given", "attributes", "moved", "out"), CASES)
def test_samples(given: str, attributes: str, moved: int, out: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    groups = 2 if "group = 2," in attributes else 1
    shapes = {
        "x": (2, 4, 5, 5),
        "w": (6, 4 // groups, 3, 3) if out != (4, 5) else (6, 2, 2, 2),
        "b": (6,),
    }
    kernel = shapes["w"][2] * shapes["w"][3]
    shapes |= {"o": (2, 2 * moved * kernel, *out), "m": (2, moved * kernel, *out)}
    inputs = {
        name: (generator.standard_normal(shape) * (3 if name == "o" else 1)).astype(np.float32)
        for name, shape in shapes.items()
        if name in given
    }
    signature = ", ".join(f"float[{','.join(map(str, value.shape))}] {name}" for name, value in inputs.items())
    brackets = f"<{attributes}>" if attributes else ""
    text = f"g ({signature}) => (float[a,b,c,d] y) {{ y = DeformConv{brackets}({given}) }}"
    fixed = same(text, 19, "SG143", [inputs])
    assert "DeformConv" not in operators(fixed)


TEXT = (
    "g (float[n,1,3,3] x, float[1,1,2,2] w, float[n,8,2,2] o) => (float[n,1,2,2] y)"
    " { y = DeformConv<pads = [0, 0, 0, 0]>(x, w, o) }"
)


def test_left_alone() -> None:
    left_alone(TEXT, 19, "SG143")


def test_full_tensorrt_keeps_it() -> None:
    _, report = surgery.fix_model(parse(TEXT.replace("n,", "1,"), 19), target="tensorrt", guard=False)
    assert "SG143" not in {finding.code for finding in report.findings}


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
