"""Load and save ONNX models: external data, hostile input refused, atomic write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError

from verify.errors import SurgeonError


def load(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Read a model and its external data.

    Raises:
        SurgeonError: the file is missing, truncated, not ONNX, or its external data is missing or outside its folder.
    """
    source = Path(path)
    if not source.is_file():
        raise SurgeonError(f"{source}: no such file")
    try:
        model = onnx.load(source)
    except DecodeError:
        raise SurgeonError(f"{source}: not an ONNX model, or cut short; fetch or export it again") from None
    except (onnx.checker.ValidationError, FileNotFoundError, ValueError) as error:
        raise SurgeonError(f"{source}: external data cannot be read: {error}") from None
    if not model.HasField("graph"):
        raise SurgeonError(f"{source}: not an ONNX model (no graph inside)")
    return model


def save(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model so that the target is either the whole new file or what it was before."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(model.SerializeToString())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def to_graph(model: onnx.ModelProto) -> gs.Graph:
    """The model as an onnx-graphsurgeon graph."""
    return gs.import_onnx(model)


def to_model(graph: gs.Graph, original: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as a model that keeps what onnx-graphsurgeon does not carry of the original."""
    model = gs.export_onnx(graph)
    model.metadata_props.extend(original.metadata_props)
    return model
