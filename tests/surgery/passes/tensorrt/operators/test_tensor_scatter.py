"""SG145: TensorScatter into caches that TensorRT does not take."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG145"
REWRITES = [
    Case(
        "three dims",
        """g (float[1,4,3] c, float[1,2,3] u, int64[1] at) => (float[1,4,3] y) {
          y = TensorScatter(c, u, at)
        }""",
        opset=24,
        gone=("TensorScatter",),
        inputs={"at": [1]},
    ),
]


@pytest.mark.parametrize(
    ("cache", "update", "attributes", "starts"),
    [
        ((3, 4, 5), (3, 2, 5), "", [1, 2, 0]),
        ((2, 1, 4, 5), (2, 1, 2, 5), 'mode = "circular"', [1, 3]),
        ((2, 4, 3), (2, 3, 3), 'mode = "circular"', [2, 3]),
        ((2, 3, 2, 6), (2, 3, 2, 4), 'mode = "circular", axis = 3', [5, 0]),
    ],
)
def test_values(cache: tuple[int, ...], update: tuple[int, ...], attributes: str, starts: list[int]) -> None:
    dims = [",".join(map(str, shape)) for shape in (cache, update)]
    text = (
        f"g (float[{dims[0]}] c, float[{dims[1]}] u, int64[{cache[0]}] at) => (float[{dims[0]}] y)"
        f" {{ y = TensorScatter{f'<{attributes}>' if attributes else ''}(c, u, at) }}"
    )
    generator = np.random.default_rng(0)
    inputs = {
        "c": generator.standard_normal(cache).astype(np.float32),
        "u": generator.standard_normal(update).astype(np.float32),
        "at": np.array(starts),
    }
    assert "TensorScatter" not in operators(same(text, 24, "SG145", [inputs], exact=True))


def test_left_alone() -> None:
    text = "g (float[1,1,4,3] c, float[1,1,2,3] u, int64[1] at) => (float[1,1,4,3] y) { y = TensorScatter(c, u, at) }"
    left_alone(text, 24, "SG145")
    left_alone(text.replace("1,1,4,3", "1,n,3").replace("1,1,2,3", "1,2,3"), 24, "SG145")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
