"""Write ONNX models: external data stays external, and a failed write leaves the old file untouched."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
from pathlib import Path
from typing import IO

import onnx
from google.protobuf.message import EncodeError

from surgery.files import streaming
from surgery.interrupts import raise_if_interrupted
from verify.errors import SurgeonError
from verify.model.external import external_entry, external_path, external_tensors
from verify.model.walk import tensors

INLINE_LIMIT = (1 << 31) - (1 << 20)  # a protobuf message cannot be larger than 2 GB
SMALLEST_EXTERNAL = 1024  # bytes; smaller tensors stay in the model file
ALIGNMENT = 4096
CHUNK = 1 << 24
SUFFIX = ".tmp"


def with_weights(model: onnx.ModelProto, folder: str | os.PathLike[str]) -> onnx.ModelProto:
    """A copy of the model with the external data of `folder` inside."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.external_data_helper.load_external_data_for_model(copy, str(folder))
    return copy


class Pending:
    """A model written under a temporary name beside its target; without `commit` it is removed again.

    with Pending("out.onnx") as pending:
        pending.write(model, folder)      # pending.path can be loaded now
        pending.commit()
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        self.path = self.target
        self.data: Path | None = None
        self.protected: set[str] = set()

    def protect_data(self, model: onnx.ModelProto, folder: str | os.PathLike[str]) -> None:
        """Never replace the files in `folder` that hold the external data of `model`."""
        self.protected |= {os.path.realpath(Path(folder) / external_entry(t)[0]) for t in external_tensors(model)}

    def __enter__(self) -> Pending:
        self.path = self._free_name(self.target.name)
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("xb").close()
        except OSError as error:
            raise SurgeonError(f"{self.target}: cannot be written ({error.strerror}); choose another place") from None
        except BaseException:  # Ctrl-C may come before the `with` block that would remove the file
            self.path.unlink(missing_ok=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self.path, self.data):
            if path is not None and path != self.target:
                path.unlink(missing_ok=True)

    def write(self, model: onnx.ModelProto, folder: str | os.PathLike[str], externalize: bool = False) -> None:
        """Write the model in place of what was written before; external data is copied if the target lies elsewhere.

        Args:
            model: changed in place where its tensors move.
            folder: where its present external data lies.
            externalize: move large tensors out of the model file; models above 2 GB always do this.
        """
        try:
            self._discard_data()
            self._move_data(model, Path(folder), externalize)
            self._save(model)
        except (EncodeError, ValueError) as error:
            raise SurgeonError(f"{self.target}: cannot be written ({error}); try --save-external-data") from None
        except OSError as error:
            raise self._unwritable(error) from None

    def copy(self, source: str | os.PathLike[str]) -> None:
        """Write a model file as it is, byte for byte; its external data must lie beside the target already."""
        try:
            self._discard_data()
            shutil.copyfile(source, self.path)
        except OSError as error:
            raise self._unwritable(error) from None

    def must_move(self, model: onnx.ModelProto, folder: str | os.PathLike[str]) -> bool:
        """Whether the model has external data in a folder that is not the target's."""
        if os.path.realpath(folder) == os.path.realpath(self.target.parent):
            return False
        return next(external_tensors(model), None) is not None

    def _free_name(self, name: str) -> Path:
        """An unused name beside the target; it holds the id of the writing process."""
        return self.target.parent / f".{name}.{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}"

    def _discard_data(self) -> None:
        if self.data is not None:
            self.data.unlink(missing_ok=True)
            self.data = None

    def _unwritable(self, error: OSError) -> SurgeonError:
        return SurgeonError(f"{self.target}: cannot be written ({error.strerror}); nothing was left behind")

    def _save(self, model: onnx.ModelProto) -> None:
        with self.path.open("wb") as stream:
            streaming.write(model, stream)

    def _move_data(self, model: onnx.ModelProto, folder: Path, externalize: bool) -> None:
        outside = list(external_tensors(model))
        externalize = externalize or _too_large(model)
        if not externalize and not self.must_move(model, folder):
            return
        name = f"{self.target.name}.data"
        self.protect_data(model, folder)
        while os.path.realpath(self.target.parent / name) in self.protected:
            name = f"{name}.new"
        self.data = self._free_name(name)
        with self.data.open("xb") as stream:
            for tensor in outside:
                _copy_out(tensor, folder, stream, self.data.name)
            for tensor in tensors(model) if externalize else ():
                if len(tensor.raw_data) >= SMALLEST_EXTERNAL:
                    _move_out(tensor, stream, self.data.name)
        self.data_name = name
        self.model = model

    def commit(self) -> None:
        """Put the files in place: the data first, then the model that names it."""
        raise_if_interrupted()
        try:
            if self.data is not None:
                for tensor in external_tensors(self.model):
                    for entry in tensor.external_data:
                        if entry.key == "location" and entry.value == self.data.name:
                            entry.value = self.data_name
                self._save(self.model)
                os.replace(self.data, self.target.parent / self.data_name)
                self.data = None
            _give_usual_mode(self.path)
            os.replace(self.path, self.target)
        except OSError as error:
            raise self._unwritable(error) from None


def remove_pending(target: Path, pid: int) -> None:
    """Remove temporary files that a dead process left beside `target`, or beside the file that it links to."""
    for place in {target, target.resolve()}:
        for path in place.parent.glob(f".*.{pid}.*{SUFFIX}"):
            if path.name.startswith(f".{place.name}."):
                path.unlink(missing_ok=True)


def _too_large(model: onnx.ModelProto) -> bool:
    """Whether the message would be above `INLINE_LIMIT`."""
    inside = (t for t in tensors(model) if t.data_location != onnx.TensorProto.EXTERNAL)
    if sum(16 * math.prod(t.dims) for t in inside) < INLINE_LIMIT // 2:
        return False
    return streaming.size_at_most(model) > INLINE_LIMIT and bool(model.ByteSize() > INLINE_LIMIT)


def _give_usual_mode(path: Path) -> None:
    """mkstemp makes files that only their owner reads; give them the mode any other new file gets."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _align(stream: IO[bytes]) -> int:
    position = stream.tell()
    stream.write(b"\0" * (-position % ALIGNMENT))
    return stream.tell()


def _copy_out(tensor: onnx.TensorProto, folder: Path, stream: IO[bytes], name: str) -> None:
    """Copy external data in pieces and name its new place."""
    _, offset, length = external_entry(tensor)
    start = _align(stream)
    with external_path(tensor, folder).open("rb") as source:
        source.seek(offset)
        left = length if length is not None else os.path.getsize(source.name) - offset
        while left > 0 and (piece := source.read(min(left, CHUNK))):
            stream.write(piece)
            left -= len(piece)
    _point(tensor, name, start, stream.tell() - start)


def _move_out(tensor: onnx.TensorProto, stream: IO[bytes], name: str) -> None:
    start = _align(stream)
    stream.write(tensor.raw_data)
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    _point(tensor, name, start, length)


def _point(tensor: onnx.TensorProto, name: str, offset: int, length: int) -> None:
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def back_up(path: str | os.PathLike[str]) -> Path:
    """Copy a file that is about to be replaced to the first free name `PATH.bak`, `PATH.bak1`, ..."""
    source = Path(path)
    number = 0
    while (copy := source.with_name(f"{source.name}.bak{number or ''}")).exists():
        number += 1
    with contextlib.suppress(shutil.SameFileError):
        shutil.copy2(source, copy)
    return copy
