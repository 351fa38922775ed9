"""BitCast between types of the same width.

What it does: computes the bits of a float32 (or the float32 of the bits) by comparing with, and multiplying by, powers
of two; between int8 and uint8 it adds or subtracts 256.
Why: TensorRT's parser has no BitCast.
Before → After: `y = BitCast<to = INT32>(x)` → `e = <8 steps that halve the exponent's range>; y = (e + 127) * 2^23 +
Cast<int32>(<mantissa>) ..`
Leaves alone: 64-bit types (TensorRT narrows float64 to float32 and loses their bits), 16-bit types, and bits that
become booleans.
Numerics: exact for every number, zeros with their sign and infinities, and for subnormals where the device keeps them.
NaN becomes the quiet NaN 0x7fc00000: its sign and payload cannot be computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.nodes import dtype_of
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

PAIRS = {
    ("float32", "int32"): "bits_of",
    ("int32", "float32"): "number_of",
    ("int8", "uint8"): "unsigned",
    ("uint8", "int8"): "signed",
    ("bool", "uint8"): "byte",
}
QUIET_NAN = 0x7FC00000
INFINITE = 0x7F800000


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "BitCast"):
        source, wanted = node.inputs[0].dtype, dtype_of(int(node.attrs.get("to", 0)))
        if source is None or wanted is None:
            continue
        pair = (np.dtype(source).name, np.dtype(wanted).name)
        if pair in PAIRS:
            message = f"{context.target.name} has no BitCast"
            yield finding(message, node, partial(rewrite, graph, node, context, PAIRS[pair]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, how: str) -> None:
    """The same bits by arithmetic."""
    build = Build(graph, node, context, PASS.code)
    data = node.inputs[0]
    if how == "bits_of":
        build.replace(bits_of(build, data))
    elif how == "number_of":
        build.replace(number_of(build, data))
    else:
        wide = build.cast(data, np.int32)
        if how == "byte":
            build.replace(build.cast(wide, np.uint8))
        elif how == "unsigned":
            wide = build("Where", build("Less", wide, 0), build("Add", wide, 256), wide)
            build.replace(build.cast(wide, np.uint8))
        else:
            wide = build("Where", build("Less", wide, 128), wide, build("Sub", wide, 256))
            build.replace(build.cast(wide, np.int8))


def bits_of(build: Build, data: gs.Tensor) -> gs.Tensor:
    """int32 bits of float32: the magnitude brought into [1, 2), counting the powers of two taken out."""
    size, exponent = build("Abs", data), np.int32(0)
    for step in (64, 32, 16, 8, 4, 2, 1):  # down to below 2
        large = build("GreaterOrEqual", size, np.float32(2.0**step))
        size = build("Where", large, build("Mul", size, np.float32(2.0**-step)), size)
        exponent = build("Add", exponent, build("Where", large, np.int32(step), np.int32(0)))
    for step in (64, 32, 16, 8, 4, 2, 1):  # up to 1 and above
        tiny = build("Less", size, np.float32(2.0 ** (1 - step)))
        size = build("Where", tiny, build("Mul", size, np.float32(2.0**step)), size)
        exponent = build("Sub", exponent, build("Where", tiny, np.int32(step), np.int32(0)))
    return assembled(build, data, size, exponent)


def assembled(build: Build, data: gs.Tensor, size: gs.Tensor, exponent: gs.Tensor) -> gs.Tensor:
    """Bits of sign, exponent and mantissa; zeros, subnormals, infinities and NaN are handled separately."""
    mantissa = build("Cast", build("Mul", size, np.float32(2.0**23)), to=onnx.TensorProto.INT32)
    normal = build("Add", build("Mul", build("Add", exponent, 126), np.int32(2**23)), mantissa)
    magnitude = build("Abs", data)
    scaled = build("Mul", build("Mul", magnitude, np.float32(2.0**75)), np.float32(2.0**74))
    scaled = build("Where", build("Less", scaled, np.float32(2.0**24)), scaled, np.float32(0))
    subnormal = build("Cast", scaled, to=onnx.TensorProto.INT32)
    bits = build("Where", build("Less", magnitude, np.float32(2.0**-126)), subnormal, normal)
    bits = build("Where", build("Equal", magnitude, np.float32(np.inf)), np.int32(INFINITE), bits)
    # The sign of zero shows in its reciprocal.
    negative = build("Less", build("Div", np.float32(1), data), np.float32(0))
    negative = build("Or", negative, build("Less", data, np.float32(0)))
    bits = build("Where", negative, build("Add", bits, np.int32(-(2**31))), bits)
    return build("Where", build("IsNaN", data), np.int32(QUIET_NAN), bits)


def number_of(build: Build, data: gs.Tensor) -> gs.Tensor:
    """float32 of int32 bits: mantissa times a power of two from a table."""
    negative = build("Less", data, 0)
    rest = build("Where", negative, build("Add", data, np.int32(-(2**31))), data)
    exponent = build("Div", rest, np.int32(2**23))
    mantissa = build("Sub", rest, build("Mul", exponent, np.int32(2**23)))
    field = np.arange(256)
    power = np.ldexp(1.0, np.clip(field, 1, 254) - 127).astype(np.float32)
    whole = build("Where", build("Greater", exponent, 0), build("Add", mantissa, np.int32(2**23)), mantissa)
    fraction = build("Mul", build.cast(whole, np.float32), np.float32(2.0**-23))
    value = build("Mul", fraction, build("Gather", build.constant(power), exponent))
    special = build("Where", build("Equal", mantissa, 0), np.float32(np.inf), np.float32(np.nan))
    value = build("Where", build("Equal", exponent, 255), special, value)
    # The sign is multiplied in: Where of onnxruntime loses that of zero.
    return build("Mul", value, build("Where", negative, np.float32(-1), np.float32(1)))


PASS = Pass(code="SG144", name="bit-cast", find=find, exact=False, kind="replace", feature="bitcast")
