"""The tables of an evaluation, and its HTML page: one file with its pictures, without network or script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.evaluation.totals import worst_frames
from verify.atomic_write import write_whole
from verify.render.data import plain
from verify.render.page import STEERING
from verify.render.tables import Column, Table

WORST = 24  # frames on the page
MEASURES = ("J&F", "J", "F")


def totals_table(summary: Mapping[str, Any]) -> Table:
    """One row for each side; J&F, J and F in percent."""
    columns = [Column("models", "word"), *(Column(name) for name in (*MEASURES, "difference"))]
    columns += [Column(name) for name in ("objects", "frames", "seconds a frame")]
    rows = []
    for side in summary["sides"]:
        difference = side["difference"]
        seconds = side["seconds"] / side["tracked_frames"] if side["tracked_frames"] else None
        rows.append(
            (
                side["side"],
                *(_percent(side[name]) for name in MEASURES),
                "" if difference is None else f"{100 * difference:+.2f}",
                str(side["objects"]),
                str(side["frames"]),
                "" if seconds is None else f"{seconds:.3f}",
            )
        )
    return Table("All objects", columns, rows)


def objects_table(summary: Mapping[str, Any]) -> Table:
    """One row for each object and side."""
    columns = [Column("object", "word"), Column("models", "word"), *(Column(name) for name in (*MEASURES, "frames"))]
    rows = sorted(summary["objects"], key=lambda row: (row["video"], row["object"]))
    cells = [
        (
            f"{row['video']} {row['object']}",
            row["side"],
            *(_percent(row[name]) for name in MEASURES),
            str(row["frames"]),
        )
        for row in rows
    ]
    return Table("Each object", columns, cells)


def notes(summary: Mapping[str, Any]) -> list[str]:
    """What the numbers do not cover, one line each."""
    lines = [f"not evaluated: {reason}" for reason in summary["lost"]]
    lines += [f"{name} is in none of its scored annotations and has no score" for name in summary["unscored"]]
    return lines


def write_page(summary: Mapping[str, Any], records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page of an evaluation."""
    import jinja2

    loader = jinja2.ChoiceLoader([jinja2.PackageLoader("export.evaluation"), jinja2.PackageLoader("verify.render")])
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("evaluation.html").render(
        title=plain(f"J&F over {Path(summary['dataset']).name}"),
        summary=plain(dict(summary)),
        notes=plain(notes(summary)),
        totals=totals_table(summary),
        objects=objects_table(summary),
        worst=worst_frames(records, WORST),
    )
    write_whole(path, (page.translate(STEERING) + "\n").encode())


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.2f}"
