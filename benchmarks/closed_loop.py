"""The table of closed-loop reports: files run as a tracker beside the stock `SAM2VideoPredictor`.

surgeon verify --closed-loop DIR --frames 30 --format json > tiny.json
python -m benchmarks.closed_loop "tiny 2.1, 256 px=tiny.json" ... > benchmarks/results/closed_loop.md
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.tables import table

HEAD = (
    "files",
    "frames",
    "objects",
    "least IoU",
    "mean IoU",
    "pixels that differ, at most",
    "largest logit error (largest logit)",
    "decisions alike",
    "nearest to the edge: score, choice",
)


def checks(report: Any) -> dict[str, Any]:
    """Figures of the closed-loop checks of a report, by the name of the check."""
    rows = [check for entry in report["reports"] for check in entry["checks"]]
    return {check["name"]: check["figures"] for check in rows if check["name"].startswith("closed loop")}


def row(name: str, report: Any) -> list[str]:
    """One line of the table."""
    found = checks(report)
    masks, decisions = found["closed loop: masks"], found["closed loop: decisions"]
    rows = masks["rows"]
    return [
        name,
        str(masks["frames"]),
        str(masks["objects"]),
        f"{masks['least_iou']:.5f}",
        f"{statistics.mean(one['iou'] for one in rows):.5f}",
        f"{100 * masks['most_differing']:.2g} %",
        f"{masks['largest_logit_error']:.1e} ({masks['largest_logit']:.0f})",
        f"{len(rows) - decisions['apart']} of {len(rows)}",
        f"{decisions['least_score_margin']:.2g}, {decisions['least_choice_margin']:.2g}",
    ]


def main(arguments: list[str]) -> int:
    """Print the page."""
    given = [argument.rpartition("=") for argument in arguments]
    rows = [row(name, json.loads(Path(path).read_text("utf-8"))) for name, _, path in given]
    print("# Four files in a loop beside SAM2VideoPredictor\n")
    print(
        "Reference weights; a photo under a moving crop; a box, a point, and a box that comes at a third of the clip. "
        "The edge is 0 for the object score and the threshold at which SAM2 takes another mask for the choice.\n"
    )
    print(table(HEAD, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
