"""Read a model; its external weights are not loaded, but checked to be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError, no_file
from verify.model.external import check_external
from verify.model.files import require_content

if TYPE_CHECKING:
    import onnx

LIMIT = 2**31 - 1


def read_model(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """The model in the file at `path`, without the weights that are in other files.

    Raises:
        SurgeonError: missing, unreadable, not ONNX, cut short, a Git LFS pointer, or with external data that is
            missing, too short, a pointer, or outside the model's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    source, model = Path(path), onnx.ModelProto()
    try:
        size = source.stat().st_size
        if source.is_dir():
            raise no_file(source)
        if size > LIMIT:
            raise SurgeonError(f"{source}: above 2 GB, protobuf's limit; store its weights in an external file")
        require_content(source)
        model.ParseFromString(source.read_bytes())
    except FileNotFoundError:
        raise no_file(source) from None
    except OSError as error:
        raise SurgeonError(f"{source}: {error.strerror or error}") from None
    except (DecodeError, ValueError, UnicodeError):
        raise SurgeonError(f"{source}: not an ONNX model, or cut short; fetch or export it again") from None
    if not model.graph.node and not model.graph.output:
        raise SurgeonError(f"{source}: not an ONNX model (no graph inside)")
    try:
        check_external(model, source.parent)
    except SurgeonError as error:
        raise SurgeonError(f"{source}: {error}") from None
    return model
