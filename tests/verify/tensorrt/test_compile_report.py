"""From the builder's log to figures and tables, with a builder that says what the test wants."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser
from rich.console import Console

from verify.render.page import to_html
from verify.report import Check, Report
from verify.tensorrt import engine
from verify.tensorrt.attention import Attention
from verify.tensorrt.compile import Compiled, FusedOrNot, compile_model
from verify.tensorrt.log import kernels, memory
from verify.tensorrt.profiles import profiles_for, trtexec
from verify.tensorrt.table import as_data, figures, tables

TWICE = """<ir_version: 9, opset_import: ["" : 18]>
two (float16[N,2,T,32] q, float16[N,2,32,T] k, float16[N,2,T,32] v) => (float16[N,2,T,32] y, float16[B,H,Q,K] s) {
[one] s = MatMul(q, k)  [two] p = Softmax(s)  [three] o = MatMul(p, v)
[four] t = MatMul(o, k)  [five] r = Softmax(t)  [six] y = MatMul(r, v) }"""
POINTS = {name: ((1, 2, a, b), (3, 2, c, d), (8, 2, a, b)) for name, (a, b, c, d) in
          {"q": (9, 32, 40, 32), "k": (32, 9, 32, 40), "v": (9, 32, 40, 32)}.items()}  # fmt: skip
SEPARATE = "TensorRT chose separate kernels; nothing known forbids fusing it"


def tensor(name: str, dims: str, dtype: str) -> str:
    return f"{{ Name: {name}, Dimensions: [{dims}], Strides: [1], Datatype: {dtype}, Format: Linear }}"


def layer(name: str, inputs: str, outputs: str, sources: tuple[str, ...] = (), kind: str = "kgen") -> str:
    metadata = "\x1f".join(f"[ONNX Layer: {source}]" for source in sources)
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [{inputs}], Constants: [], Outputs: [{outputs}], "
        f"TacticName: t, StreamId: 0, Metadata: {metadata}"
    )


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: tuple[str, ...], text: str = TWICE) -> Compiled:
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(text), path)
    result = engine.BuildResult(True, engine_bytes=5_200_000, profiles=POINTS, log=log)
    monkeypatch.setattr(engine, "build", lambda *_, **__: result)
    monkeypatch.setattr(engine, "version", lambda: "tensorrt 9")
    return compile_model(path, gpu="turing")


@pytest.mark.parametrize(
    ("sources", "fused"),
    [
        (("three",), (True, False)),
        (("six",), (False, True)),
        (("one", "two"), (True, False)),
        (("one",), (False, False)),
        (("two",), (False, False)),
        (("one", "four"), (False, False)),
    ],
)
def test_attention_is_fused_by_a_kernel_of_its_last_or_of_several_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...], fused: tuple[bool, bool]
) -> None:
    text = TWICE.replace(", float16[B,H,Q,K] s", "")
    built = build(tmp_path, monkeypatch, ("Layers:", layer("_gemm_mha_1", "", "", sources)), text)
    assert tuple(found.fused for found in built.attentions) == fused
    assert [found.why for found in built.attentions] == ["" if one else SEPARATE for one in fused]
    assert [found.name for found in built.attentions] == ["two", "five"]
    assert (built.fused, built.fused_kernels, built.kernels) == (sum(fused), 1, 1)


def test_sizes_are_those_of_the_usual_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(tmp_path, monkeypatch, ("Layers:",))
    first, second = (found.attention for found in built.attentions)
    assert (first.heads, first.queries, first.keys, first.key_width, first.value_width) == (6, 40, 40, 32, 32)
    assert (second.heads, second.queries, second.keys) == (6, 40, 40)
    assert [found.why for found in built.attentions] == ["'s' is a graph output", SEPARATE]
    assert (built.capability, built.backend, built.engine, built.fused) == ("SM75", "tensorrt 9", 5_200_000, 0)


def test_attention_in_a_branch_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (bool c, float16[2,8,4] q, float16[2,4,6] k, float16[2,6,4] v) => (float16[2,8,4] y) {
    [choice] y = If(c) <then_branch = t () => (float16[2,8,4] o) { s = MatMul(q, k) [soft] p = Softmax(s)
    o = MatMul(p, v) }, else_branch = e () => (float16[2,8,4] r) { r = Identity(q) }> }"""
    (found,) = build(tmp_path, monkeypatch, ("Layers:",), text).attentions
    assert found.name == "choice/then_branch/soft"


def test_counts_and_largest_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = [tensor(f"t{i}", f"{i},2", "Half") for i in range(1, 13)]
    log = (
        "Max Scratch Memory: 1500000 bytes",
        "Total Weights Memory: 250000 bytes",
        "Layers:",
        layer("old", "", "", ("a",)),
        "Layers:",
        layer("first", tensor("x", "4", "Float"), ", ".join(inner), ("one", "two"), "conv"),
        layer("second", ", ".join(inner), tensor("twin", "12,2", "BFloat16"), (), "gemm"),
        layer("third", tensor("twin", "12,2", "BFloat16"), tensor("y", "900", "Float"), ("six",), "gemm"),
    )
    built = build(tmp_path, monkeypatch, log)
    assert built.kernels == 3
    assert list(built.kinds.items()) == [("gemm", 2), ("conv", 1)]
    assert list(built.precisions.items()) == [("bf16+fp16", 1), ("bf16+fp32", 1), ("fp16+fp32", 1)]
    assert (built.scratch, built.weights) == (1_500_000, 250_000)
    assert built.largest[:3] == (
        ("gemm", (12, 2), "BFloat16", 48), ("one", (12, 2), "Half", 48), ("one", (11, 2), "Half", 44),
    )  # fmt: skip
    assert [row[3] for row in built.largest] == [48, 48, 44, 40, 36, 32, 28, 24, 20, 16]


def test_what_the_parser_refuses_is_told_by_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = engine.Refusal("UNSUPPORTED_NODE", 0, "middle", "Odd", "no such operator")
    monkeypatch.setattr(engine, "build", lambda *_, **__: engine.BuildResult(False, (refusal,), ("and more",)))
    monkeypatch.setattr(engine, "version", lambda: "tensorrt 9")
    built = compile_model(tmp_path / "m.onnx")
    assert built.messages == ("Odd 'middle': no such operator", "and more")
    assert (built.ok, built.kernels, built.engine, built.capability) == (False, 0, 0, "SM89")
    assert figures(built) == [("GPU", "SM89"), ("built", "no")]


@pytest.mark.parametrize(
    ("dtypes", "dims", "size"),
    [
        ("Half BFloat16 BF16", "3,5", 30),
        ("Float Int32", "3,5", 60),
        ("Int8 UInt8 Bool FP8", "3,5", 15),
        ("Int64", "3,5", 120),
        ("Float", "", 4),
        ("Float", "-1,5", 0),
    ],
)
def test_bytes_of_a_tensor(dtypes: str, dims: str, size: int) -> None:
    inputs = ", ".join(tensor(dtype, dims, dtype) for dtype in dtypes.split())
    (kernel,) = kernels(["Layers:", layer("k", inputs, "")])
    assert [tensor.bytes for tensor in kernel.inputs] == [size] * len(dtypes.split())


def test_integer_kernels_synchronisation_and_silence() -> None:
    log = ["Layers:", layer("k", tensor("x", "3", "Int64"), ""), layer("w", "", "", kind="signal")]
    (kernel,) = kernels(log)
    assert (kernel.precision, kernel.fused_attention, kernel.sources) == ("integer", False, ())
    assert kernels(["nothing of the kind"]) == []
    assert memory(["Total Activation Memory: 7 bytes"]) == {"scratch": 0, "weights": 0, "activations": 7}


def sample(**changes: Any) -> Compiled:
    known = Attention(("s", "soft", "y"), "", ("FLOAT16",) * 4, 8, 64, 48, 32, 32)
    unknown = Attention(("a", "b", "c"), "", ("",) * 4, 0, 0, 0, 0, 0)
    uneven = Attention(("d", "e", "f"), "", ("",) * 4, 1, 2, 3, 32, 16)
    parts: dict[str, Any] = {
        "kernels": 3, "kinds": {"gemm": 2, "conv": 1}, "precisions": {"fp16": 3}, "scratch": 1_500_000,
        "attentions": (FusedOrNot(known, True), FusedOrNot(unknown, False, "why"), FusedOrNot(uneven, False, "width")),
        "weights": 250_000, "engine": 60_000, "largest": (("one", (12, 2), "Half", 48_000_000),),
        "profiles": {"q": ((1,), (2,), (3,))}, "seconds": 1.26,
    }  # fmt: skip
    return Compiled("m.onnx", "SM89", "tensorrt 9", True, **{**parts, **changes})


def rows(builds: list[Compiled]) -> list[list[str]]:
    stream = io.StringIO()
    console = Console(file=stream, width=110)
    for part in tables(builds):
        console.print(part)
    return [[cell.strip() for cell in line.strip("│┃ \n").replace("┃", "│").split("│")]
            for line in stream.getvalue().splitlines() if line.strip() and line[0] not in "┏┡└├"]  # fmt: skip


def test_tables_of_two_builds() -> None:
    shown = rows([sample(), Compiled("n.onnx", "SM75", "tensorrt 9", False, ("it failed",))])
    assert shown == [
        ["TensorRT build (tensorrt 9)"],
        ["m.onnx", "n.onnx"],
        ["GPU", "SM89", "SM75"],
        *([label, value] for label, value in (
            ("kernels", "3"), ("gemm", "2"), ("conv", "1"), ("in fp16", "3"), ("attention fused", "1 of 3"),
            ("scratch", "1.5 MB"), ("weights", "0.2 MB"), ("engine", "0.1 MB"), ("seconds", "1.3"))),
        ["built", "", "no"],
        ["m.onnx"],
        ["attention", "heads", "queries", "keys", "width", "fused"],
        ["soft", "8", "64", "48", "32", "yes"],
        ["b", "?", "?", "?", "?", "why"],
        ["e", "1", "2", "3", "32/16", "width"],
        ["m.onnx"],
        ["largest tensors, by the node that makes them", "shape", "type", "size"],
        ["one", "12x2", "Half", "48.0 MB"],
        ["n.onnx: it failed"],
    ]  # fmt: skip


def test_nothing_to_detail_is_no_table() -> None:
    assert len(rows([sample(attentions=(), largest=())])) == 12


def test_data_are_plain() -> None:
    data = as_data(sample())
    assert data["fused"] == 1
    assert data["profiles"] == {"q": [[1], [2], [3]]}
    assert data["largest"] == [{"source": "one", "dims": (12, 2), "type": "Half", "bytes": 48_000_000}]
    assert data["attentions"][1]["name"] == "b"
    assert data["attentions"][1]["why"] == "why"
    assert data["seconds"] == 1.26
    assert "seconds" not in as_data(sample(), timed=False)


def test_profiles_by_hand_fill_each_other(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N,3] x, float[4] z) => (float[N,3] y) { y = Neg(x) }'
    onnx.save(parser.parse_model(text), path)
    usual, low, high = (2, 3), (1, 3), (8, 3)
    assert profiles_for(path) is None
    assert profiles_for(path, ("z:4",)) is None
    assert profiles_for(path, ("x:2x3",)) == {"x": (usual, usual, usual)}
    assert profiles_for(path, (), ("x:1x3",)) == {"x": (low, low, low)}
    assert profiles_for(path, (), (), ("x:8x3",)) == {"x": (high, high, high)}
    assert profiles_for(path, (), ("x:1x3",), ("x:8x3",)) == {"x": (low, high, high)}
    assert profiles_for(path, ("x:2x3",), ("x:1x3",)) == {"x": (low, usual, usual)}


@pytest.mark.parametrize(
    ("body", "typed"),
    [("y = Cast<to=10>(x)", True), ("y = Cast<to=16>(x)", True), ("y = Cast<to=11>(x)", False), ("y = Neg(x)", False),
     ("y = Cast<saturate=10, to=11>(x)", False), ("y = Softmax<axis=10>(x)", False)],
)  # fmt: skip
def test_trtexec_is_told_of_types_in_the_graph(tmp_path: Path, body: str, typed: bool) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(parser.parse_model(f'<ir_version: 9, opset_import: ["" : 19]> g (float[3] x) => (y) {{ {body} }}'), path)
    line = trtexec(path, None)
    assert line == f"trtexec --onnx={path} --saveEngine={path.with_suffix('.engine')}" + " --stronglyTyped" * typed


def built(compiled: Compiled) -> dict[str, Any]:
    """What `surgeon compile --html` hands to the page."""
    return {**as_data(compiled), "figures": figures(compiled)}


def page_of(builds: list[dict[str, Any]]) -> str:
    return to_html([Report("m.onnx", [Check("build", "pass", "", {"builds": builds})])], title="t", rules={})


def test_builds_on_the_page() -> None:
    failed = Compiled("n.onnx", "SM75", "tensorrt 9", False, ("it failed",))
    html = page_of([built(sample()), built(failed)])
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"</t[dh]>\s*<t[dh][^>]*>", " | ", html)))
    assert "figure | m.onnx | n.onnx GPU | SM89 | SM75 kernels | 3 | gemm | 2 |" in re.sub(r" +\|", " |", text)
    assert "attention | heads | queries | keys | width | fused soft | 8 | 64 | 48 | 32 | yes" in text
    assert "b | ? | ? | ? | ? | no: why e | 1 | 2 | 3 | 32/16 | no: width" in text
    assert "made by | shape | type | MB one | 12 × 2 | Half | 48.0" in text
    heads = [
        re.sub("<[^>]*>", "", part) for part in re.findall(r'<th scope="col"[^>]*class="number"[^>]*>(.*?)</th>', html)
    ]
    assert heads == ["m.onnx", "n.onnx", "heads", "queries", "keys", "width", "MB"]
    assert "What TensorRT built" not in page_of([])
    bare = page_of([built(sample(attentions=(), largest=()))])
    assert "Attention of" not in bare
    assert "Largest tensors" not in bare
