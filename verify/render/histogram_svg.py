"""Histograms of per-tensor errors as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verify.render.fill_template import fill

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BASE = 320, 130, 8, 104


def histogram_svg(histogram: Mapping[str, Any], title: str) -> Markup:
    """`{"edges": n + 1 numbers, "counts": n numbers}` as bars whose height is the square root of the count,
    so that a few elements among millions are visible."""
    counts = [float(count) for count in histogram["counts"]]
    edges = [_number(edge) for edge in histogram["edges"]]
    top = max(counts, default=0.0) or 1.0
    step = (WIDTH - 2 * LEFT) / max(len(counts), 1)
    bars = [
        {
            "x": LEFT + index * step,
            "width": max(step - 1.5, 1),
            "height": 0.0 if count <= 0 else max(2.0, math.sqrt(count / top) * (BASE - 20)),
            "title": f"{edges[index]} to {edges[index + 1]}: {count:g} elements",
        }
        for index, count in enumerate(counts)
    ]
    sizes = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "base": BASE}
    return fill("histogram.html", title=title, bars=bars, low=edges[0], high=edges[-1], most=f"{top:g}", **sizes)


def _number(value: Any) -> str:
    try:
        return f"{float(value):.2g}"
    except (TypeError, ValueError):
        return str(value)
