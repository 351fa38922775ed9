"""The page of processor time beside stock SAM2 is made of the rows that are kept."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.beside_stock import HEAD, page

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
ROW = {"files": "tiny 2.1, 1024 px", "objects": 1, "load": 1.0} | {
    f"{side}_{figure}": value
    for side, factor in (("ours", 1.0), ("stock", 2.0))
    for figure, value in (("processor", 10 * factor), ("seconds", 5 * factor), ("peak", 800.0), ("operations", 700.0))
}


def test_the_page_is_that_of_the_rows() -> None:
    rows = json.loads((RESULTS / "beside_stock.json").read_text("utf-8"))
    assert (RESULTS / "beside_stock.md").read_text("utf-8").strip() == page(rows).strip()


def test_rows_with_and_without_the_first_frame() -> None:
    first = {"ours_first_processor": 3.0, "stock_first_processor": 4.0}
    lines = [line for line in page([ROW, {**ROW, **first}]).splitlines() if line.startswith("| tiny")]
    cells = [dict(zip(HEAD, (cell.strip() for cell in line.strip("|").split("|")), strict=True)) for line in lines]
    assert [row["first frame, of stock"] for row in cells] == ["", "0.75"]
    assert {row["seconds a frame, of stock"] for row in cells} == {"0.50"}
