"""Drawings measured: boxes apart and inside, arrows that end at their box, labels that cover nothing, bars to scale."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

import pytest

from tests.verify.render.svg import numbers
from verify.render.graph_svg import HEIGHT, graph_list, graph_svg

DIAMOND: dict[str, Any] = {
    "nodes": [
        {"id": "in", "label": "Split"},
        {"id": "l", "label": "left of the two"},
        {"id": "r", "label": "right", "refused": True},
        {"id": "out", "label": "Add"},
        {"id": "alone", "label": "x"},
    ],
    "edges": [
        {"from": "in", "to": "l", "label": "a"},
        {"from": "in", "to": "r", "label": "b"},
        {"from": "l", "to": "out"},
        {"from": "r", "to": "out", "label": "c"},
        {"from": "in", "to": "out", "label": "a"},
        {"from": "nowhere", "to": "out", "label": "z"},
    ],
}


def drawn(graph: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(graph_svg(graph, "a & b"))


def boxes(svg: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of each node by its label."""
    found = {}
    for group in svg.iter("g"):
        title, box = group.find("title"), group.find("rect")
        assert title is not None
        assert box is not None
        x, y, width, height = numbers(box, "x", "y", "width", "height")
        found[str(title.text)] = (x, y, x + width, y + height)
    return found


def test_layers_follow_the_longest_path() -> None:
    tops = {name: box[1] for name, box in boxes(drawn(DIAMOND)).items()}
    assert tops["Split"] == tops["x"]
    assert tops["left of the two"] == tops["right"]
    assert tops["Split"] + HEIGHT < tops["right"]
    assert tops["right"] + HEIGHT < tops["Add"]


def test_layers_do_not_depend_on_the_order_of_the_edges() -> None:
    names = ["d", "c", "b", "a"]
    chain = {
        "nodes": [{"id": name, "label": name} for name in names],
        "edges": [{"from": maker, "to": reader} for reader, maker in pairwise(names)],
    }
    found = boxes(drawn(chain))
    for above, below in pairwise("abcd"):
        assert found[above][3] < found[below][1]


def test_boxes_are_apart_and_inside_the_drawing() -> None:
    svg = drawn(DIAMOND)
    width, height = numbers(svg, "width", "height")
    assert svg.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
    places = list(boxes(svg).values())
    for left, top, right, bottom in places:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert bottom - top == HEIGHT
    for index, one in enumerate(places):
        for other in places[:index]:
            apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
            assert apart
    row = sorted(box for box in places if box[1] == boxes(svg)["right"][1])
    gaps = {round(after[0] - before[2], 1) for before, after in pairwise(row)}
    assert gaps == {36.0}
    assert abs(row[0][0] + row[-1][2] - width) <= 1.1


def test_row_is_in_the_order_of_what_it_reads() -> None:
    nodes = [{"id": name, "label": name} for name in ("a", "b", "under b", "under a")]
    edges = [{"from": "a", "to": "under a"}, {"from": "b", "to": "under b"}]
    found = boxes(drawn({"nodes": nodes, "edges": edges}))
    assert found["a"][0] < found["b"][0]
    assert found["under a"][0] < found["under b"][0]


def test_words_stand_in_their_box() -> None:
    for group in drawn(DIAMOND).iter("g"):
        box, texts = group.find("rect"), group.findall("text")
        assert box is not None
        x, y, width = numbers(box, "x", "y", "width")
        middles = [numbers(text, "x", "y") for text in texts]
        assert all(abs(middle - (x + width / 2)) < 0.2 for middle, _ in middles)
        lines = [baseline - y for _, baseline in middles]
        refused = "refused" in str(box.get("class"))
        assert lines == ([17, 32] if refused else [24])
        assert [str(text.text) for text in texts][1:] == (["refused"] if refused else [])


def test_long_label_is_cut_in_the_middle_and_whole_in_the_title() -> None:
    label = "/encoder/" + "x" * 60 + "/LayerNormalization"
    svg = drawn({"nodes": [{"id": "1", "label": label}, {"id": "2", "label": "y" * 44}], "edges": []})
    shown = [str(text.text) for text in svg.iter("text")]
    assert shown == [f"{label[:21]}…{label[-22:]}", "y" * 44]
    assert set(boxes(svg)) == {label, "y" * 44}


def test_arrows_lead_from_box_to_box() -> None:
    svg = drawn(DIAMOND)
    places = boxes(svg)
    middles = {(round((box[0] + box[2]) / 2), box[1]): name for name, box in places.items()}
    wanted = [
        ("Split", "left of the two"),
        ("Split", "right"),
        ("left of the two", "Add"),
        ("right", "Add"),
        ("Split", "Add"),
    ]
    curves = [path.get("d", "") for path in svg.iter("path") if path.get("class") == "edge"]
    heads = [path.get("d", "") for path in svg.iter("path") if path.get("class") == "head"]
    assert len(curves) == len(heads) == 5
    for curve, head, (source, target) in zip(curves, heads, wanted, strict=True):
        x1, y1, cx1, cy1, cx2, cy2, x2, y2 = (float(part) for part in re.findall(r"-?[\d.]+", curve))
        assert middles[(round(x1), y1 - HEIGHT)] == source
        assert middles[(round(x2), y2 + 6)] == target
        assert (cx1, cx2) == (x1, x2)
        assert cy1 == pytest.approx((y1 + y2 + 6) / 2)
        assert cy2 == pytest.approx((y1 + y2 + 6) / 2)
        ax, ay, bx, by, cx, cy = (float(part) for part in re.findall(r"-?[\d.]+", head))
        assert (cx, cy) == (x2, y2 + 6)
        assert (cx - ax, bx - cx) == pytest.approx((4, 4))
        assert (cy - ay, cy - by) == pytest.approx((8, 8))


def spans(svg: ElementTree.Element) -> list[tuple[float, float, float]]:
    """Left, right and baseline of each label, in a font whose characters are 7.4 wide."""
    labels = [text for text in svg.iter("text") if "on-edge" in str(text.get("class"))]
    middles = [(numbers(text, "x", "y"), len(str(text.text)) * 7.4 / 2) for text in labels]
    return [(x - reach, x + reach, y) for (x, y), reach in middles]


def test_labels_stand_on_their_edge_once_a_tensor() -> None:
    svg = drawn(DIAMOND)
    places = boxes(svg)
    labels = {
        str(text.text): numbers(text, "x", "y") for text in svg.iter("text") if "on-edge" in str(text.get("class"))
    }
    assert set(labels) == {"a", "b", "c"}
    assert [str(text.text) for text in svg.iter("text")].count("a") == 1
    for label, source, target in (("a", "Split", "Add"), ("b", "Split", "right"), ("c", "right", "Add")):
        x1, x2 = ((places[name][0] + places[name][2]) / 2 for name in (source, target))
        y1, y2 = places[source][3], places[target][1]
        x, y = labels[label]
        assert y1 < y < y2
        assert x == pytest.approx(x1 + (x2 - x1) * (y - y1) / (y2 - y1), abs=0.2)


def test_no_edge_is_seen_through_a_label() -> None:
    svg = drawn(DIAMOND)
    papers = [numbers(one, "x", "y", "width", "height") for one in svg.iter("rect") if one.get("class") == "behind"]
    assert len(papers) == len(spans(svg)) == 3
    for (x, y, width, height), (left, right, baseline) in zip(papers, spans(svg), strict=True):
        assert (x, x + width) == pytest.approx((left, right), abs=0.2)
        assert y + 9 < baseline < y + height


@pytest.mark.parametrize("readers", [1, 2, 5, 12])
def test_labels_cover_neither_each_other_nor_a_box(readers: int) -> None:
    nodes = [{"id": name, "label": "Split"} for name in "ab"] + [
        {"id": str(index), "label": "Add"} for index in range(readers)
    ]
    edges = [
        {"from": name, "to": str(index), "label": f"float32[1, 4096, {name}{index}]"}
        for name in "ab"
        for index in range(readers)
    ]
    svg = drawn({"nodes": nodes, "edges": edges})
    labels = spans(svg)
    assert len(labels) == 2 * readers
    for index, (left, right, y) in enumerate(labels):
        assert all(right < start or end < left or abs(y - other) >= 12 for start, end, other in labels[:index])
        for box_left, top, box_right, bottom in boxes(svg).values():
            assert right < box_left or box_right < left or y < top or y - 12 > bottom


def test_graph_as_a_list() -> None:
    html = graph_list(DIAMOND)
    assert html.count("<li>") == 6
    assert "<li>Split → left of the two: a</li>" in html
    assert "<li>left of the two → Add</li>" in html
    assert "<li>nowhere → Add: z</li>" in html


def test_a_box_is_wider_than_its_text_by_the_padding_on_both_sides() -> None:
    label = "ConstantOfShape12"
    left, _, right, _ = boxes(drawn({"nodes": [{"id": "a", "label": label}], "edges": []}))[label]
    assert right - left == pytest.approx(len(label) * 7.4 + 2 * 14, abs=0.2)


def test_the_space_below_a_layer_has_a_line_for_each_label_and_one_more() -> None:
    nodes = [{"id": name, "label": name} for name in "abcdef"]
    edges = [{"from": "a", "to": name, "label": f"to {name}"} for name in "bcdef"]
    places = boxes(drawn({"nodes": nodes, "edges": edges}))
    assert places["b"][1] - places["a"][3] == 15 * (5 + 1)


def test_the_margin_has_room_for_half_a_label() -> None:
    label = "float32[1, 64, 1024, 1024]"
    graph = {
        "nodes": [{"id": name, "label": name} for name in "ab"],
        "edges": [{"from": "a", "to": "b", "label": label}],
    }
    (width,) = numbers(drawn(graph), "width")
    assert width == pytest.approx(200 + 2 * (len(label) * 7.4 / 2 + 8), abs=1)


def test_two_boxes_an_arrow_and_its_label_at_their_places() -> None:
    """Sizes in pixels: a box is 7.4 a character and 28 wide, 72 at least, and 40 high; layers are 58 apart."""
    nodes = [{"id": "1", "label": "ConstantOfShape12"}, {"id": "2", "label": "Add", "refused": True}]
    svg = drawn({"nodes": nodes, "edges": [{"from": "1", "to": "2", "label": "shape[12]"}]})
    assert numbers(svg, "width", "height") == (283, 154)
    assert boxes(svg) == {
        "ConstantOfShape12": pytest.approx((64.4, 8, 218.2, 48), abs=0.06),
        "Add": pytest.approx((105.3, 106, 177.3, 146), abs=0.06),
    }
    paths = [path.get("d") for path in svg.iter("path")]
    assert paths == [
        "M141.3 48.0C141.3 77.0 141.3 77.0 141.3 100.0",
        "M137.3 98.0L145.3 98.0L141.3 106.0Z",
    ]
    words = {str(text.text): numbers(text, "x", "y") for text in svg.iter("text")}
    assert words == {
        "ConstantOfShape12": (141.3, 32),
        "Add": (141.3, 123),
        "refused": (141.3, 138),
        "shape[12]": (141.3, 78),
    }
    (paper,) = [numbers(one, "x", "y", "width", "height") for one in svg.iter("rect") if one.get("class") == "behind"]
    assert paper == pytest.approx((108, 67, 66.6, 14), abs=0.06)


def test_labels_that_do_not_meet_share_the_line_in_the_middle() -> None:
    pairs = [("a" * 30, "c" * 30), ("b" * 30, "d" * 30)]
    nodes = [{"id": name, "label": name} for pair in zip(*pairs, strict=True) for name in pair]
    edges = [{"from": maker, "to": reader, "label": maker[:3]} for maker, reader in pairs]
    (_, first, middle), (start, _, other) = spans(drawn({"nodes": nodes, "edges": edges}))
    assert first < start
    assert middle == other


def test_labels_that_meet_stand_in_lines_of_their_own() -> None:
    nodes = [{"id": name, "label": name} for name in "ab"]
    edges = [{"from": "a", "to": "b", "label": f"float32[{size}]"} for size in "123"]
    lines = sorted(y for _, _, y in spans(drawn({"nodes": nodes, "edges": edges})))
    assert [after - before for before, after in pairwise(lines)] == [15, 15]


def test_label_of_an_edge_that_leads_back_stands_below_its_start() -> None:
    nodes = [{"id": name, "label": name} for name in ("first", "second")]
    edges = [{"from": "first", "to": "second"}, {"from": "second", "to": "first", "label": "back"}]
    svg = drawn({"nodes": nodes, "edges": edges})
    ((left, right, y),) = spans(svg)
    box = boxes(svg)["second"]
    assert (left + right) / 2 == pytest.approx((box[0] + box[2]) / 2, abs=0.1)
    assert y > boxes(svg)["second"][3]


def test_a_cycle_ends_and_every_box_is_inside() -> None:
    names = "abc"
    edges = [{"from": one, "to": other} for one, other in zip(names, "bca", strict=True)]
    svg = drawn({"nodes": [{"id": name, "label": name} for name in names], "edges": edges})
    width, height = numbers(svg, "width", "height")
    for left, top, right, bottom in boxes(svg).values():
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_nothing_to_draw_is_an_empty_picture() -> None:
    svg = drawn({"nodes": [], "edges": []})
    assert numbers(svg, "width", "height") == (216, 16)
    assert not list(svg.iter("rect"))


@pytest.mark.parametrize(("length", "shown"), [(44, 44), (45, 44)])
def test_label_of_44_characters_is_whole(length: int, shown: int) -> None:
    svg = drawn({"nodes": [{"id": "1", "label": "x" * length}], "edges": []})
    (text,) = [str(text.text) for text in svg.iter("text")]
    assert len(text) == shown
    assert ("…" in text) is (length > 44)
