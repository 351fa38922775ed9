"""Files that are whole or what they were before."""

from __future__ import annotations

import os
from pathlib import Path

from verify.errors import SurgeonError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen in part; SurgeonError when it cannot be written.

    A path that is there and no plain file (/dev/stdout, a pipe) is written to as it is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise SurgeonError(f"{path}: cannot be written ({error.strerror or error}); nothing was changed") from None
    finally:
        temporary.unlink(missing_ok=True)
