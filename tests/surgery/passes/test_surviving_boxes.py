"""NonMaxSuppression with a declared number of survivors, against onnxruntime on random boxes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import left_alone, operators, parse, run, same

TEXT = (
    "g (float[2,9,4] b, float[2,3,9] s, int64 most, float iou, float low) => (int64[{count},3] y)"
    " {{ y = NonMaxSuppression<center_point_box = {centred}>(b, s, most, iou, low) }}"
)


def draw(seed: int, ties: bool) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = generator.random((2, 3, 9)).astype(np.float32)
    return {
        "b": generator.uniform(0, 2, (2, 9, 4)).astype(np.float32),
        "s": np.round(scores * 3) / np.float32(3) if ties else scores,
        "most": np.array(generator.integers(1, 5), np.int64),
        "iou": np.array(generator.choice([0.0, 0.1, 0.4]), np.float32),
        "low": np.array(generator.choice([0.0, 0.3, 0.6]), np.float32),
    }


@pytest.mark.parametrize("centred", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_the_same_boxes_in_the_same_order(centred: int, ties: bool) -> None:
    kept = set()
    for seed in range(5):
        inputs = draw(seed, ties)
        free = TEXT.format(count="n", centred=centred)
        count = len(run(parse(free, 11), inputs)[0])
        kept.add(count)
        text = TEXT.format(count=count, centred=centred)
        fixed = same(text, 11, "SG152", [inputs], exact=True, trust_declared_shapes=True)
        assert "NonMaxSuppression" not in operators(fixed)
    assert len(kept) > 1


def test_without_a_threshold() -> None:
    text = (
        "g (float[1,4,4] b, float[1,1,4] s) => (int64[2,3] y) <int64 most = {2}> { y = NonMaxSuppression(b, s, most) }"
    )
    boxes = np.array([[[0, 0, 1, 1], [5, 5, 4, 4], [0, 0, 1, 1], [8, 8, 9, 9]]], np.float32)
    inputs = {"b": boxes, "s": np.array([[[-1.0, -3.0, -2.0, -4.0]]], np.float32)}
    same(text, 11, "SG152", [inputs], exact=True, trust_declared_shapes=True)


def test_left_alone() -> None:
    free = TEXT.format(count="n", centred=0)
    left_alone(free, 11, "SG152", trust_declared_shapes=True)
    left_alone(TEXT.format(count=4, centred=0), 11, "SG152", trust_declared_shapes=True, target="tensorrt")
