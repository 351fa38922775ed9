"""Prompts: scaling to the decoder, and what marks no object or lies outside the frame."""

from __future__ import annotations

import numpy as np
import pytest

from export.tracking.prompts import Prompt, check_inside, check_positive, decoder_points
from verify.errors import SurgeonError


def test_decoder_points() -> None:
    coords, labels = decoder_points(Prompt(box=(10, 20, 30, 40), points=[(50, 60, 0)]), 100, 200, 1024)
    assert labels.tolist() == [2, 3, 0]
    np.testing.assert_allclose(coords, np.array([[10, 20], [30, 40], [50, 60]]) / [200, 100] * 1024, rtol=1e-6)
    coords, labels = decoder_points(None, 100, 200, 1024)
    assert (coords.shape, labels.tolist()) == ((1, 2), [-1])


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(), "background clicks alone"),
        (Prompt(points=[(1, 1, 0)]), "background clicks alone"),
        (Prompt(mask=np.zeros((4, 6), bool)), "the mask is empty"),
        (Prompt(box=(0, 0, 2, 2), mask=np.ones((4, 6), bool)), "a mask is a prompt of its own"),
    ],
)
def test_prompts_that_mark_no_object(prompt: Prompt, said: str) -> None:
    with pytest.raises(SurgeonError, match=f"object 3: {said}"):
        check_positive(3, prompt)


def test_prompts_outside_the_frame() -> None:
    check_inside(1, Prompt(box=(0, 0, 6, 4)), 4, 6)
    with pytest.raises(SurgeonError, match="7,1 lies outside the video, which is 6 x 4"):
        check_inside(1, Prompt(points=[(7, 1, 1)]), 4, 6)
    with pytest.raises(SurgeonError, match="the mask is 4 x 6, the video is 6 x 4"):
        check_inside(1, Prompt(mask=np.ones((6, 4), bool)), 4, 6)
