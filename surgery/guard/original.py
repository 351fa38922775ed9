"""A model as it was given to `fix`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import onnx


@dataclass(frozen=True)
class Original:
    """A model as it was given.

    model     its structure; weights may lie in other files
    runnable  the same model as the runner takes it: a path, or `model` itself
    folder    of its external data
    """

    model: onnx.ModelProto
    runnable: Any
    folder: str = ""

    @property
    def size(self) -> int:
        """Bytes of the file, or of the message where there is no file."""
        return os.path.getsize(self.runnable) if isinstance(self.runnable, str) else int(self.model.ByteSize())
