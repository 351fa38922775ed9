"""Read a model's graph for judging: everything but weights in external files, whose places are checked instead."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError
from verify.model.files import require_content
from verify.model.walk import tensors

if TYPE_CHECKING:
    import onnx

LIMIT = 2**31 - 1


def read_model(path: Path) -> onnx.ModelProto:
    """The model at `path`, weights in external files left where they are.

    Raises:
        SurgeonError: missing, unreadable, not ONNX, cut short, a Git LFS pointer, or with external data that is
            missing, too short, a pointer, or outside the model's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        size = path.stat().st_size
        if path.is_dir():
            raise SurgeonError(f"{path}: a folder; name the .onnx files in it")
        if size > LIMIT:
            raise SurgeonError(f"{path}: above 2 GB, which no reader takes; store its weights in an external file")
        require_content(path)
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    except (DecodeError, ValueError, UnicodeError):
        raise SurgeonError(f"{path}: not an ONNX model, or cut short; fetch or export it again") from None
    if not model.graph.node and not model.graph.output:
        raise SurgeonError(f"{path}: not an ONNX model (no graph inside)")
    for place in external_places(model):
        _check_place(path, *place)
    return model


def external_files(path: Path, model: onnx.ModelProto) -> list[Path]:
    """Files beside the model that hold its weights, in order of first use."""
    return list(dict.fromkeys(path.parent / location for location, _ in external_places(model)))


def external_places(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    """(location, end in bytes or 0 when not said) of each tensor stored outside, also inside branches and functions."""
    for tensor in tensors(model):
        if tensor.data_location == tensor.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            yield entries.get("location", ""), _number(entries.get("offset")) + _number(entries.get("length"))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _check_place(path: Path, location: str, end: int) -> None:
    flat = posixpath.normpath(location.replace("\\", "/"))
    if not location or posixpath.isabs(flat) or ntpath.isabs(location) or flat.split("/")[0] == "..":
        raise SurgeonError(f"{path}: external data at {location!r}, outside the model's folder; it was not opened")
    try:
        size = (path.parent / flat).stat().st_size
        if size < end:
            require_content(path.parent / flat)
    except OSError as error:
        reason = error.strerror or error
        raise SurgeonError(f"{path}: external data {location!r}: {reason}; it belongs beside the model") from None
    if size < end:
        raise SurgeonError(f"{path}: external data {location!r} is cut short ({size} of {end} bytes); fetch it again")
