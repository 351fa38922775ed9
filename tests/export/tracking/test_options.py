"""The prompts that `surgeon track` takes: what they say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from export.tracking.options import parse
from export.tracking.prompts import Prompt
from verify.errors import SurgeonError


def test_prompts_are_read() -> None:
    plan = parse(
        ["1,2,3,4", "5,6,7,8", "9@10=1,1,2,2"],
        ["3,4,1", "2=5,5,0", "@4=1,1,1", "9@10=1.5,1,1"],
        corrections=["@5=3,4,0", "9@12=3,4,0", "9@12=1,2,1"],
        removals=["2@50", "9@50"],
    )
    assert plan.prompts == {
        0: {1: Prompt((1, 2, 3, 4), [(3, 4, 1)]), 2: Prompt((5, 6, 7, 8), [(5, 5, 0)])},
        4: {1: Prompt(None, [(1, 1, 1)])},
        10: {9: Prompt((1, 1, 2, 2), [(1.5, 1, 1)])},
    }
    assert plan.corrections == {5: {1: Prompt(points=[(3, 4, 0)])}, 12: {9: Prompt(points=[(3, 4, 0), (1, 2, 1)])}}
    assert plan.removals == {50: [2, 9]}


def test_masks_are_read(tmp_path: Path) -> None:
    """Grey values are cut at 127; a palette's colours count by their index, whatever they look like."""
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    indices = Image.fromarray(np.array([[0, 1, 2, 0]], np.uint8), mode="P")
    indices.putpalette([255, 255, 255, 0, 0, 0, 9, 9, 9])
    indices.save(tmp_path / "palette.png")
    plan = parse(masks=[str(tmp_path / "grey.png"), f"4@2={tmp_path / 'palette.png'}"])
    first, second = plan.prompts[0][1].mask, plan.prompts[2][4].mask
    assert first is not None
    assert second is not None
    assert first.tolist() == [[False, False, True, True]]
    assert second.tolist() == [[False, True, True, False]]


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


def test_bad_corrections_and_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="--correct 1,2: expected X,Y,LABEL"):
        parse(["1,2,3,4"], corrections=["1,2"])
    with pytest.raises(SurgeonError, match=r"none\.png: cannot be read as a picture: No such file or directory$"):
        parse(masks=[str(tmp_path / "none.png")])
    Image.fromarray(np.full((2, 2), 255, np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(SurgeonError, match="object 2 already has a mask in frame 0"):
        parse(masks=[f"2={tmp_path / 'm.png'}", f"2@0={tmp_path / 'm.png'}"])
    with pytest.raises(SurgeonError, match="a mask is a prompt of its own"):
        parse(["1,2,3,4"], masks=[str(tmp_path / "m.png")])


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("corrections", "2@5=3,4,0", "--correct: object 2 has no prompt in frame 5 or before it"),
        ("corrections", "9@9=3,4,0", "--correct: object 9 has no prompt in frame 9 or before it"),
        ("removals", "2@5", "--remove: object 2 has no prompt before frame 5"),
        ("removals", "9@10", "--remove: object 9 has no prompt before frame 10"),
    ],
)
def test_an_object_without_a_prompt_is_refused_before_anything_is_written(option: str, text: str, message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        parse(["1,2,3,4", "9@10=1,2,3,4"], **{option: [text]})


def test_removal_must_name_object_and_frame() -> None:
    with pytest.raises(SurgeonError, match="ID@FRAME"):
        parse(["1,2,3,4"], removals=["2"])
