"""A temporary folder for trying parts of a model: it holds the weights once, so that each part is a small file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import onnx
from onnx import external_data_helper

from surgery.graph.protos import copy_fields
from verify.model.walk import is_larger

EMBEDDED = 1024


class ScratchFolder:
    """A temporary folder that is deleted when the `with` block ends."""

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        """`model` was loaded without external data, which lies in `folder`."""
        self._held = tempfile.TemporaryDirectory(prefix="surgeon-", ignore_cleanup_errors=True)
        self.folder = Path(self._held.name)
        self.model = onnx.ModelProto()
        copy_fields(model, self.model, {"graph"})
        copy_fields(model.graph, self.model.graph, {"initializer"})
        links: dict[str, str] = {}
        with (self.folder / "weights.bin").open("wb") as weights:
            for tensor in model.graph.initializer:
                copy = self.model.graph.initializer.add()
                external = tensor.data_location == onnx.TensorProto.EXTERNAL
                if not external and tensor.data_type != onnx.TensorProto.STRING and is_larger(tensor, EMBEDDED):
                    _move_out(tensor, copy, weights)
                    continue
                copy.CopyFrom(tensor)
                if external:
                    self._link(copy, folder, links)

    def _link(self, tensor: onnx.TensorProto, folder: Path, links: dict[str, str]) -> None:
        for entry in tensor.external_data:
            if entry.key == "location":
                source = (folder / entry.value).absolute()
                if str(source) not in links:
                    links[str(source)] = f"data{len(links)}"
                    os.symlink(source, self.folder / links[str(source)])
                entry.value = links[str(source)]

    def write(self, model: onnx.ModelProto, name: str = "try.onnx") -> Path:
        """Write a model made from `self.model` beside its weights. The next call with this name replaces the file."""
        path = self.folder / name
        path.write_bytes(model.SerializeToString())
        return path

    def __enter__(self) -> ScratchFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.cleanup()


def _move_out(tensor: onnx.TensorProto, copy: onnx.TensorProto, weights: IO[bytes]) -> None:
    """Write the values to the end of `weights`, and make `copy` the tensor with its values there."""
    if not tensor.HasField("raw_data"):
        tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name)
    data = tensor.raw_data
    copy_fields(tensor, copy, {"raw_data"})
    copy.raw_data = b""  # ONNX moves no tensor out that has none
    external_data_helper.set_external_data(copy, "weights.bin", weights.tell(), len(data))
    copy.ClearField("raw_data")
    weights.write(data)
