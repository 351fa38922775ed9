"""Each rule about what TensorRT fuses is held against a real build of a small model, and so is each example of it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from verify.tensorrt import engine
from verify.tensorrt.attention import find_attentions, obstacle
from verify.tensorrt.compile import compile_model

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")
PLAIN = "kt = Transpose<perm=[0,1,3,2]>(k)  s = MatMul(q, kt)  p = Softmax<axis=-1>(s)  y = MatMul(p, v)"
SCORES = "kt = Transpose<perm=[0,1,3,2]>(k)  s = MatMul(q, kt)"


def text(
    body: str = PLAIN,
    q: str = "1,2,64,32",
    k: str = "1,2,64,32",
    v: str = "1,2,64,32",
    y: str = "1,2,64,32",
    dtype: str = "float16",
    more: str = "",
    constants: str = "",
    out: str = "",
) -> str:
    inputs = f"{dtype}[{q}] q, {dtype}[{k}] k, {dtype}[{v}] v{', ' + more if more else ''}"
    outputs = f"{dtype}[{y}] y{', ' + out if out else ''}"
    held = f"<{constants}>" if constants else ""
    return f'<ir_version: 9, opset_import: ["" : 18]> a ({inputs}) => ({outputs}) {held} {{ {body} }}'


FUSED = {
    "softmax written out, few keys": text(
        f"{SCORES}  m = ReduceMax<keepdims=1>(s, a)  d = Sub(s, m)  e = Exp(d)  t = ReduceSum<keepdims=1>(e, a) "
        "p = Div(e, t)  y = MatMul(p, v)", constants="int64[1] a = {-1}"),
    "plain": text(),
    "bfloat16": text(dtype="bfloat16"),
    "width that is no multiple of 8": text(q="1,2,64,36", k="1,2,64,36", v="1,2,64,36", y="1,2,64,36"),
    "key stored transposed": text("s = MatMul(q, k)  p = Softmax<axis=-1>(s)  y = MatMul(p, v)", k="1,2,32,64"),
    "softmax and mask in fp32": text(
        f"{SCORES}  w = Cast<to=1>(s)  m = Add(w, b)  h = Softmax<axis=-1>(m)  p = Cast<to=10>(h)  y = MatMul(p, v)",
        more="float[1,1,64,64] b",
    ),
    "boolean mask": text(f"{SCORES}  m = Where(b, s, c)  p = Softmax<axis=-1>(m)  y = MatMul(p, v)",
                         more="bool[1,1,64,64] b", constants="float16 c = {-10000}"),
    "scaled scores": text(f"{SCORES}  m = Div(s, c)  p = Softmax<axis=-1>(m)  y = MatMul(p, v)",
                          constants="float16 c = {8}"),
    "einsum": text('s = Einsum<equation="bhnd,bhmd->bhnm">(q, k)  p = Softmax<axis=-1>(s) '
                   'y = Einsum<equation="bhnm,bhmd->bhnd">(p, v)'),
    "values padded to the width of the keys": text(
        f"{SCORES}  p = Softmax<axis=-1>(s)  w = Concat<axis=3>(v, z)  o = MatMul(p, w)  y = Slice(o, b, e, a)",
        v="1,2,64,16", y="1,2,64,16", more="float16[1,2,64,16] z",
        constants="int64[1] b = {0}, int64[1] e = {16}, int64[1] a = {3}",
    ),
}  # fmt: skip

NOT_FUSED = {
    "fp32": (text(dtype="float"), "it multiplies its query in fp32; only fp16 and bf16 are fused"),
    "fp32 weights": (
        text(f"{SCORES}  w = Cast<to=1>(s)  p = Softmax<axis=-1>(w)  z = Cast<to=1>(v)  o = MatMul(p, z)  "
             "y = Cast<to=10>(o)"),
        "it multiplies its weights in fp32; only fp16 and bf16 are fused",
    ),
    "narrow values": (
        text(v="1,2,64,16", y="1,2,64,16"),
        "keys are 32 wide and values 16; only equal widths are fused",
    ),
    "narrow head": (
        text(q="1,2,64,8", k="1,2,64,8", v="1,2,64,8", y="1,2,64,8"),
        "a head is 8 wide; only 16 to 256 are fused",
    ),
    "one head": (
        text(q="1,1,64,32", k="1,1,64,32", v="1,1,64,32", y="1,1,64,32"),
        "one head and 64 queries are too few for the fused kernel",
    ),
    "softcap": (
        text(f"{SCORES}  m = Tanh(s)  p = Softmax<axis=-1>(m)  y = MatMul(p, v)"),
        "Tanh stands between its products",
    ),
    "weights are an output": (
        text(out="float16[1,2,64,64] p"),
        "'p' is a graph output",
    ),
    "scores are read elsewhere": (
        text(f"{PLAIN}  n = Abs(s)", out="float16[1,2,64,64] n"),
        "'s' is also read by Abs 'node_of_n'",
    ),
    "softmax written out": (
        text(f"{SCORES}  m = ReduceMax<keepdims=1>(s, a)  d = Sub(s, m)  e = Exp(d)  t = ReduceSum<keepdims=1>(e, a) "
             "p = Div(e, t)  y = MatMul(p, v)", q="1,2,1024,32", k="1,2,1024,32", v="1,2,1024,32", y="1,2,1024,32",
             constants="int64[1] a = {-1}"),
        "its softmax is written out in smaller operators",
    ),
    "scores transposed": (
        text("qt = Transpose<perm=[0,1,3,2]>(q)  u = MatMul(k, qt)  s = Transpose<perm=[0,1,3,2]>(u) "
             "p = Softmax<axis=-1>(s)  y = MatMul(p, v)"),
        "Transpose stands between its products",
    ),
    "one key for several heads": (
        text(k="1,1,64,32", v="1,1,64,32"),
        "one key serves several heads by broadcasting",
    ),
}  # fmt: skip


def inferred(source: str) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(parser.parse_model(source))


@pytest.mark.parametrize("name", FUSED)
def test_no_obstacle_is_seen_where_there_is_none(name: str) -> None:
    (found,) = find_attentions(inferred(FUSED[name]))
    assert obstacle(found) == ""


@pytest.mark.parametrize("name", NOT_FUSED)
def test_the_obstacle_is_named(name: str) -> None:
    source, reason = NOT_FUSED[name]
    (found,) = find_attentions(inferred(source))
    assert obstacle(found) == reason


@needs_tensorrt
@pytest.mark.parametrize("name", [*FUSED, *NOT_FUSED])
def test_the_builder_agrees(name: str, tmp_path: Path) -> None:
    source = FUSED[name] if name in FUSED else NOT_FUSED[name][0]
    path = tmp_path / "attention.onnx"
    onnx.save(parser.parse_model(source), path)
    built = compile_model(path)
    assert built.ok, built.messages
    assert [found.fused for found in built.attentions] == [name in FUSED]
    assert built.fused_kernels == int(name in FUSED)


def test_the_operator_is_an_attention() -> None:
    model = parser.parse_model(
        '<ir_version: 11, opset_import: ["" : 23]> a (float[1,2,64,32] q, float[1,2,64,32] k, float[1,2,64,32] v) '
        "=> (float[1,2,64,32] y) { y = Attention(q, k, v) }"
    )
    (found,) = find_attentions(model)
    assert (found.heads, found.queries, found.key_width) == (2, 64, 32)
    assert "fp32" in obstacle(found)


def test_softmax_without_products_is_no_attention() -> None:
    model = parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> a (float[2] x) => (float[2] y) {y=Softmax(x)}')
    assert find_attentions(model) == []
