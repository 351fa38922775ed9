"""Track with the exported files and with the stock `SAM2VideoPredictor`, and compare every frame."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.stock.predictor import StockResult, track
from export.tracking.images import resize_logits
from export.tracking.modules import Array, Modules, load
from export.tracking.prompts import Prompt, Schedule
from export.tracking.tracker import Result, Tracker
from verify.errors import MissingBackend, SurgeonError
from verify.report import Check, counted

# About eight times the errors of correct files: an IoU of 0.99997, logits off by 7e-4 of the largest.
LEAST_IOU = 0.99976
MOST_LOGIT_ERROR = 6e-3  # over the largest logit
LEAST_IOU_HALF_PRECISION = 0.99  # for files whose metadata say half precision; their logits are not checked
# With fewer frames the stock predictor scales pointer distances differently (export/stock/predictor.py).
LEAST_FRAMES = 16


@dataclass(frozen=True)
class Row:
    """One object in one frame: ours against the stock predictor's.

    iou            of the two masks at the video's size; 1 when both are empty
    differing      share of the video's pixels where the two masks differ (a large mask hides them in the IoU)
    logit_error    largest difference of the mask logits, and `logit_range` the largest stock logit
    score          occlusion logits, ours and stock
    choice         which of the four candidate masks was chosen, ours (the closest candidate) and stock
    choice_margin  margin of stock's choice (export/stock/predictor.py)
    """

    frame: int
    object_id: int
    iou: float
    differing: float
    logit_error: float
    logit_range: float
    score: float
    stock_score: float
    choice: int
    stock_choice: int | None
    choice_margin: float

    @property
    def agrees(self) -> bool:
        """Same sign of the score, and the same mask chosen where the object is in view."""
        if (self.score > 0) != (self.stock_score > 0):
            return False
        return self.stock_score <= 0 or self.stock_choice in (None, self.choice)


def closed_loop(
    folder: Path,
    *,
    frames: int = 20,
    clip: Path | None = None,
    checkpoint: Path | None = None,
    model_type: str | None = None,
    version: str = "",
    prompted_frames: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Check]:
    """Track a clip with the files of `folder` and with the stock predictor, and compare every frame.

    clip         a folder of frames; otherwise a crop that moves over a photograph of scikit-image
    checkpoint   trained weights the files were made from; otherwise what their metadata says
    model_type, version   for files without metadata, e.g. those of the reference exporter

    prompted_frames   how often the first object is prompted: boxes and clicks in turn, spread over the clip

    Three objects: a box, a point, and one that is added at a third of the clip. Raises SurgeonError where it is
    not known which model the files are, MissingBackend without torch, sam2, or a clip.
    """
    images = read_clip(clip, frames) if clip else photo_clip(frames)
    if prompted_frames > len(images):
        raise SurgeonError(
            f"--prompted-frames {prompted_frames}: the clip has {counted(len(images), 'frame')}, of which each can be "
            "prompted once"
        )
    modules = load(folder)
    predictor = stock_predictor(modules, folder, checkpoint, model_type, version)
    height, width = images[0].shape[:2]
    schedule = default_schedule(height, width, len(images), prompted_frames)
    with tempfile.TemporaryDirectory() as scratch:
        write_clip(images, Path(scratch))
        stock = track(predictor, Path(scratch), schedule, len(images), progress=progress)
        ours = run(modules, Path(scratch), schedule, len(images))
    return checks(compare(ours, stock), *limits(modules.metadata))


def limits(metadata: Mapping[str, str]) -> tuple[float, float | None]:
    """The least IoU and the largest error of a logit over the largest logit, by the precision in the metadata.

    None where logits are not judged.
    """
    full = metadata.get("precision", "fp32") == "fp32"
    return (LEAST_IOU, MOST_LOGIT_ERROR) if full else (LEAST_IOU_HALF_PRECISION, None)


def stock_predictor(
    modules: Modules, folder: Path, checkpoint: Path | None = None, model_type: str | None = None, version: str = ""
) -> Any:
    """The predictor that the files of `folder` were exported from, with the same weights.

    A checkpoint that was not named is looked for beside the files, one folder up, and in ./checkpoints.
    """
    from export.weights import checkpoints, reference
    from export.weights.sam2_model import build

    metadata = modules.metadata
    model_type, version = model_type or metadata.get("model_type"), version or metadata.get("model_version", "2.1")
    weights = metadata.get("checkpoint", f"reference:{reference.DEFAULT_SEED}")
    if model_type is None:
        raise SurgeonError(
            f"{folder}: the metadata does not name the model; give --model-type tiny, small, base_plus or large"
        )
    entry = checkpoints.checkpoint(model_type, version)
    predictor = build(model_type, version, modules.image_size)
    if checkpoint is None and weights.startswith("reference:"):
        reference.fill(predictor, int(weights.removeprefix("reference:")))
        return predictor
    near = [place / entry.file for place in (folder, folder.parent, Path("checkpoints"))]
    found = checkpoint or next((path for path in near if path.is_file()), None)
    if found is None:
        raise SurgeonError(f"{folder}: made from {entry.file}, which was not found; give it with --checkpoint")
    used = checkpoints.load(predictor, found, entry, trust=True)
    if weights not in (used, "official"):
        raise SurgeonError(
            f"{found}: is not the checkpoint that {folder} was made from (SHA-256 {used}, expected {weights})"
        )
    return predictor


def photo_clip(frames: int, height: int = 300, width: int = 400) -> list[Array]:
    """uint8 RGB frames: a crop that moves over a photograph (`skimage.data.astronaut`, 512 x 512) and turns round
    at its edges."""
    try:
        import skimage.data
    except ImportError as error:
        raise MissingBackend("the built-in clip needs scikit-image; pip install scikit-image or name a clip") from error
    photo = skimage.data.astronaut()

    def bounce(start: int, step: int, room: int) -> list[int]:
        positions = [(start + step * t) % (2 * room) for t in range(frames)]
        return [p if p <= room else 2 * room - p for p in positions]

    tops = bounce(10, 3, photo.shape[0] - height)
    lefts = bounce(60, 5, photo.shape[1] - width)
    return [photo[y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)]


def default_schedule(height: int, width: int, frames: int, prompted_frames: int = 1) -> Schedule:
    """A box, a point, and a box that comes at a third of the clip; in pixels of a height x width video.

    With `prompted_frames` above 1 the first object gets further prompts, clicks and boxes in turn.
    """

    def box(x0: float, y0: float, x1: float, y1: float) -> Prompt:
        return Prompt(box=(x0 * width, y0 * height, x1 * width, y1 * height))

    first = {1: box(0.25, 0.15, 0.55, 0.7), 2: Prompt(points=[(0.7 * width, 0.4 * height, 1)])}
    schedule: Schedule = {0: first, frames // 3: {3: box(0.1, 0.5, 0.4, 0.95)}}
    for count in range(1, prompted_frames):
        click = Prompt(points=[(0.45 * width, 0.45 * height, 1)])
        prompt = click if count % 2 else box(0.3, 0.2, 0.6, 0.75)
        schedule.setdefault(count * frames // prompted_frames, {})[1] = prompt
    return schedule


def write_clip(images: list[Array], folder: Path) -> None:
    """Save frames as 00000.jpg ...; the last one is repeated until there are 16 files."""
    from PIL import Image

    for index in range(max(len(images), LEAST_FRAMES)):
        Image.fromarray(images[min(index, len(images) - 1)]).save(folder / f"{index:05d}.jpg", quality=95)


def read_clip(clip: Path, frames: int) -> list[Array]:
    from export.tracking.frames import open_frames

    with open_frames(clip) as source:
        return [image for image, _ in zip(source, range(frames), strict=False)]


def run(
    modules: Modules,
    folder: Path,
    schedule: Mapping[int, Mapping[int, Prompt]],
    frames: int,
    corrections: Mapping[int, Mapping[int, Prompt]] | None = None,
    **options: Any,
) -> list[dict[int, Result]]:
    """Our tracker over 00000.jpg ... of `folder`; `options` go to `Tracker`."""
    from PIL import Image

    tracker = Tracker(modules, **options)
    results = []
    for index in range(frames):
        image = np.asarray(Image.open(folder / f"{index:05d}.jpg").convert("RGB"))
        results.append(tracker.step(image, schedule.get(index)))
        clicks = (corrections or {}).get(index)
        if clicks:
            results[-1].update(tracker.correct(clicks))
    return results


def compare(ours: list[dict[int, Result]], stock: list[dict[int, StockResult]]) -> list[Row]:
    """Every object in every frame; both must know the same objects."""
    rows = []
    for frame, (mine, theirs) in enumerate(zip(ours, stock, strict=True)):
        if mine.keys() != theirs.keys():
            raise SurgeonError(f"frame {frame}: objects {sorted(mine)} against the stock predictor's {sorted(theirs)}")
        rows += [_compare_one(frame, object_id, mine[object_id], theirs[object_id]) for object_id in mine]
    return rows


def _compare_one(frame: int, object_id: int, mine: Result, theirs: StockResult) -> Row:
    ours, stock = resize_logits(mine.logits, mine.height, mine.width) > 0, theirs.video_logits > 0
    union = int((ours | stock).sum())
    errors = np.abs(theirs.candidates - mine.logits).max(axis=(1, 2))
    return Row(
        frame=frame,
        object_id=object_id,
        iou=int((ours & stock).sum()) / union if union else 1.0,
        differing=float((ours ^ stock).mean()),
        logit_error=float(np.abs(mine.logits - theirs.logits).max()),
        logit_range=float(np.abs(theirs.logits).max()),
        score=mine.score,
        stock_score=theirs.score,
        choice=int(np.argmin(errors)),
        stock_choice=theirs.choice,
        choice_margin=theirs.choice_margin,
    )


def checks(rows: list[Row], least: float = LEAST_IOU, most_logit: float | None = MOST_LOGIT_ERROR) -> list[Check]:
    """Two checks: every mask is the same, and every decision.

    Masks are the same where their IoU is at least `least` and no logit is off by more than `most_logit` of the largest.
    """
    worst = min(rows, key=lambda row: row.iou)
    most = max(row.differing for row in rows)
    error, largest = max(row.logit_error for row in rows), max(row.logit_range for row in rows)
    figures = {
        "least_iou": worst.iou,
        "most_differing": most,
        "largest_logit_error": error,
        "largest_logit": largest,
        "frames": rows[-1].frame + 1,
        "objects": len({row.object_id for row in rows}),
        "rows": [asdict(row) for row in rows],
    }
    message = f"least IoU with SAM2VideoPredictor {worst.iou:.5f} (frame {worst.frame}, object {worst.object_id}; "
    message += f"at least {least} required); at most {100 * most:.3g} % of the pixels differ; "
    message += f"largest logit error {error:.2e} on logits up to {largest:.1f}"
    off = most_logit is not None and not error <= most_logit * largest
    if most_logit is not None:
        message += f", {most_logit * largest:.2e} allowed"
    masks = Check("closed loop: masks", "fail" if off or worst.iou < least else "pass", message, figures)
    return [masks, _decisions(rows)]


def _decisions(rows: list[Row]) -> Check:
    differing = [row for row in rows if not row.agrees]
    least_score = min(abs(row.stock_score) for row in rows)
    least_choice = min(row.choice_margin for row in rows)
    figures = {"apart": len(differing), "least_score_margin": least_score, "least_choice_margin": least_choice}
    message = f"{len(rows) - len(differing)} of {len(rows)} decisions agree; smallest margins: object score "
    message += f"{least_score:.3g}, choice of mask {least_choice:.3g}"
    if differing:
        first = differing[0]
        message += (
            f"; first difference in frame {first.frame}, object {first.object_id}: score {first.score:.3g} but stock "
        )
        message += f"{first.stock_score:.3g}, mask {first.choice} but stock {first.stock_choice}"
        message += f" (margin {first.choice_margin:.3g})"
    return Check("closed loop: decisions", "fail" if differing else "pass", message, figures)
