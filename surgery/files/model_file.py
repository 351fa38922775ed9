"""Write ONNX models: external data stays external, and a file is whole or what it was before."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import onnx
from google.protobuf.message import EncodeError

from surgery.files import streaming
from verify.errors import SurgeonError
from verify.model.external import external_entry, external_path, external_tensors
from verify.model.walk import tensors

INLINE_LIMIT = (1 << 31) - (1 << 20)  # protobuf messages end at 2 GB
SMALLEST_EXTERNAL = 1024  # bytes; smaller tensors stay in the model file
ALIGNMENT = 4096
CHUNK = 1 << 24
SUFFIX = ".tmp"


class Pending:
    """A model written under a temporary name beside its target; `commit` puts it in place, anything else removes it.

    with Pending("out.onnx") as pending:
        pending.write(model, folder)      # pending.path can be loaded now
        pending.commit()
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        self.path = self.target
        self.data: Path | None = None

    def __enter__(self) -> Pending:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=_prefix(self.target.name), suffix=SUFFIX)
        except OSError as error:
            raise SurgeonError(f"{self.target}: cannot be written ({error.strerror}); choose another place") from None
        os.close(handle)
        self.path = Path(name)
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self.path, self.data):
            if path is not None and path != self.target:
                path.unlink(missing_ok=True)

    def write(self, model: onnx.ModelProto | bytes, folder: str | os.PathLike[str], externalize: bool = False) -> None:
        """Write the model; external data it names in `folder` is copied when the target lies elsewhere.

        Args:
            model: changed in place where its tensors move; or the bytes of a model without external data.
            folder: where its present external data lies.
            externalize: move large tensors out of the model file; also done on its own above 2 GB.
        """
        try:
            if isinstance(model, bytes):
                self.path.write_bytes(model)
                return
            self._move_data(model, Path(folder), externalize)
            self._save(model)
        except (EncodeError, ValueError) as error:
            raise SurgeonError(f"{self.target}: cannot be written ({error}); try --save-external-data") from None
        except OSError as error:
            raise SurgeonError(
                f"{self.target}: cannot be written ({error.strerror}); nothing was left behind"
            ) from None

    def _save(self, model: onnx.ModelProto) -> None:
        with self.path.open("wb") as stream:
            streaming.write(model, stream)

    def _move_data(self, model: onnx.ModelProto, folder: Path, externalize: bool) -> None:
        outside = list(external_tensors(model))
        elsewhere = os.path.realpath(folder) != os.path.realpath(self.target.parent)
        externalize = externalize or _too_large(model)
        if not externalize and not (outside and elsewhere):
            return
        name = f"{self.target.name}.data"
        used = {os.path.realpath(folder / external_entry(tensor)[0]) for tensor in outside}
        while os.path.realpath(self.target.parent / name) in used:
            name = f"{name}.new"
        with tempfile.NamedTemporaryFile(
            dir=self.target.parent, prefix=_prefix(name), suffix=SUFFIX, delete=False
        ) as stream:
            self.data = Path(stream.name)
            for tensor in outside:
                _copy_out(tensor, folder, stream, self.data.name)
            for tensor in tensors(model) if externalize else ():
                if len(tensor.raw_data) >= SMALLEST_EXTERNAL:
                    _move_out(tensor, stream, self.data.name)
        self.data_name = name
        self.model = model

    def commit(self) -> None:
        """Put the files in place: the data first, then the model that names it."""
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
            raise SurgeonError(
                f"{self.target}: cannot be written ({error.strerror}); nothing was left behind"
            ) from None


def remove_pending(target: Path, pid: int) -> None:
    """Remove what a process that is gone had written beside `target`, or beside the file it is a link to."""
    for place in {target, target.resolve()}:
        for path in place.parent.glob(f".*.{pid}.*{SUFFIX}"):
            if path.name.startswith(f".{place.name}."):
                path.unlink(missing_ok=True)


def _prefix(name: str) -> str:
    return f".{name}.{os.getpid()}."


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
