"""A hash in the metadata of an exported file that shows whether the file is still as it was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from verify.atomic_write import write_whole
from verify.interface.recognise import METADATA_PREFIX

KEY = "content_sha256"
BLANK = "0" * 64
# The key and the beginning of its value of 64 bytes, as protobuf writes an entry of the metadata.
MARK = f"{METADATA_PREFIX}{KEY}".encode() + b"\x12\x40"


def seal(path: Path) -> None:
    """Put the SHA-256 of the file in the place of `BLANK`, the value of `KEY` in its metadata.

    Raises:
        ValueError: the metadata has no such value.
    """
    found = _split(path)
    if found is None or found[1] != BLANK.encode():
        raise ValueError(f"{path}: no blank {KEY} in its metadata")
    before, _, after = found
    write_whole(path, before + _hash(before, after).encode() + after)


def is_unchanged(path: Path) -> bool:
    """Whether the file is what `seal` left; false for a file that was never sealed."""
    found = _split(path)
    return found is not None and found[1] == _hash(found[0], found[2]).encode()


def _split(path: Path) -> tuple[bytes, bytes, bytes] | None:
    """What is before the value, the value, and what follows; None where it is not there exactly once."""
    content = path.read_bytes()
    before, mark, rest = content.rpartition(MARK)
    if not mark or MARK in before:
        return None
    return before + mark, rest[:64], rest[64:]


def _hash(before: bytes, after: bytes) -> str:
    sha = hashlib.sha256(before)
    sha.update(BLANK.encode())
    sha.update(after)
    return sha.hexdigest()
