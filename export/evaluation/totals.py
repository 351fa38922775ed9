"""From records of videos to one row for each object and each side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def object_rows(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each object and side: the means of J and F over its scored frames, and their mean J&F.

    Objects without a scored frame have no row. Rows are in order of side, video and object.
    """
    rows = []
    for record in records:
        for name, found in record["objects"].items():
            if not found["frames"]:
                continue
            region, edge = float(np.mean(found["J"])), float(np.mean(found["F"]))
            row = {"side": record["side"], "video": record["video"], "object": name, "frames": len(found["frames"])}
            rows.append({**row, "J": region, "F": edge, "J&F": (region + edge) / 2})
    return sorted(rows, key=lambda row: (row["side"], row["video"], row["object"]))


def side_rows(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each side: the means over all objects; `difference` is J&F minus that of the first side, over the
    objects that both have."""
    found = {name: {(row["video"], row["object"]): row for row in rows if row["side"] == name} for name in names}
    sides = []
    for name in names:
        mine, first = found[name], found[names[0]]
        both = [key for key in mine if key in first]
        mean = {measure: _mean([row[measure] for row in mine.values()]) for measure in ("J&F", "J", "F")}
        difference = _mean([mine[key]["J&F"] - first[key]["J&F"] for key in both]) if name != names[0] else None
        videos = [record for record in records if record["side"] == name]
        sides.append(
            {
                "side": name,
                **mean,
                "difference": difference,
                "videos": len(videos),
                "objects": len(mine),
                "frames": sum(row["frames"] for row in mine.values()),
                "tracked_frames": sum(record["tracked_frames"] for record in videos),
                "seconds": round(sum(record["seconds"] for record in videos), 3),
            }
        )
    return sides


def unscored(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Objects that none of their scored annotations shows."""
    return sorted(
        {f"{one['video']} {name}" for one in records for name, found in one["objects"].items() if not found["frames"]}
    )


def worst_frames(records: Iterable[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """The worst frame of each object and side, lowest mean of J and F first."""
    frames = [
        {"side": one["side"], "video": one["video"], "object": name, **found["worst"]}
        for one in records
        for name, found in one["objects"].items()
        if "worst" in found
    ]
    return sorted(frames, key=lambda row: (row["J&F"], row["side"], row["video"], row["object"]))[:most]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
