"""The layouts of DAVIS and SA-V: objects, annotated frames, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from export.evaluation.datasets import open_dataset
from tests.export.evaluation.small_dataset import FRAMES, scene, write_davis, write_sav
from verify.errors import SurgeonError


def test_davis(tmp_path: Path) -> None:
    data = open_dataset(write_davis(tmp_path / "davis"))
    assert (data.layout, [video.name for video in data.videos]) == ("DAVIS", ["crop-0", "crop-1"])
    assert data.chosen_by.endswith("val.txt")
    video = data.videos[1]
    assert video.scored(1) == video.scored(2) == tuple(range(1, FRAMES - 1))
    for object_id, mask in scene(1, 3)[1].items():
        assert np.array_equal(video.truth(3)[object_id], mask)


def test_davis_void_and_later_objects_do_not_count(tmp_path: Path) -> None:
    root = write_davis(tmp_path / "davis", 1)
    masks = root / "Annotations" / "480p" / "crop-0"
    indices = np.asarray(Image.open(masks / "00000.png")).copy()
    Image.fromarray(np.where(indices == 2, np.uint8(255), indices)).save(masks / "00000.png")
    assert list(open_dataset(root).videos[0].annotated) == [1]


def test_sav(tmp_path: Path) -> None:
    data = open_dataset(write_sav(tmp_path / "sav"))
    (video,) = data.videos
    assert (data.layout, video.label(0), len(video.frames)) == ("SA-V", "000", 36)
    assert video.annotated[1] == tuple(range(0, 36, 4))
    assert video.scored(1) == tuple(range(4, 32, 4))
    assert np.array_equal(video.truth(8)[1], scene(0, 2)[1][2])


def test_sav_object_that_comes_later_begins_there(tmp_path: Path) -> None:
    root = write_sav(tmp_path / "sav")
    folder = root / "Annotations_6fps" / "sav_000000" / "001"
    for name in ("00000.png", "00004.png"):
        Image.fromarray(np.zeros((90, 120), bool)).save(folder / name)
    assert open_dataset(root).videos[0].annotated[1][0] == 8


def test_a_list_chooses_videos(tmp_path: Path) -> None:
    root = write_davis(tmp_path / "davis")
    (tmp_path / "some.txt").write_text("crop-1\n")
    assert [video.name for video in open_dataset(root, tmp_path / "some.txt").videos] == ["crop-1"]
    (tmp_path / "some.txt").write_text("crop-9\n")
    with pytest.raises(SurgeonError, match="crop-9: no such folder; video crop-9 has no frames"):
        open_dataset(root, tmp_path / "some.txt")
    (tmp_path / "some.txt").write_text("\n")
    with pytest.raises(SurgeonError, match="no video in it"):
        open_dataset(root, tmp_path / "some.txt")


def test_what_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match=r"neither Annotations \(DAVIS\) nor Annotations_6fps \(SA-V\)"):
        open_dataset(tmp_path)
    root = write_davis(tmp_path / "davis", 1)
    masks = root / "Annotations" / "480p" / "crop-0"
    shutil.copy(masks / "00000.png", masks / "00099.png")
    with pytest.raises(SurgeonError, match=r"annotation 00099\.png has no frame of that name"):
        open_dataset(root)
    for file in sorted(masks.iterdir())[1:]:
        file.unlink()
    with pytest.raises(SurgeonError, match="object 1 is annotated in 1 frame; scoring needs three or more"):
        open_dataset(root)
    Image.fromarray(np.zeros((90, 120), np.uint8)).save(masks / "00000.png")
    with pytest.raises(SurgeonError, match="no object in the first annotation"):
        open_dataset(root)
