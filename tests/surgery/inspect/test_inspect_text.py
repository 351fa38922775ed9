"""The text of `surgeon inspect`, row by row, from descriptions made by hand."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from surgery.inspect.compare import Change, changes
from surgery.inspect.description import Description
from surgery.inspect.targets import Refusals
from surgery.inspect.text import as_data, print_comparison, print_description
from surgery.inspect.weights import Total, Weight

BREACH = {"code": "SG736", "severity": "error", "node": "n", "path": "", "message": "has no attribute 'a'"}


def model(**fields: Any) -> Description:
    """A description with these fields instead of its own."""
    plain = Description(
        path="m.onnx", bytes=2500, ir_version=8, producer="maker 1", opsets={"ai.onnx": 18, "me": 1},
        metadata={"note": "short"}, functions=(), inputs=({"name": "x", "dtype": "float32", "shape": ["N", 3]},),
        outputs=({"name": "y", "dtype": "int64", "shape": None},), dynamic_dims={"N": ["x[0]"]}, nodes=1234,
        nested_nodes=0, operators={"Add": 1200, "Mul": 34}, weights=(Weight("w", "float32", (2, 3), 24),),
        by_type={"float32": Total(1, 6, 24)}, external={},
        targets={"tensorrt": Refusals("10.9", {}, 0)}, breaches=(),
    )  # fmt: skip
    return replace(plain, **fields)


def rows(found: Description, width: int = 80, verbose: bool = False) -> list[str]:
    stream = io.StringIO()
    print_description(Console(file=stream, width=width, highlight=False, emoji=False), found, verbose)
    return stream.getvalue().splitlines()


def row(label: str, found: Description, width: int = 200, verbose: bool = False) -> list[str]:
    """The lines of one row, without its label."""
    lines = rows(found, width, verbose)
    start = next(index for index, line in enumerate(lines) if line.startswith(f"  {label}"))
    rest = [line[16:] for line in lines[start:]]
    end = next((index for index, line in enumerate(lines[start + 1 :], 1) if not line.startswith(" " * 16)), None)
    return rest[:end]


def test_a_whole_description() -> None:
    assert rows(model(), 90) == [
        "m.onnx",
        "  file          2.5 kB; IR version 8; opset ai.onnx 18, me 1; made by maker 1",
        "  inputs        x  float32[N, 3]",
        "  outputs       y  int64[?]",
        "  dynamic dims  N: x[0]",
        "  metadata      note: short",
        "  nodes         1,234",
        "  operators     Add 1,200, Mul 34",
        "  weights       1 tensor, 6 elements, 24 bytes",
        "  largest       w  float32[2, 3]  24 bytes",
        "  refused nodes tensorrt: none known",
        "                by surgeon's tables, without running TensorRT; surgeon diagnose runs it",
        "",
    ]


def test_what_a_model_lacks_is_none_or_left_out() -> None:
    text = rows(model(inputs=(), outputs=(), opsets={}, producer="", metadata={}, dynamic_dims={}, operators={},
                      weights=(), by_type={}, nodes=0))  # fmt: skip
    assert text[1:8] == [
        "  file          2.5 kB; IR version 8; opset none",
        "  inputs        none",
        "  outputs       none",
        "  dynamic dims  none",
        "  nodes         0",
        "  weights       0 tensors, 0 elements, 0 bytes",
        "  refused nodes tensorrt: none known",
    ]


def test_nested_nodes_functions_types_and_files() -> None:
    found = model(
        nested_nodes=1000, functions=("me::a", "me::b"), by_type={"float32": Total(1, 6, 24), "int4": Total(2, 10, 5)},
        external={"w.data": (Total(3, 16, 29), 4096)},
    )  # fmt: skip
    assert row("nodes", found) == ["1,234, and 1,000 in graphs inside nodes and in functions"]
    assert row("functions", found) == ["me::a, me::b"]
    assert row("by type", found) == ["float32: 1 tensor, 6 elements, 24 bytes", "int4: 2 tensors, 10 elements, 5 bytes"]
    assert row("external files", found) == ["w.data: 3 tensors, 29 bytes of 4.1 kB"]


def test_types_are_listed_where_there_are_several_or_files() -> None:
    assert not [line for line in rows(model()) if "by type" in line or "external files" in line]
    assert row("by type", model(external={"w.data": (Total(1, 6, 24), 24)})) == [
        "float32: 1 tensor, 6 elements, 24 bytes"
    ]


def test_ten_weights_are_shown_and_all_with_v() -> None:
    many = model(weights=tuple(Weight(f"w{index}", "int8", (index,), index) for index in range(12, 0, -1)))
    assert row("largest", many) == [f"w{index}  int8[{index}]  {index} bytes" for index in range(12, 2, -1)]
    assert len(row("largest", many, verbose=True)) == 12


def test_breaches_with_their_place() -> None:
    breaches = (BREACH, BREACH | {"node": "", "path": "If_1/then_branch"}, BREACH | {"path": "If_1/then_branch"},
                BREACH | {"node": "", "severity": "warning"})  # fmt: skip
    assert row("ONNX breaches", model(breaches=breaches)) == [
        "SG736 error: n has no attribute 'a'",
        "SG736 error: If_1/then_branch has no attribute 'a'",
        "SG736 error: n in If_1/then_branch has no attribute 'a'",
        "SG736 warning: has no attribute 'a'",
    ]


@pytest.mark.parametrize(("count", "last"), [(10, "n9"), (11, "and 1 more; -v lists all"), (2000, "and 1,990 more")])
def test_ten_breaches_are_shown(count: int, last: str) -> None:
    many = model(breaches=tuple(BREACH | {"node": f"n{index}"} for index in range(count)))
    lines = row("ONNX breaches", many)
    assert [("SG736" in line) for line in lines[:10]] == [True] * 10
    assert last in lines[-1]
    assert len(row("ONNX breaches", many, verbose=True)) == count


def test_refusals_are_counted_by_operator() -> None:
    targets = {"tensorrt-rtx": Refusals("1.7", {"NonZero": 1100, "Mod": 2}, 1000, "SG105 failed"),
               "onnxruntime": Refusals("1.23", {}, 0, "no graph")}  # fmt: skip
    assert row("refused nodes", model(targets=targets, nested_nodes=6))[:2] == [
        "tensorrt-rtx: 1,102 of 1,240 nodes: NonZero 1,100, Mod 2; surgeon fix rewrites 1,000 of them (not searched "
        "completely: SG105 failed)",
        "onnxruntime: none known (not searched completely: no graph)",
    ]


@pytest.mark.parametrize(
    ("length", "more"),
    [(200, ""), (201, " ... (201 characters; -v shows all)"), (1234, " ... (1,234 characters; -v shows all)")],
)
def test_metadata_of_200_characters_is_whole(length: int, more: str) -> None:
    long = model(metadata={"k": "v" * length})
    assert row("metadata", long, 400) == [f"k: {'v' * 200}{more}"]
    assert "".join(row("metadata", long, 400, verbose=True)).replace(" ", "") == f"k:{'v' * length}"


def test_operators_break_between_items_at_the_width() -> None:
    lines = row("operators", model(operators={f"Operator{index}": index for index in range(9)}), width=60)
    assert lines == [
        "Operator0 0, Operator1 1, Operator2 2,",
        "Operator3 3, Operator4 4, Operator5 5,",
        "Operator6 6, Operator7 7, Operator8 8",
    ]
    two = model(operators={"A" * 20: 1, "B" * 18: 2})
    assert row("operators", two, width=16 + 44) == [f"{'A' * 20} 1, {'B' * 18} 2"]
    assert row("operators", two, width=16 + 43) == [f"{'A' * 20} 1,", f"{'B' * 18} 2"]


def test_a_narrow_terminal_has_twenty_characters_for_the_values() -> None:
    lines = row("inputs", model(inputs=({"name": "n" * 50, "dtype": "bool", "shape": []},)), width=24)
    assert lines == ["n" * 20, "n" * 20, "n" * 10 + "  bool[]"]


def test_control_characters_are_shown_as_escapes() -> None:
    found = model(path="\x1b[31mred", metadata={"k": "a\x07b"})
    assert rows(found)[0] == "\\x1b[31mred"
    assert row("metadata", found) == ["k: a\\x07b"]


def test_json_has_totals_files_and_the_largest() -> None:
    many = model(
        weights=tuple(Weight(f"w{index}", "int8", (1,), 1) for index in range(12)), by_type={"int8": Total(12, 12, 12)},
        external={"w.data": (Total(2, 2, 2), 64)},
    )  # fmt: skip
    data = as_data(many)["weights"]
    assert {key: data[key] for key in ("tensors", "elements", "bytes")} == {"tensors": 12, "elements": 12, "bytes": 12}
    assert data["by_type"] == {"int8": {"tensors": 12, "elements": 12, "bytes": 12}}
    assert data["external_files"] == [{"file": "w.data", "tensors": 2, "elements": 2, "bytes": 2, "file_bytes": 64}]
    assert [one["name"] for one in data["largest"]] == [f"w{index}" for index in range(10)]
    assert not {"by_type", "external"} & set(as_data(many))


def comparison(before: Description, after: Description, width: int = 100) -> list[str]:
    stream = io.StringIO()
    print_comparison(Console(file=stream, width=width, highlight=False, emoji=False), before, after)
    return stream.getvalue().splitlines()


def test_changes_with_their_differences() -> None:
    after = model(path="f.onnx", bytes=1000, nodes=1000, nested_nodes=3, operators={"Add": 1206},
                  opsets={"ai.onnx": 18}, metadata={"note": "other", "new": "1"}, producer="", breaches=(BREACH,),
                  targets={"tensorrt": Refusals("10.9", {"Mod": 2}, 0)})  # fmt: skip
    assert comparison(model(), after) == [
        "m.onnx -> f.onnx",
        "  file          size: 2.5 kB -> 1.0 kB (-1.5 kB)",
        "  opset         me: removed (1)",
        "  metadata      note: short -> other",
        "                new: added (1)",
        "  nodes         main graph: 1,234 -> 1,000 (-234)",
        "                nested: 0 -> 3 (+3)",
        "  operators     Mul: 34 -> 0 (-34)",
        "                Add: 1,200 -> 1,206 (+6)",
        "  ONNX breaches all: 0 -> 1 (+1)",
        "  refused nodes tensorrt: 0 -> 2 (+2)",
        "",
    ]


def test_no_change_is_said() -> None:
    assert comparison(model(), model()) == [
        "m.onnx -> m.onnx",
        "                no difference in interface, operators, weights, or what targets refuse",
        "",
    ]


def test_size_of_a_type_that_one_model_alone_has() -> None:
    after = model(by_type={"float16": Total(1, 6, 12)})
    assert [change for change in changes(model(), after) if "size of" in change.name] == [
        Change("weights", "size of float32", 24, 0, bytes=True),
        Change("weights", "size of float16", 0, 12, bytes=True),
    ]
