"""Write a model in pieces, because serializing a large one whole takes more time and twice its size in memory.

The bytes are those of `SerializeToString` (https://protobuf.dev/programming-guides/encoding): fields in the order of
their numbers, a nested message as its key, its length and itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO

import onnx
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from surgery.graph.protos import copy_fields

# Field number << 3 | 2: a length and as many bytes.
GRAPH_KEY, NODE_KEY, INITIALIZER_KEY, RAW_KEY = b"\x3a", b"\x0a", b"\x2a", b"\x4a"
KEYS = {onnx.NodeProto: NODE_KEY, onnx.TensorProto: INITIALIZER_KEY}
MANY = 1 << 12  # elements
WIDTHS = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.DOUBLE: 8}  # bytes of an element in either of its two places
FIELDS = {
    message: {field.name: field.number for field in message.DESCRIPTOR.fields}
    for message in (onnx.ModelProto, onnx.GraphProto)
}


def write(model: onnx.ModelProto, stream: IO[bytes]) -> None:
    """Write a model to a file that can seek, initializer by initializer."""
    if _has_unknown_fields(model):
        stream.write(model.SerializeToString())
        return
    inside = (t for t in model.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL)
    size = sum(WIDTHS.get(tensor.data_type, 1) * math.prod(tensor.dims) for tensor in inside)
    room, needed = len(varint(size)), 0
    while room != needed:  # the length of the graph is known only after writing it
        room = needed or room
        stream.seek(0)
        stream.truncate()
        needed = len(varint(_write_with_room(model, stream, room)))


def _has_unknown_fields(model: onnx.ModelProto) -> bool:
    """Whether a later version of ONNX wrote fields that this one does not know, which only protobuf itself keeps."""
    return any(map(_has_unknown, (model, model.graph)))


def _has_unknown(message: Message) -> bool:
    return len(UnknownFieldSet(message)) > 0


def _write_with_room(model: onnx.ModelProto, stream: IO[bytes], room: int) -> int:
    """Write the model with so many bytes for the length of its graph, and return that length."""
    stream.write(_around(model, "graph", before=True))
    stream.write(GRAPH_KEY + b"\0" * room)
    start = stream.tell()
    stream.writelines(_graph_pieces(model.graph))
    end = stream.tell()
    stream.seek(start - room)
    stream.write(varint(end - start))
    stream.seek(end)
    stream.write(_around(model, "graph", before=False))
    return end - start


def _graph_pieces(graph: onnx.GraphProto) -> Iterator[bytes]:
    """The serialized graph in pieces: protobuf takes long for a large message, because it grows its buffer again."""
    yield _around(graph, "initializer", before=True)
    for tensor in graph.initializer:
        pieces = _pieces(tensor)
        yield INITIALIZER_KEY + varint(sum(map(len, pieces)))
        yield from pieces
    yield _around(graph, "initializer", before=False)


def in_graph(part: onnx.NodeProto | onnx.TensorProto) -> Iterator[bytes]:
    """The bytes of a model with nothing but this node or initializer; behind those of a model they add it to that."""
    pieces = _pieces(part)
    length = sum(map(len, pieces))
    head = KEYS[type(part)] + varint(length)
    yield GRAPH_KEY + varint(len(head) + length) + head
    yield from pieces


def _pieces(part: onnx.NodeProto | onnx.TensorProto) -> list[bytes]:
    """The serialized node or tensor; many raw bytes are a piece of their own, because protobuf copies them twice."""
    if isinstance(part, onnx.TensorProto) and math.prod(part.dims) >= MANY and not _has_unknown(part):
        *others, (last, raw) = part.ListFields()
        if last.name == "raw_data":
            head = onnx.TensorProto(**{field.name: value for field, value in others})
            return [head.SerializeToString() + RAW_KEY + varint(len(raw)), raw]
    return [part.SerializeToString()]


def _around(message: onnx.ModelProto | onnx.GraphProto, field: str, before: bool) -> bytes:
    """The serialized fields of a message before or after one field."""
    numbers = FIELDS[type(message)]
    left_out = {name for name, number in numbers.items() if (number >= numbers[field]) is before}
    copy = type(message)()
    copy_fields(message, copy, left_out | {field})
    return bytes(copy.SerializeToString())


def size_at_most(model: onnx.ModelProto) -> int:
    """An upper bound of the message's size in bytes; the exact size is known only after writing it."""
    sides = [
        (message, field, side)
        for message, field in ((model, "graph"), (model.graph, "initializer"))
        for side in (True, False)
    ]
    around = sum(len(_around(message, field, before=side)) for message, field, side in sides)
    return around + 16 + sum(16 + _tensor_at_most(tensor) for tensor in model.graph.initializer)


def _tensor_at_most(tensor: onnx.TensorProto) -> int:
    width = WIDTHS.get(tensor.data_type)
    if width is None or tensor.doc_string or tensor.external_data or tensor.metadata_props:
        return int(tensor.ByteSize())
    return int(width * math.prod(tensor.dims)) + 12 * len(tensor.dims) + 4 * len(tensor.name) + 64


def varint(number: int) -> bytes:
    """A non-negative number as a protobuf varint: seven bits a byte, the lowest first."""
    pieces = bytearray()
    while number >= 0x80:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)
