"""A temporary folder for trying parts of a model: it holds the weights once, so that each part is a small file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType

import onnx
from onnx import external_data_helper

EMBEDDED = 1024


class ScratchFolder:
    """A temporary folder that is deleted when the `with` block ends."""

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        """`model` was loaded without external data, which lies in `folder`."""
        self._held = tempfile.TemporaryDirectory(prefix="surgeon-", ignore_cleanup_errors=True)
        self.folder = Path(self._held.name)
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self._number = 0
        links: dict[str, str] = {}
        with (self.folder / "weights.bin").open("wb") as weights:
            for tensor in self.model.graph.initializer:
                if tensor.data_location == onnx.TensorProto.EXTERNAL:
                    self._link(tensor, folder, links)
                elif tensor.ByteSize() > EMBEDDED and tensor.data_type != onnx.TensorProto.STRING:
                    self._move_out(tensor, weights)

    def _link(self, tensor: onnx.TensorProto, folder: Path, links: dict[str, str]) -> None:
        for entry in tensor.external_data:
            if entry.key == "location":
                source = (folder / entry.value).absolute()
                if str(source) not in links:
                    links[str(source)] = f"data{len(links)}"
                    os.symlink(source, self.folder / links[str(source)])
                entry.value = links[str(source)]

    @staticmethod
    def _move_out(tensor: onnx.TensorProto, weights) -> None:  # type: ignore[no-untyped-def]
        if not tensor.HasField("raw_data"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
        offset, data = weights.tell(), tensor.raw_data
        weights.write(data)
        external_data_helper.set_external_data(tensor, "weights.bin", offset, len(data))
        tensor.ClearField("raw_data")

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
