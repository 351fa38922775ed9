"""Data sets in the folder layouts of DAVIS and SA-V: frames, annotated masks, and which frames are scored.

    DAVIS   JPEGImages/480p/VIDEO/00000.jpg         Annotations/480p/VIDEO/00000.png (a colour index for each object)
    SA-V    JPEGImages_24fps/VIDEO/00000.jpg        Annotations_6fps/VIDEO/OBJECT/00000.png (one mask a file)

The first and the last annotated frame of an object are not scored in either: the first holds the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.tracking.frames import opened_picture, picture_files
from export.tracking.modules import Array
from verify.errors import SurgeonError

DAVIS, SAV = "DAVIS", "SA-V"
IMAGES = {DAVIS: "JPEGImages", SAV: "JPEGImages_24fps"}
ANNOTATIONS = {DAVIS: "Annotations", SAV: "Annotations_6fps"}
RESOLUTIONS = ("480p", "Full-Resolution")  # folders below JPEGImages, the preferred one first
VOID = 255  # a colour index that marks no object


@dataclass(frozen=True)
class Video:
    """One video with its annotations.

    frames      picture files in order
    annotated   frame indices with an annotation, in order, by object id
    masks       folder of the annotations
    """

    name: str
    layout: str
    frames: tuple[Path, ...]
    annotated: Mapping[int, tuple[int, ...]]
    masks: Path

    def scored(self, object_id: int) -> tuple[int, ...]:
        """Frames in which the object counts."""
        return self.annotated[object_id][1:-1]

    def label(self, object_id: int) -> str:
        """The object's name as the data set writes it."""
        return f"{object_id:03d}" if self.layout == SAV else str(object_id)

    def truth(self, frame: int) -> dict[int, Array]:
        """bool [height, width] of every object that is annotated in a frame; the masks of SA-V may overlap."""
        ids = [object_id for object_id, frames in self.annotated.items() if frame in frames]
        stem = self.frames[frame].stem
        if self.layout == SAV:
            return {i: read_indices(self.masks / self.label(i) / f"{stem}.png") > 0 for i in ids}
        indices = read_indices(self.masks / f"{stem}.png")
        return {object_id: indices == object_id for object_id in ids}


@dataclass(frozen=True)
class Dataset:
    """The videos of a data set; `chosen_by` says how they were chosen."""

    root: Path
    layout: str
    videos: tuple[Video, ...]
    chosen_by: str


def open_dataset(root: Path, names: Path | None = None) -> Dataset:
    """Find the layout and the videos of a data set.

    names   a text file with one video name a line; otherwise ImageSets/2017/val.txt (DAVIS) or the one text file of
            the folder (SA-V) where there is such a file, otherwise every annotated video

    Raises SurgeonError for a folder in neither layout, and for a video that cannot be scored.
    """
    layout = next((layout for layout in (SAV, DAVIS) if (root / ANNOTATIONS[layout]).is_dir()), None)
    if layout is None:
        raise SurgeonError(f"{root}: neither Annotations (DAVIS) nor Annotations_6fps (SA-V) in it")
    images, masks = root / IMAGES[layout], root / ANNOTATIONS[layout]
    if not images.is_dir():
        raise SurgeonError(f"{images}: no such folder; it holds the frames of the {layout} layout")
    if layout == DAVIS and (size := _resolution(masks)):
        images, masks = images / size, masks / size
    listed, chosen_by = _names(root, masks, names, layout)
    videos = tuple(_video(name, layout, images / name, masks / name) for name in listed)
    return Dataset(root, layout, videos, chosen_by)


def read_indices(file: Path) -> Array:
    """uint8 [height, width]: the colour index or the grey value of each pixel."""
    with opened_picture(file) as picture:
        pixels = np.asarray(picture if picture.mode in ("P", "L", "1") else picture.convert("L"))
        return pixels.astype(np.uint8)


def _resolution(masks: Path) -> str | None:
    return next((size for size in RESOLUTIONS if (masks / size).is_dir()), None)


def _names(root: Path, masks: Path, names: Path | None, layout: str) -> tuple[list[str], str]:
    if names is None:
        lists = [root / "ImageSets" / "2017" / "val.txt"] if layout == DAVIS else sorted(root.glob("*.txt"))
        lists = [file for file in lists if file.is_file()]
        names = lists[0] if len(lists) == 1 else None
    if names is not None:
        found = _listed(names)
        if not found:
            raise SurgeonError(f"{names}: no video in it; write one name a line")
        return sorted(dict.fromkeys(found)), f"listed in {names}"
    found = sorted(folder.name for folder in masks.iterdir() if folder.is_dir())
    if not found:
        raise SurgeonError(f"{masks}: no video in it")
    return found, f"all in {masks}"


def _listed(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SurgeonError(f"{file}: cannot be read as a list of videos: {reason}") from error


def _video(name: str, layout: str, images: Path, masks: Path) -> Video:
    for folder in (images, masks):
        if not folder.is_dir():
            raise SurgeonError(f"{folder}: no such folder; video {name} has no frames or no annotations")
    frames = tuple(picture_files(images))
    index = {file.stem: number for number, file in enumerate(frames)}
    objects = _davis_objects(masks) if layout == DAVIS else _sav_objects(masks)
    annotated = {}
    for object_id, stems in objects.items():
        if missing := [stem for stem in stems if stem not in index]:
            raise SurgeonError(f"{masks}: annotation {missing[0]}.png has no frame of that name in {images}")
        if len(stems) < 3:
            raise SurgeonError(
                f"{masks}: object {object_id} is annotated in {len(stems)} frame{'s' * (len(stems) != 1)}; "
                "scoring needs three or more, since the first and the last are not scored"
            )
        annotated[object_id] = tuple(sorted(index[stem] for stem in stems))
    return Video(name, layout, frames, annotated, masks)


def _davis_objects(masks: Path) -> dict[int, list[str]]:
    """The objects of the first annotation; every annotated frame counts for each."""
    files = sorted(masks.glob("*.png"))
    if not files:
        raise SurgeonError(f"{masks}: no annotation (.png) in it")
    ids = [int(value) for value in np.unique(read_indices(files[0])) if value not in (0, VOID)]
    if not ids:
        raise SurgeonError(f"{files[0]}: no object in the first annotation")
    stems = [file.stem for file in files]
    return dict.fromkeys(ids, stems)


def _sav_objects(masks: Path) -> dict[int, list[str]]:
    """One folder for each object; an object begins where its mask is first not empty."""
    objects = {}
    for folder in sorted(folder for folder in masks.iterdir() if folder.is_dir()):
        if not (folder.name.isdecimal() and folder.name == f"{int(folder.name):03d}"):
            raise SurgeonError(f"{folder}: the SA-V layout names the folders of objects 000, 001, ...")
        files = sorted(folder.glob("*.png"))
        first = next((place for place, file in enumerate(files) if read_indices(file).any()), None)
        if first is None:
            raise SurgeonError(f"{folder}: the object is in none of its {len(files)} annotations")
        objects[int(folder.name)] = [file.stem for file in files[first:]]
    if not objects:
        raise SurgeonError(f"{masks}: no folder of an object in it")
    return objects
