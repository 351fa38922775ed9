"""Ways of prompting, in a closed loop beside the stock `SAM2VideoPredictor`: later prompts, a correction, a mask.

    python -m benchmarks.prompted_loop DIR --frames 60 --keep rows.json [--only "a mask"]
    python -m benchmarks.prompted_loop --keep rows.json > benchmarks/results/prompted_loop.md

DIR holds files of `surgeon export --prompts`. Every finished row is written to `--keep`; the second
command prints the page.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
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
BOX, CLICK, BACKGROUND = (0.25, 0.15, 0.55, 0.7), (0.45, 0.45, 1), (0.3, 0.6, 0)


def later_prompts(frames: int) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
    """A box, a click at a third of the clip and a box at two thirds, for one object."""
    images = _clip(frames)
    later = {frames // 3: {1: _click(CLICK)}, 2 * frames // 3: {1: _box((0.3, 0.2, 0.6, 0.75))}}
    return images, {0: {1: _box(BOX)}, **later}, {}


def correction(frames: int) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
    """A box, and a click on the background at a third of the clip that corrects what was tracked."""
    return _clip(frames), {0: {1: _box(BOX)}}, {frames // 3: {1: _click(BACKGROUND)}}


def mask(frames: int) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
    """A mask in the first frame: an ellipse."""
    from export.tracking.prompts import Prompt

    images = _clip(frames)
    return images, {0: {1: Prompt(mask=_ellipse(*images[0].shape[:2], 0.4, 0.4))}}, {}


def leaves(frames: int) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
    """A box around a patch of another photo, which leaves the picture after a third of the clip and comes back."""
    import skimage.data

    images, patch = _clip(frames), skimage.data.coffee()
    shown = []
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        away = max(0.0, 1.0 - abs(index / (frames - 1) - 0.5) / 0.5)  # 0 at both ends, 1 in the middle
        where = _ellipse(height, width, 0.4, 0.4 + 1.8 * away)
        image = image.copy()
        image[where] = patch[:height, :width][where]
        shown.append(image)
    return shown, {0: {1: _box((0.25, 0.2, 0.55, 0.6))}}, {}


WAYS: dict[str, Callable[[int], tuple[list[Any], dict[int, Any], dict[int, Any]]]] = {
    "box, click, box": later_prompts,
    "a box, a click on the background": correction,
    "a mask": mask,
    "the object leaves and comes back": leaves,
}


def measure(folder: Path, way: str, frames: int) -> dict[str, Any]:
    """The figures of one row."""
    from export.stock import closed_loop, predictor
    from export.tracking.modules import load

    modules = load(folder)
    images, schedule, corrections = WAYS[way](frames)
    stock_model = closed_loop.stock_predictor(modules, folder)
    with tempfile.TemporaryDirectory() as scratch:
        closed_loop.write_clip(images, Path(scratch))
        stock = predictor.track(stock_model, Path(scratch), schedule, frames, corrections=corrections)
        ours = closed_loop.run(modules, Path(scratch), schedule, frames, corrections)
    masks, decisions = closed_loop.checks(closed_loop.compare(ours, stock))
    figures: dict[str, Any] = {**masks.figures, **decisions.figures}
    rows = figures.pop("rows")
    facts = modules.metadata
    name = f"{facts['model_type']} {facts['model_version']}, {facts['image_size']} px, {facts['checkpoint']}"
    mean = statistics.mean(row["iou"] for row in rows)
    return {"files": name, "prompts": way, "mean_iou": mean, "decisions": len(rows), **figures}


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
        "Reference weights, one object; a photo under a moving crop. The mask and the correction use "
        "`mask_decoder_prompts.onnx`.",
        "",
        table(HEAD, cells),
    ]
    return "\n".join(lines)


def _clip(frames: int) -> list[Any]:
    from export.stock.closed_loop import photo_clip

    return photo_clip(frames)


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
    parser.add_argument("--only", choices=list(WAYS), action="append")
    options = parser.parse_args(arguments)
    rows = json.loads(options.keep.read_text("utf-8")) if options.keep.is_file() else []
    if options.folder is None:
        print(page(rows))
        return 0
    for way in options.only or WAYS:
        rows.append(measure(options.folder, way, options.frames))
        options.keep.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
        print(f"{way}: least IoU {rows[-1]['least_iou']:.5f}, {rows[-1]['apart']} decisions differ", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
