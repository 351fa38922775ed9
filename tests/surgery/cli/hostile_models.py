"""Files that mean harm or came to harm, by name: bytes to write, and what `surgeon diagnose` has to answer."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper

HEAD = '<ir_version: 10, opset_import: ["" : 20]>\n'
WHOLE = onnx.parser.parse_model(
    HEAD
    + """whole (float[2,3] x, bool c, int64[1] axes) => (float[2,3] y) <float[3] w = {1, 2, 3}> {
      a = Add(x, w)  b = ReduceMean<keepdims = 1>(a, axes)
      y = If(c) <then_branch = t () => (float[2,3] u) { u = Mul(a, b) },
                 else_branch = e () => (float[2,3] v) { v = BitShift<direction = "LEFT">(a, a) }> }"""
).SerializeToString()
UNREADABLE, WANTING, ANY = {2}, {1}, {0, 1, 2}
NAMES = (
    "",
    " ",
    "\n",
    "../../etc/passwd",
    "'; DROP TABLE",
    "<script>",
    "\x1b[31m",
    "%s%n",
    "a" * 5000,
    "\u202eabc",
    "{x}",
)


def hostile() -> Iterator[tuple[str, bytes, set[int]]]:
    """(name, bytes of the file, exit codes that are right)."""
    yield from _wrong_kinds()
    yield from _truncated()
    yield from _flipped()
    yield from _shapes()
    yield from _graphs()
    yield from _headers()
    yield from _external()
    for number, name in enumerate(NAMES):
        yield f"name-{number}", _relu(node=name, output=name or "y"), ANY


def _wrong_kinds() -> Iterator[tuple[str, bytes, set[int]]]:
    kinds = {
        "empty": b"",
        "zero": b"\0",
        "zeros": bytes(4096),
        "text": b"hello world\n" * 50,
        "json": json.dumps({"ir_version": 8}).encode(),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "zip": b"PK\x03\x04" + bytes(200),
        "gzip": gzip.compress(WHOLE),
        "pickle": pickle.dumps({"a": [1, 2]}),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(300),
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "html": b"<!DOCTYPE html><title>404</title>",
        "twice": b"\xff" * 1000,
        "bom": b"\xef\xbb\xbf" + WHOLE,
    }
    yield from ((f"kind-{name}", data, UNREADABLE) for name, data in kinds.items())


def _truncated() -> Iterator[tuple[str, bytes, set[int]]]:
    for step in range(1, 41):
        size = len(WHOLE) * step // 41
        yield f"truncated-{size}", WHOLE[:size], ANY


def _flipped() -> Iterator[tuple[str, bytes, set[int]]]:
    generator = random.Random(0)
    for number in range(60):
        data = bytearray(WHOLE)
        for _ in range(1 + number % 4):
            data[generator.randrange(len(data))] = generator.randrange(256)
        yield f"flipped-{number}", bytes(data), ANY


def _relu(node: str = "n", output: str = "y", dims: list[int | str] | None = None, **fields: object) -> bytes:
    dims = [2] if dims is None else dims
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], [output], name=node)],
        "g",
        [value("x", TensorProto.FLOAT, dims)],
        [value(output, TensorProto.FLOAT, dims)],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    for name, content in fields.items():
        setattr(model, name, content)
    return bytes(model.SerializeToString())


def _weights(dims: list[int], data: bytes = b"", dtype: int = TensorProto.FLOAT) -> bytes:
    model = onnx.ModelProto.FromString(_relu())
    model.graph.initializer.append(TensorProto(name="w", dims=dims, data_type=dtype, raw_data=data))
    model.graph.node[0].op_type = "Add"
    model.graph.node[0].input.append("w")
    return bytes(model.SerializeToString())


def _shapes() -> Iterator[tuple[str, bytes, set[int]]]:
    for number, dims in enumerate(([1 << 62], [1 << 31, 1 << 31], [-5], [0], [1 << 40, 0], [2**63 - 1] * 8)):
        yield f"input-dims-{number}", _relu(dims=list(dims)), ANY
        yield f"weight-dims-{number}", _weights(list(dims)), ANY
    yield "weight-too-short", _weights([2, 2], bytes(3)), ANY
    yield "weight-too-long", _weights([2], bytes(1000)), ANY
    yield "weight-dtype", _weights([2], bytes(8), 77), ANY
    yield "weight-string", _weights([2], bytes(8), TensorProto.STRING), ANY


def _parsed(text: str) -> bytes:
    return bytes(onnx.parser.parse_model(HEAD + text).SerializeToString())


def _graphs() -> Iterator[tuple[str, bytes, set[int]]]:
    texts = {
        "cycle": "g (float[2] x) => (float[2] y) { a = Add(x, b)  b = Relu(a)  y = Neg(b) }",
        "self-loop": "g (float[2] x) => (float[2] y) { y = Add(x, y) }",
        "backwards": "g (float[2] x) => (float[2] y) { y = Neg(a)  a = Relu(x) }",
        "undefined": "g (float[2] x) => (float[2] y) { y = Add(x, nothing) }",
        "twice": "g (float[2] x) => (float[2] y) { y = Relu(x)  y = Neg(x) }",
        "no-node": "g (float[2] x) => (float[2] x) { }",
        "unmade-output": "g (float[2] x) => (float[2] y) { z = Relu(x) }",
        "input-twice": "g (float[2] x, float[2] x) => (float[2] y) { y = Relu(x) }",
        "unknown-operator": "g (float[2] x) => (float[2] y) { y = Frobnicate(x) }",
        "no-input": "g () => (float[2] y) { y = Relu() }",
        "too-many-inputs": "g (float[2] x) => (float[2] y) { y = Relu(x, x, x, x) }",
    }
    yield from ((f"graph-{name}", _parsed(text), ANY) for name, text in texts.items())
    chain = "".join(f" t{i + 1} = Relu(t{i})" for i in range(600))
    yield "graph-long", _parsed(f"g (float[2] t0) => (float[2] t600) {{{chain} }}"), {0, 1}
    for depth in (4, 20):
        yield f"graph-deep-{depth}", _nested(depth), ANY


def _nested(depth: int) -> bytes:
    value = helper.make_tensor_value_info
    inner = helper.make_node("Relu", ["x"], ["y0"])
    for level in range(depth):
        body = helper.make_graph([inner], f"b{level}", [], [value(f"y{level}", TensorProto.FLOAT, [2])])
        inner = helper.make_node("If", ["c"], [f"y{level + 1}"], then_branch=body, else_branch=body)
        if level >= 4:  # two branches at every level would double the file each time
            del inner.attribute[1]
    graph = helper.make_graph(
        [inner],
        "g",
        [value("x", TensorProto.FLOAT, [2]), value("c", TensorProto.BOOL, [])],
        [value(f"y{depth}", TensorProto.FLOAT, [2])],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())


def _headers() -> Iterator[tuple[str, bytes, set[int]]]:
    for version in (0, 1, 3, 99, 2**31):
        yield f"ir-{version}", _relu(ir_version=version), ANY
    for domain, version in (("", 0), ("", 1), ("", 6), ("", 999), ("", -1), ("nobody", 1), ("ai.onnx", 20)):
        model = onnx.ModelProto.FromString(_relu())
        model.opset_import[0].domain, model.opset_import[0].version = domain, version
        yield f"opset-{domain}-{version}", model.SerializeToString(), ANY
    model = onnx.ModelProto.FromString(_relu())
    del model.opset_import[:]
    yield "opset-none", model.SerializeToString(), ANY
    model = onnx.ModelProto.FromString(_relu())
    model.graph.node[0].domain, model.graph.node[0].op_type = "me", "F"
    call = helper.make_node("F", ["a"], ["b"], domain="me")
    model.functions.append(helper.make_function("me", "F", ["a"], ["b"], [call], [helper.make_opsetid("me", 1)]))
    model.opset_import.add(domain="me", version=1)
    yield "function-calls-itself", model.SerializeToString(), ANY
    yield "no-graph", onnx.ModelProto(ir_version=10).SerializeToString(), UNREADABLE
    yield "training", _relu() + onnx.ModelProto(training_info=[onnx.TrainingInfoProto()]).SerializeToString(), ANY


def _external() -> Iterator[tuple[str, bytes, set[int]]]:
    places = {
        "missing": {"location": "nothing.bin"},
        "outside": {"location": "../outside.bin"},
        "absolute": {"location": "/etc/passwd"},
        "device": {"location": "/dev/zero"},
        "itself": {"location": "."},
        "empty": {"location": ""},
        "none": {},
        "nul": {"location": "a\0b"},
        "long": {"location": "a" * 5000},
        "negative": {"location": "data.bin", "offset": "-4", "length": "8"},
        "beyond": {"location": "data.bin", "offset": "1000000", "length": "8"},
        "huge": {"location": "data.bin", "length": str(1 << 62)},
        "words": {"location": "data.bin", "offset": "abc"},
        "short": {"location": "data.bin", "length": "64"},
    }
    for name, entries in places.items():
        model = onnx.ModelProto.FromString(_weights([2]))
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
        yield f"external-{name}", model.SerializeToString(), UNREADABLE
