"""Ten models that TensorRT refuses, each with the places a good diagnosis names: (operator, node) pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

HEAD = '<ir_version: 10, opset_import: ["" : {opset}{more}]>\n'


@dataclass(frozen=True)
class Broken:
    """A model with what is wrong in it: `places` are the names of all nodes that are refused independently."""

    name: str
    model: onnx.ModelProto
    places: frozenset[str]


TEXTS: dict[str, tuple[int, str, str, tuple[str, ...]]] = {
    "opset-23 Attention in fp32 (parses, does not build)": (
        23,
        "",
        """g (float[1,2,16,64] q, float[1,2,16,64] k) => (float[1,2,16,64] y) {
          a = Relu(q)  b = Sigmoid(k)  [attention] c = Attention(a, b, b)  d = Neg(c)  y = Abs(d) }""",
        ("attention",),
    ),
    "omitted optional input before a bad node": (
        20,
        "",
        """g (float[1,3,8,8] x) => (float y) <float high = {6}, float[4] s = {1, 1, 2, 2}> {
          a = Clip(x, , high)  b = Resize<mode = "nearest">(a, , s)  c = Relu(b)  d = ReduceMean(c)  e = Reshape(b, two)
          [det] f = Det(e)  y = Add(f, d) }""".replace("float high", "int64[2] two = {-1, 16}, float high"),
        ("det",),
    ),
    "If with a bad branch": (
        20,
        "",
        """g (float[2,3] x, bool c) => (float[2,3] y) {
          a = Relu(x)
          [choice] b = If(c) <
            then_branch = t () => (float[2,3] u) { u = Neg(a) },
            else_branch = e () => (float[2,3] v) { w = Abs(a)  [shift] v = CumProd(w, zero) }>
          y = Sigmoid(b) }""".replace("=> (float[2,3] y)", "=> (float[2,3] y) <int64 zero = {0}>"),
        ("shift",),
    ),
    "custom operator in mid-graph, another fault after it": (
        20,
        ', "acme" : 1',
        """g (float[4,4] x) => (float[4,4] y, float z) {
          a = Relu(x)  [custom] b = acme.Swirl(a)  c = Sigmoid(b)  y = Neg(c)  [det] z = Det(a) }""",
        ("custom", "det"),
    ),
    "four independent faults": (
        20,
        "",
        """g (float[2,3] x, int64[1] axes) => (float[2,3] y, float[2,3] z, float[2,3] u) {
          a = Relu(x)  [mean] b = ReduceMean(a, axes)  [max] c = ReduceMax(a, axes)  y = Add(b, c)
          [norm] z, m, i = LayerNormalization(a, x)  [shift] u = CumProd(a, zero) }""".replace(
            "float[2,3] u)", "float[2,3] u) <int64 zero = {0}>"
        ),
        ("mean", "max", "norm", "shift"),
    ),
    "integer matrix product": (
        20,
        "",
        """g (int32[4,4] x) => (int32[4,4] y) { a = Abs(x)  [product] b = MatMul(a, x)  y = Neg(b) }""",
        ("product",),
    ),
    "UINT8 in mid-graph": (
        20,
        "",
        """g (float[4] x) => (float[4] y) {
          a = Relu(x)  [down] b = Cast<to = 2>(a)  c = Cast<to = 1>(b)  y = Neg(c) }""",
        ("down",),
    ),
    "TopK of 4000 (builder)": (
        20,
        "",
        """g (float[1,5000] x) => (float[1,4000] y) <int64[1] k = {4000}> {
          a = Relu(x)  [top] b, i = TopK(a, k)  y = Neg(b) }""",
        ("top",),
    ),
    "loop that grows its tensor (builder)": (
        20,
        "",
        """g (float[1,3] x) => (float[N,3] y) <int64 trips = {5}, bool go = {1}> {
          a = Relu(x)
          [loop] y = Loop(trips, go, a) <body = b (int64 i, bool c, float[M,3] s) => (bool d, float[P,3] t) {
            d = Identity(c)  t = Concat<axis = 0>(s, x) }> }""",
        ("loop",),
    ),
}


def broken(decoder: Path | None) -> Iterator[Broken]:
    """The nine small models, and `decoder` (a SAM2 mask decoder) with one LayerNormalization of three outputs."""
    if decoder is not None:
        model = onnx.load(decoder)
        node = [node for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
        node.output.extend(["bench_mean", "bench_deviation"])
        name = node.name or f"node_of_{node.output[0]}"
        yield Broken("SAM2 mask decoder, one LayerNormalization with three outputs", model, frozenset({name}))
    for name, (opset, more, text, places) in TEXTS.items():
        opset = 26 if "CumProd" in text else opset
        model = onnx.parser.parse_model(HEAD.format(opset=opset, more=more) + text)
        yield Broken(name, model, frozenset(places))
