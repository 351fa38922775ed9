"""Prompts: reading the options, scaling to the decoder."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")


from export.tracking.prompts import Prompt, decoder_points, parse, parse_removals
from verify.errors import SurgeonError

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


def test_decoder_points() -> None:
    coords, labels = decoder_points(Prompt(box=(10, 20, 30, 40), points=[(50, 60, 0)]), 100, 200, 1024)
    assert labels.tolist() == [2, 3, 0]
    np.testing.assert_allclose(coords, np.array([[10, 20], [30, 40], [50, 60]]) / [200, 100] * 1024, rtol=1e-6)
    coords, labels = decoder_points(None, 100, 200, 1024)
    assert (coords.shape, labels.tolist()) == ((1, 2), [-1])


def test_prompts_are_read() -> None:
    schedule = parse(["1,2,3,4", "5,6,7,8", "9@10=1,1,2,2"], ["3,4,1", "2=5,5,0", "@4=1,1,1", "9@10=1.5,1,1"])
    assert schedule == {
        0: {1: Prompt((1, 2, 3, 4), [(3, 4, 1)]), 2: Prompt((5, 6, 7, 8), [(5, 5, 0)])},
        4: {1: Prompt(None, [(1, 1, 1)])},
        10: {9: Prompt((1, 1, 2, 2), [(1.5, 1, 1)])},
    }
    assert parse_removals(["2@50", "3@50"]) == {50: [2, 3]}


@pytest.mark.parametrize(
    ("boxes", "points", "message"),
    [
        (["1,2,3"], [], "expected X0,Y0,X1,Y1"),
        (["=1,2,3,4"], [], "before it"),
        (["2@=1,2,3,4"], [], "before it"),
        (["1,2,nan,4"], [], "before it"),
        (["3,2,1,4"], [], "X0 < X1"),
        (["1=1,2,3,4", "1=1,2,3,4"], [], "already has a box"),
        ([], ["1,2,3"], "the label is 1"),
        ([], ["3,4,0"], "object 1: background clicks alone mark no object"),
        ([], [], "nothing to track"),
    ],
)
def test_bad_prompts_are_refused(boxes: list[str], points: list[str], message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        parse(boxes, points)


def test_removal_must_name_object_and_frame() -> None:
    with pytest.raises(SurgeonError, match="ID@FRAME"):
        parse_removals(["2"])
