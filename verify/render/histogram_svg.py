"""Histograms of per-tensor errors as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BASE = 320, 130, 8, 104


def histogram_svg(histogram: Mapping[str, Any], title: str) -> str:
    """`{"edges": n + 1 numbers, "counts": n numbers}` as bars on a root scale: a few among millions show."""
    counts = [float(count) for count in histogram["counts"]]
    edges = [_number(edge) for edge in histogram["edges"]]
    top = max(counts, default=0.0) or 1.0
    step = (WIDTH - 2 * LEFT) / max(len(counts), 1)
    bars = []
    for index, count in enumerate(counts):
        tall = 0.0 if count <= 0 else max(2.0, math.sqrt(count / top) * (BASE - 20))
        x, y = LEFT + index * step, BASE - tall
        text = f"{edges[index]} to {edges[index + 1]}: {count:g} elements"
        size = f'width="{max(step - 1.5, 1):.1f}" height="{tall:.1f}"'
        bars.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" {size}><title>{escape(text)}</title></rect>')
    axis = f'<path class="axis" d="M{LEFT} {BASE}H{WIDTH - LEFT}"/>'
    low = f'<text class="soft" x="{LEFT}" y="{BASE + 17}">{escape(edges[0])}</text>'
    high = f'<text class="soft" x="{WIDTH - LEFT}" y="{BASE + 17}" text-anchor="end">{escape(edges[-1])}</text>'
    most = f'<text class="soft" x="{LEFT}" y="12">up to {top:g} a bar</text>'
    head = f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(title)}</title>'
    return f"{head}{axis}{''.join(bars)}{low}{high}{most}</svg>"


def _number(value: Any) -> str:
    try:
        return f"{float(value):.2g}"
    except (TypeError, ValueError):
        return str(value)
