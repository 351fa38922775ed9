"""Gives a model as a file: a path is used as it is, a `ModelProto` is written to a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError

if TYPE_CHECKING:
    import onnx


@contextmanager
def on_disk(model: str | os.PathLike[str] | onnx.ModelProto) -> Iterator[tuple[Path, str]]:
    """The path of a model and the name that a report gives it: the path, or the name of the graph.

    Raises:
        SurgeonError: it is neither a path nor a `ModelProto`, or a `ModelProto` of 2 GB or more.
    """
    import onnx

    if isinstance(model, (str, os.PathLike)):
        yield Path(model), str(Path(model))
        return
    if not isinstance(model, onnx.ModelProto):
        raise SurgeonError(f"model: give a path or an onnx.ModelProto, not {type(model).__name__}")
    with tempfile.TemporaryDirectory(prefix="surgeon-") as folder:
        path = Path(folder, "model.onnx")
        try:
            path.write_bytes(model.SerializeToString())
        except (ValueError, RuntimeError) as error:
            raise SurgeonError(f"model: cannot be written as one file ({error}); save it and give its path") from None
        name = model.graph.name or "model"
        try:
            yield path, name
        except SurgeonError as error:
            raise type(error)(str(error).replace(str(path), name)) from error
