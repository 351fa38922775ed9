"""Ways of prompting, in a closed loop beside the stock `SAM2VideoPredictor`: later prompts, a correction, a mask.

    python -m benchmarks.prompted_loop DIR --frames 60 --keep rows.json
    python -m benchmarks.prompted_loop --keep rows.json > benchmarks/results/prompted_loop.md

DIR holds files of `surgeon export --prompts`. The rows are added to `--keep`; the second
command prints the page.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import table

HEAD = (
    "files",
    "prompts",
    "frames",
    "least IoU",
    "mean IoU",
    "largest logit error (largest logit)",
    "decisions alike",
    "nearest to the edge: score, choice",
)
BOX, LATER_BOX, PATCH = (0.25, 0.15, 0.55, 0.7), (0.3, 0.2, 0.6, 0.75), (0.25, 0.2, 0.55, 0.6)
CLICK, BACKGROUND = (0.45, 0.45, 1), (0.3, 0.6, 0)


WAYS = ("box, click, box", "a box, a click on the background", "a mask", "a box; the object leaves and comes back")


def scene(frames: int) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
    """Frames, and prompts and corrections by frame; objects 1 to 4 are prompted in the order of WAYS.

    A patch of another photo lies over the photo; it leaves the picture in the middle of the clip and comes back.
    """
    import skimage.data

    from export.stock.closed_loop import photo_clip
    from export.tracking.prompts import Prompt

    images, patch = photo_clip(frames), skimage.data.coffee()
    height, width = images[0].shape[:2]
    for index, image in enumerate(images):
        away = 1.0 - abs(index / (frames - 1) - 0.5) / 0.5  # 0 at both ends, 1 in the middle
        where = _ellipse(height, width, 0.4, 0.4 + 1.8 * away)
        images[index] = image.copy()
        images[index][where] = patch[:height, :width][where]
    first = {1: _box(BOX), 2: _box(BOX), 3: Prompt(mask=_ellipse(height, width, 0.6, 0.7)), 4: _box(PATCH)}
    prompts = {0: first, frames // 3: {1: _click(CLICK)}, 2 * frames // 3: {1: _box(LATER_BOX)}}
    return images, prompts, {frames // 3: {2: _click(BACKGROUND)}}


def measure(folder: Path, frames: int, numbers: list[int]) -> list[dict[str, Any]]:
    """The figures of each of the ways `numbers`, which are objects of one clip."""
    from export.stock import closed_loop, predictor
    from export.tracking.modules import load

    modules = load(folder)
    images, *plans = scene(frames)
    chosen = [
        {at: {n: one for n, one in given.items() if n in numbers} for at, given in plan.items()} for plan in plans
    ]
    schedule, corrections = ({at: given for at, given in plan.items() if given} for plan in chosen)
    stock_model = closed_loop.stock_predictor(modules, folder)
    with tempfile.TemporaryDirectory() as scratch:
        closed_loop.write_clip(images, Path(scratch))
        stock = predictor.track(stock_model, Path(scratch), schedule, frames, corrections=corrections)
        ours = closed_loop.run(modules, Path(scratch), schedule, frames, corrections)
    facts, found = modules.metadata, []
    name = f"{facts['model_type']} {facts['model_version']}, {facts['image_size']} px, {facts['checkpoint']}"
    compared = closed_loop.compare(ours, stock)
    for object_id in numbers:
        masks, decisions = closed_loop.checks([row for row in compared if row.object_id == object_id])
        figures: dict[str, Any] = {**masks.figures, **decisions.figures}
        rows = figures.pop("rows")
        mean = statistics.mean(row["iou"] for row in rows)
        found.append(
            {"files": name, "prompts": WAYS[object_id - 1], "mean_iou": mean, "decisions": len(rows), **figures}
        )
    return found


def page(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    cells = [
        [
            row["files"].rpartition(", ")[0],
            row["prompts"],
            str(row["frames"]),
            f"{row['least_iou']:.5f}",
            f"{row['mean_iou']:.5f}",
            f"{row['largest_logit_error']:.1e} ({row['largest_logit']:.0f})",
            f"{row['decisions'] - row['apart']} of {row['decisions']}",
            f"{row['least_score_margin']:.2g}, {row['least_choice_margin']:.2g}",
        ]
        for row in rows
    ]
    lines = [
        "# Ways of prompting beside SAM2VideoPredictor",
        "",
        "Reference weights; a photo under a moving crop, and over it a patch that leaves and comes back; four objects. "
        "Files of `surgeon export --prompts`. Untrained weights take the patch for in view when it is not.",
        "",
        table(HEAD, cells),
    ]
    return "\n".join(lines)


def _box(place: tuple[float, float, float, float], height: int = 300, width: int = 400) -> Any:
    from export.tracking.prompts import Prompt

    x0, y0, x1, y1 = place
    return Prompt(box=(x0 * width, y0 * height, x1 * width, y1 * height))


def _click(place: tuple[float, float, int], height: int = 300, width: int = 400) -> Any:
    from export.tracking.prompts import Prompt

    x, y, label = place
    return Prompt(points=[(x * width, y * height, label)])


def _ellipse(height: int, width: int, y: float, x: float) -> Any:
    """bool [height, width]: an ellipse around (y, x), which are parts of the height and width."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows / height - y) / 0.2) ** 2 + ((columns / width - x) / 0.15) ** 2 <= 1


def main(arguments: list[str] | None = None) -> int:
    """Measure the rows of a folder, or print the page of those that were measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prompted_loop", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument(
        "--ways", type=int, nargs="+", choices=range(1, 5), default=[1, 2, 3, 4], help="of the page, by number"
    )
    options = parser.parse_args(arguments)
    rows = json.loads(options.keep.read_text("utf-8")) if options.keep.is_file() else []
    if options.folder is None:
        print(page(rows))
        return 0
    rows += measure(options.folder, options.frames, options.ways)
    options.keep.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    for row in rows[-len(options.ways) :]:
        print(f"{row['prompts']}: least IoU {row['least_iou']:.5f}, {row['apart']} decisions differ")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
