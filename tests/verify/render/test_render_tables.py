"""Tables of the HTML page, cell by cell: captions, headings with their alignment, and what stands in each row."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from verify.render.page import to_html
from verify.report import Check, Report

Cell = tuple[str, str]  # text, and "number", "word" or "code"


class Tables(HTMLParser):
    """Caption -> rows of cells, for each table of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[Cell]]] = {}
        self.rows: list[list[Cell]] = []
        self.inside = self.caption = self.kind = self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td", "caption"):
            self.inside, self.text, self.kind = tag, "", str(dict(attrs).get("class") or "word")
        elif tag == "code" and self.inside in ("th", "td"):
            self.kind = "code"

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self.found[self.text.strip()] = self.rows
        elif tag in ("th", "td"):
            self.rows[-1].append((self.text.strip(), self.kind))
        if tag == self.inside:
            self.inside = ""


def tables(name: str = "check", **figures: Any) -> dict[str, list[list[Cell]]]:
    html = to_html([Report("m.onnx", [Check(name, "pass", "fine", figures)])], title="t", rules={})
    return Tables(html).found


def texts(rows: list[list[Cell]]) -> list[list[str]]:
    return [[text for text, _ in row] for row in rows]


ATTENTION = {
    "name": "scores", "heads": 8, "queries": 4096, "keys": 77, "key_width": 64, "value_width": 64, "fused": True,
    "why": "",
}  # fmt: skip
BUILD = {
    "model": "m.onnx",
    "figures": [("GPU", "SM89"), ("  gemm", "12")],
    "attentions": [
        ATTENTION,
        {**ATTENTION, "heads": 0, "queries": 0, "keys": 0, "key_width": 0, "fused": False, "why": "of a mask"},
        {**ATTENTION, "value_width": 32},
    ],
    "largest": [{"source": "node_add", "dims": [1, 4096, 256], "type": "Half", "bytes": 2_050_000}],
}


def test_a_build_is_three_tables() -> None:
    found = tables(builds=[BUILD])
    assert list(found)[-3:] == ["What TensorRT built", "Attention of m.onnx", "Largest tensors of m.onnx"]
    assert found["What TensorRT built"] == [
        [("figure", "word"), ("m.onnx", "number")],
        [("GPU", "word"), ("SM89", "number")],
        [("gemm", "word"), ("12", "number")],
    ]
    head, *rows = found["Attention of m.onnx"]
    assert head == [
        ("attention", "word"), ("heads", "number"), ("queries", "number"), ("keys", "number"), ("width", "number"),
        ("fused", "word"),
    ]  # fmt: skip
    assert texts(rows) == [
        ["scores", "8", "4096", "77", "64", "yes"],
        ["scores", "?", "?", "?", "?", "no: of a mask"],
        ["scores", "8", "4096", "77", "64/32", "yes"],
    ]
    assert found["Largest tensors of m.onnx"] == [
        [("made by", "word"), ("shape", "word"), ("type", "word"), ("MB", "number")],
        [("node_add", "word"), ("1 × 4096 × 256", "word"), ("Half", "word"), ("2.0", "number")],
    ]
    assert {row[0][1] for row in rows} == {"word"}  # sentences and kinds, not names of the model


def test_a_figure_that_one_build_lacks_is_an_empty_cell() -> None:
    other = {"model": "n.onnx", "figures": [("built", "no")], "attentions": [], "largest": []}
    found = tables(builds=[{**BUILD, "attentions": [], "largest": []}, other])
    assert list(found)[-1] == "What TensorRT built"
    assert texts(found["What TensorRT built"]) == [
        ["figure", "m.onnx", "n.onnx"],
        ["GPU", "SM89", ""],
        ["gemm", "12", ""],
        ["built", "", "no"],
    ]


def test_errors_of_tensors() -> None:
    tensors = {
        "mask": {"max_abs": 1.23456e-4, "nan_mismatch": 0, "inf_mismatch": 2, "dtype": "float32", "shape": [1, 2]},
        "iou": {"max_abs": float("inf"), "inf_mismatch": 0, "dtype": "3", "worst": 7},
    }
    head, *rows = tables("golden", tensors=tensors)["Error of each tensor (golden)"]
    assert head == [
        ("tensor", "word"), ("max_abs", "number"), ("inf_mismatch", "number"), ("dtype", "word"), ("worst", "number"),
    ]  # fmt: skip
    assert texts(rows) == [["mask", "0.000123", "2", "float32", ""], ["iou", "inf", "0", "3", "7"]]
    assert [row[0][1] for row in rows] == ["code", "code"]


def test_operators_with_the_largest_change_come_first() -> None:
    counts = {"before": {"Add": 5, "Mul": 2, "Neg": 3}, "after": {"Add": 4, "Gelu": 6, "Neg": 3}}
    head, *rows = tables(op_counts=counts)["Nodes of each operator"]
    assert head == [("operator", "word"), ("before", "number"), ("after", "number"), ("change", "number")]
    assert texts(rows) == [
        ["all", "10", "13", "+3"],
        ["Gelu", "0", "6", "+6"],
        ["Mul", "2", "0", "-2"],
        ["Add", "5", "4", "-1"],
        ["Neg", "3", "3", "0"],
    ]
    assert {row[0][1] for row in rows} == {"code"}


def test_lists_of_a_golden_are_tables_of_words() -> None:
    found = tables("golden", not_caught=["a transposed weight"], notes=["drawn inputs", "two runs"], not_covered=[])
    assert found["Planted faults that the golden does not catch"][1:] == [[("a transposed weight", "word")]]
    assert texts(found["Notes of the recording"])[1:] == [["drawn inputs"], ["two runs"]]
    assert "What the inputs of the golden do not reach" not in found
