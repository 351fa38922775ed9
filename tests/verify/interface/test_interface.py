"""Specs, expressions and shapes beyond SAM2's own: every field of a spec file, every departure to the word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser

from verify.atomic_write import write_whole
from verify.errors import SurgeonError
from verify.interface.check import check_shapes
from verify.interface.recognise import recognise
from verify.interface.spec import Port, Profile, Spec, load_spec
from verify.interface.tables import render_table
from verify.model.expressions import evaluate
from verify.report import Finding

TOY = """\
name = "toy"
[sizes]
image = 32
side = "image // 4"
batch = 1
[symbols]
rows = [1, 2, 4]
extra = [0, 3, 6]
items = [1, 1, 8]
[relations]
tokens = "rows * side + extra"
[dynamic]
batch = "items"
[modules.one]
title = "Number One"
file = "first.onnx"
inputs = [
  { name = "x", dims = ["batch", "rows", "side"], description = "pixels", values = "photo" },
  { name = "n", dims = ["tokens"], dtype = "int64" },
]
outputs = [{ name = "y", dims = ["batch", "image - 2 * side"] }]
[modules.two]
inputs = [{ name = "a", dims = [3, "rows"] }]
outputs = [{ name = "b", dims = [] }]
[golden]
one = [{ rows = 2 }]
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(TOY)
    return path


def test_every_field_of_a_spec(toy: Path) -> None:
    spec_file = load_spec(toy)
    assert (spec_file.name, spec_file.image_size, spec_file.batch) == ("toy", 32, 1)
    assert spec_file.golden == {"one": [{"rows": 2}]}
    one, two = spec_file["one"], spec_file["two"]
    assert (one.title, one.file, two.title, two.file) == ("Number One", "first.onnx", "two", "two.onnx")
    assert one.inputs == (
        Port("x", "float32", (1, "rows", 8), "pixels", "photo"),
        Port("n", "int64", ("tokens",)),
    )
    assert one.outputs == (Port("y", "float32", (1, 16)),)
    assert list(one.symbols()) == ["rows", "extra"]
    assert list(two.symbols()) == ["rows"]
    assert one.values() == {"rows": 2, "extra": 3, "tokens": 19}
    assert one.values(rows=4, extra=0) == {"rows": 4, "extra": 0, "tokens": 32}
    assert two.values() == {"rows": 2}
    assert one.shapes(rows=1) == {"x": (1, 1, 8), "n": (11,), "y": (1, 16)}
    assert one.profiles() == {
        "x": Profile((1, 1, 8), (1, 2, 8), (1, 4, 8)),
        "n": Profile((8,), (19,), (38,)),
    }
    assert one.port("y").dims == (1, 16)
    with pytest.raises(SurgeonError, match="one has no input or output 'z'; it has x, n, y"):
        one.port("z")
    with pytest.raises(SurgeonError, match="'three' is no module of spec 'toy'; choose one, two"):
        spec_file["three"]


def test_sizes_and_batch_are_replaced(toy: Path) -> None:
    wide = load_spec(toy, image_size=64)
    assert (wide.image_size, wide["one"].port("x").dims) == (64, (1, "rows", 16))
    free = load_spec(toy, batch="dynamic")
    assert (free.batch, free["one"].port("x").dims) == ("dynamic", ("items", "rows", 8))
    assert list(free["one"].symbols()) == ["rows", "extra", "items"]
    for many in (2, 5):
        fixed = load_spec(toy, batch=many)
        assert (fixed.batch, fixed["one"].port("x").dims) == (many, (many, "rows", 8))
        assert "items" not in fixed["one"].ranges
    one = load_spec(toy, batch=1)
    assert (one.batch, "items" in one["one"].ranges) == (1, True)
    for wrong in (0, -1, "some", 1.5):
        with pytest.raises(SurgeonError, match="give a whole number from 1 up, or dynamic"):
            load_spec(toy, batch=wrong)  # type: ignore[arg-type]


def test_model_is_recognised_by_its_own_spec(toy: Path) -> None:
    ports = "(float[1,rows,16] x, int64[t] n) => (float[1,32] y)"
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {ports} {{ y = Relu(x) }}')
    found = recognise(model, "elsewhere.onnx", toy, image_size=64)
    assert found is not None
    assert (found.module, found.port("x").dims) == ("one", (1, "rows", 16))
    closest = recognise(model, None, toy)
    assert closest is not None
    assert closest.port("x").dims == (1, "rows", 16)
    named = recognise(model, "two.onnx", toy)
    assert named is not None
    assert named.module == "two"
    stranger = parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float q) => (float r) { r = Relu(q) }')
    assert recognise(stranger, None, toy) is None


def test_spec_without_a_size_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(
        'name = "plain"\n[modules.m]\ninputs = [{ name = "x", dims = [3] }]\noutputs = [{ name = "y", dims = [3] }]\n'
    )
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] y) { y = Relu(x) }'
    )
    found = recognise(model, None, path)
    assert found == load_spec(path)["m"]
    assert (load_spec(path).image_size, load_spec(path).batch) == (None, 1)


def test_table_of_a_module(toy: Path) -> None:
    assert render_table(load_spec(toy)["one"]).splitlines()[2:] == [
        "| 0 | Input | x | [1, -1, 8] | pixels |",
        "| 1 | Input | n | [-1] |  |",
        "| 2 | Output | y | [1, 16] |  |",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("a - b - 1", 4), ("a // b", 3), ("7 // 2 * 2", 6), ("b", 2)],
)
def test_expressions(text: str, value: int) -> None:
    assert evaluate(text, {"a": 7, "b": 2}) == value


@pytest.mark.parametrize(
    "text", ["c", "a / b", "a ** b", "a % b", "-a", "1.5", "True", "'x'", "a.b", "f(a)", "a // 0", "a +", ""]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(SurgeonError, match="cannot evaluate"):
        evaluate(text, {"a": 7, "b": 2})


def departures(toy: Path, ports: str) -> list[str]:
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {ports} {{ y = Relu(x) }}')
    return [check.message for check in check_shapes(model, load_spec(toy)["one"]) if check.status == "fail"]


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ("(float[1,rows,8] x, int64[t] n) => (float[1,16] y)", []),
        ("(float[r,rows,s] x, int64[t] n) => (float[1,16] y)",
         ["input x is [r, rows, s], the spec says [1, rows, 8]: each of dims 0, 2 lost its size"]),
        ("(float[1,2,9] x, int64[t] n) => (float[1,16] y)",
         ["input x is [1, 2, 9], the spec says [1, rows, 8]: dim 1 must stay dynamic, dim 2 is wrong"]),
        ("(float[2,rows,9] x, int64[t] n) => (float[16,1] y)",
         ["input x is [2, rows, 9], the spec says [1, rows, 8]: each of dims 0, 2 is wrong",
          "output y is [16, 1], the spec says [1, 16]: transposed?"]),
        ("(float[1,rows,8] x, int64[t,u] n) => (double[1,16] y)",
         ["input n is [t, u], the spec says [tokens]: rank 2 instead of 1",
          "output y is float64, the spec says float32"]),
        ("(float[1,r,8] x, int64[r] n) => (float[1,16] y)",
         ["dim name 'r' stands for both rows and tokens; give each its own name"]),
        ("(float[1,?,8] x, int64[?] n) => (float[1,16] y)", []),
        ("(int64[t] n, float[1,rows,8] x) => (float[1,16] y)", ["inputs come as n, x; the spec says x, n"]),
        ("(float[1,rows,8] x, seq(int64[t]) n) => (float[1,16] y)",
         ["input n is sequence_type, the spec says int64"]),
    ],
)  # fmt: skip
def test_departures_to_the_word(toy: Path, ports: str, said: list[str]) -> None:
    assert departures(toy, ports) == said


def test_what_passes_says_what_it_is(toy: Path) -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,rows,8] x, int64[?] n) => (float[1,16] y) { y = Relu(x) }'
    )
    checks = {check.name: check for check in check_shapes(model, load_spec(toy)["one"])}
    assert list(checks) == ["input x", "input n", "input order", "output y", "output order", "dim names"]
    assert checks["input x"].message == "[1, rows, 8] float32"
    assert checks["input n"].figures == {"dtype": "int64", "dims": [""]}
    assert checks["dim names"].message == "each stands for one size"


@pytest.mark.parametrize(
    ("names", "hint"),
    [(("nn", "q"), "; the model has nn: renamed?"), (("p", "q"), ""), (("p",), "; the model has p: renamed?")],
)
def test_hint_is_a_close_name_or_the_only_equal_shape(toy: Path, names: tuple[str, ...], hint: str) -> None:
    more = "".join(f", int64[t{name}] {name}" for name in names)
    said = departures(toy, f"(float[1,rows,8] x{more}) => (float[1,16] y)")
    assert said[0] == f"input n is missing{hint}"


def test_findings_are_equal_by_what_they_say() -> None:
    def fix() -> None:
        raise AssertionError

    one = Finding("SG001", "odd", "n", fix=fix, touches=(1,), details={"a": 1})
    assert one == Finding("SG001", "odd", "n")
    assert one != Finding("SG001", "odd", "m")
    assert "fix" not in repr(one)
    assert "details" not in repr(one)


def test_file_is_replaced_whole_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    os.link(path, tmp_path / "other")
    write_whole(path, b"after")
    assert (path.read_bytes(), (tmp_path / "other").read_bytes()) == (b"after", b"before")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"through")
    assert os.read(reading, 99) == b"through"
    os.close(reading)
    assert pipe.is_fifo()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "other", "pipe"]
    for target in (tmp_path / "none" / "file", tmp_path):
        with pytest.raises(SurgeonError, match=r"cannot be written .*; nothing was changed"):
            write_whole(target, b"")


def spec_error(tmp_path: Path, old: str, new: str) -> str:
    path = tmp_path / "wrong.toml"
    path.write_text(TOY.replace(old, new))
    with pytest.raises(SurgeonError) as caught:
        load_spec(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "toy"', "", "needs a `name` and at least one [modules.NAME] table"),
        ('"side"]', '"sides"]', "one.x: dim 'sides' is neither a size nor a symbol of the spec"),
        ("inputs = [{ name", "entries = [{ name", "[modules.two] lacks 'inputs'"),
        ("[sizes]", "[sizes", "is not valid TOML"),
        ('"image // 4"', '"picture // 4"', "cannot evaluate 'picture // 4'"),
        ("[1, 2, 4]", "[1, 4]", "[symbols] rows is [1, 4]; give [smallest, usual, largest]"),
        ("[1, 2, 4]", "4", "[symbols] rows is 4; give [smallest, usual, largest]"),
        ("[1, 2, 4]", "[4, 2, 1]", "[symbols] rows is [4, 2, 1]; give the values from the smallest to the largest"),
        ("[1, 2, 4]", "[1, 3, 'side // 4']", "[symbols] rows is [1, 3, 2]; give the values from the smallest"),
        ("image = 32", "image = 32.5", "[sizes] image is 32.5; give a whole number or an expression"),
        ("image = 32", "image = true", "[sizes] image is True; give a whole number or an expression"),
        ('"rows * side + extra"', "3", "[relations] tokens is 3; give a text"),
        ('batch = "items"', "batch = 2", "[dynamic] batch is 2; give a text"),
        ('dims = ["tokens"]', 'dims = "tokens"', "[modules.one] inputs: n: dims is 'tokens'; give a list"),
        ('dims = ["tokens"]', "dims = [4.0]", "[modules.one] inputs: n: dims is [4.0]; give a list"),
        ('dtype = "int64"', "dtype = 7", "[modules.one] inputs: n: dtype is 7; give a text"),
        ('[{ name = "b", dims = [] }]', '["b"]', "[modules.two] outputs is ['b']; give [{ name ="),
        ("[modules.two]", "[modules]\ntwo = 3\n[other]", "[modules] two is 3; give a table [modules.two]"),
    ],
)
def test_wrong_specs(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in spec_error(tmp_path, old, new)


def test_names_of_shipped_specs() -> None:
    for call in (lambda: load_spec("sam9"), lambda: load_spec(Path("none.toml"))):
        with pytest.raises(SurgeonError, match=r"choose .*sam2|cannot read spec none\.toml: No such file"):
            call()
    assert isinstance(load_spec("sam2")["mask_decoder"], Spec)


def test_name_of_the_file_is_enough(toy: Path) -> None:
    model: Any = onnx.ModelProto()
    assert recognise(model, "first.onnx", toy) is not None
