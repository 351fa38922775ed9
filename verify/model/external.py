"""External weights of a model: find, check and read the files beside it that hold them.

A file outside the model's folder is never opened, whatever the model says, also where a symbolic link leads there.
"""

from __future__ import annotations

import ntpath
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError
from verify.model.files import require_content
from verify.model.walk import tensors

if TYPE_CHECKING:
    import onnx


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Tensors whose values are in another file, also in graphs inside nodes and in function bodies."""
    return (tensor for tensor in tensors(model) if tensor.data_location == tensor.EXTERNAL)


def external_files(path: Path, model: onnx.ModelProto) -> list[Path]:
    """The files that hold weights of the model at `path`, in order of first use."""
    return list(dict.fromkeys(path.parent / external_entry(tensor)[0] for tensor in external_tensors(model)))


def external_entry(tensor: onnx.TensorProto) -> tuple[str, int, int | None]:
    """Location, offset and length (None: to the end of the file) of a tensor's external data, in bytes.

    Raises:
        SurgeonError: offset or length is not a number from 0 up.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        length = int(entries["length"]) if entries.get("length") else None
        offset = int(entries.get("offset") or 0)
        if offset < 0 or (length or 0) < 0:
            raise ValueError
    except ValueError:
        message = f"offset or length of the external data of {tensor.name!r} is not a number; export the model again"
        raise SurgeonError(message) from None
    return entries.get("location", ""), offset, length


def external_path(tensor: onnx.TensorProto, folder: str | os.PathLike[str]) -> Path:
    """The file that holds a tensor's external data, which is there and inside `folder`, the model's.

    Raises:
        SurgeonError: it is missing or outside.
    """
    location = external_entry(tensor)[0]
    what = f"external data {location!r} of {tensor.name!r}"
    if "\0" in location:
        raise SurgeonError(f"{what} is not a file name; export the model again")
    base = os.path.realpath(folder or ".")
    path = os.path.realpath(os.path.join(base, location))
    upwards = location.replace("\\", "/").split("/")[0] == ".."
    if not location or upwards or ntpath.isabs(location) or os.path.commonpath([base, path]) != base:
        raise SurgeonError(f"{what} is outside the model's folder and was not opened; copy the file into the folder")
    if not os.path.isfile(path):
        raise SurgeonError(f"{what} is missing; put the file beside the model")
    return Path(path)


def check_external(model: onnx.ModelProto, folder: Path) -> None:
    """Raise SurgeonError where external data is outside `folder`, missing, cut short or a Git LFS pointer."""
    for tensor in external_tensors(model):
        location, offset, length = external_entry(tensor)
        path, end = external_path(tensor, folder), offset + (length or 0)
        size = path.stat().st_size
        if size < end:
            require_content(path)
            raise SurgeonError(
                f"external data {location!r} of {tensor.name!r} is cut short ({size} of {end} bytes); fetch it again"
            )


def read_external(tensor: onnx.TensorProto, folder: str | os.PathLike[str]) -> bytes:
    """The bytes of a tensor's external data.

    Raises:
        SurgeonError: they are missing, outside `folder`, cut short, or cannot be read.
    """
    location, offset, length = external_entry(tensor)
    path = external_path(tensor, folder)
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read() if length is None else stream.read(length)
    except OSError as error:
        raise SurgeonError(f"{path}: cannot be read ({error.strerror or error})") from None
    if length is not None and len(data) != length:
        raise SurgeonError(f"external data {location!r} of {tensor.name!r} is cut short; fetch it again")
    return data
