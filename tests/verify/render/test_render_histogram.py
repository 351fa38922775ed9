"""Histograms measured: bars to scale and at their places."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest

from tests.verify.render.svg import numbers
from verify.render.histogram_svg import BASE, LEFT, WIDTH, histogram_svg


def test_bars_are_to_scale() -> None:
    counts = [0, 1, 25, 10_000, 2500]
    svg = ElementTree.fromstring(histogram_svg({"edges": [0, 1e-3, 0.5, 10, "inf", 20.0], "counts": counts}, "errors"))
    bars = list(svg.iter("rect"))
    x, y, width, height = zip(*(numbers(bar, "x", "y", "width", "height") for bar in bars), strict=True)
    whole = BASE - 20
    assert height == pytest.approx([0, 2.0, whole * 0.05, whole, whole * 0.5], abs=0.06)
    assert [a + b for a, b in zip(y, height, strict=True)] == pytest.approx([BASE] * 5, abs=0.11)
    step = (WIDTH - 2 * LEFT) / 5
    assert x == pytest.approx([LEFT + step * index for index in range(5)], abs=0.06)
    assert width == pytest.approx([step - 1.5] * 5, abs=0.06)
    titles = [str(title.text) for title in svg.iter("title")]
    assert titles == ["errors", "0 to 0.001: 0 elements", "0.001 to 0.5: 1 elements", "0.5 to 10: 25 elements",
                      "10 to inf: 10000 elements", "inf to 20: 2500 elements"]  # fmt: skip
    words = {str(text.text): numbers(text, "x", "y") for text in svg.iter("text")}
    assert words == {"0": (LEFT, BASE + 17), "20": (WIDTH - LEFT, BASE + 17), "up to 10000 a bar": (LEFT, 12)}
    assert [path.get("d") for path in svg.iter("path")] == [f"M{LEFT} {BASE}H{WIDTH - LEFT}"]
    assert svg.get("viewBox") == "0 0 320 130"


@pytest.mark.parametrize("counts", [[], [0, 0]])
def test_nothing_to_draw_is_no_failure(counts: list[int]) -> None:
    edges = [0.0, *range(1, len(counts) + 1)]
    svg = ElementTree.fromstring(histogram_svg({"edges": edges, "counts": counts}, "t"))
    assert all(bar.get("height") == "0.0" for bar in svg.iter("rect"))
    assert "up to 1 a bar" in [str(text.text) for text in svg.iter("text")]
    assert math.isfinite(numbers(svg, "width")[0]) or svg.get("width") is None


def test_bars_at_their_places_in_a_picture_of_320_by_130() -> None:
    svg = ElementTree.fromstring(histogram_svg({"edges": [0, 1, 2, 3], "counts": [4, 1, 0]}, "t"))
    assert svg.get("viewBox") == "0 0 320 130"
    bars = [numbers(bar, "x", "y", "width", "height") for bar in svg.iter("rect")]
    assert bars == [(8, 20, 99.8, 84), (109.3, 62, 99.8, 42), (210.7, 104, 99.8, 0)]
    words = {str(text.text): numbers(text, "x", "y") for text in svg.iter("text")}
    assert words == {"0": (8, 121), "3": (312, 121), "up to 4 a bar": (8, 12)}
    assert [path.get("d") for path in svg.iter("path")] == ["M8 104H312"]


def test_a_bar_of_many_is_a_pixel_wide_and_an_edge_may_be_a_word() -> None:
    edges = [*range(300), "more"]
    svg = ElementTree.fromstring(histogram_svg({"edges": edges, "counts": [1] * 300}, "t"))
    assert {bar.get("width") for bar in svg.iter("rect")} == {"1.0"}
    titles = [str(title.text) for title in svg.iter("title")]
    assert titles[-1] == "3e+02 to more: 1 elements"
    assert "more" in [str(text.text) for text in svg.iter("text")]
