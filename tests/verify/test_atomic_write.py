"""A file is whole or what it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from verify.atomic_write import write_whole
from verify.errors import SurgeonError


def test_what_was_there_stays_when_writing_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    write_whole(path, b"first")

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as stream:
            stream.write(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SurgeonError, match="No space left"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(path, b"anything")
        assert os.read(reader, 100) == b"anything"
    finally:
        os.close(reader)
    assert path.is_fifo()
