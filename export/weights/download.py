"""Fetch one file over HTTP: resumable, checked, and moved into place only when it is complete."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
ATTEMPTS = 3
CHUNK = 1 << 20


class NoNetwork(SurgeonError):
    """The server could not be reached at all."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    connect_seconds: float = CONNECT_SECONDS,
) -> None:
    """Fetch `url` to `path` by way of `path` + ".part", which a later call goes on from.

    A broken connection is tried again, three times in all. `progress` receives the bytes on disk and, where the
    server says it, the size of the file. Raises NoNetwork when nothing answers within
    `connect_seconds`, SurgeonError when the server refuses, the transfer breaks off or the SHA-256 is wrong.
    """
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _transfer(url, part, progress, connect_seconds)
            break
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS:
                have = part.stat().st_size if part.exists() else 0
                raise SurgeonError(
                    f"download of {url} stopped after {have:,} bytes ({error}); run the same command to resume"
                ) from error
    check_sha256(part, sha256, delete=True)
    os.replace(part, path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_sha256(path: Path, wanted: str | None, *, delete: bool = False) -> str:
    """The file's SHA-256; SurgeonError when it is not `wanted` (None: any will do)."""
    found = file_sha256(path)
    if wanted is not None and found != wanted:
        size = path.stat().st_size
        if delete:
            path.unlink()
        raise SurgeonError(
            f"{path.name} has SHA-256 {found[:16]}..., expected {wanted[:16]}... ({size:,} bytes): "
            "truncated or altered; fetch it again"
        )
    return found


def _transfer(url: str, part: Path, progress: Callable[[int, int | None], None], limit: float) -> None:
    """One request, going on from what `part` holds."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, have, limit)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have and _total_size(error.headers.get("Content-Range")) == have:
            return  # the partial file is complete
        if error.code == 416 and have:
            part.unlink()
            raise OSError("the partial file on disk does not fit the server's file; starting over") from error
        raise SurgeonError(f"{url}: the server answered {error.code} {error.reason}") from error
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total is not None and have < total:
        raise OSError(f"got {have:,} of {total:,} bytes")


def _total_size(content_range: str | None) -> int | None:
    """The whole size out of `bytes */1234`."""
    size = (content_range or "").rpartition("/")[2]
    return int(size) if size.isdigit() else None


def _open(url: str, start: int, limit: float) -> Any:
    """The response; NoNetwork when none comes within `limit` seconds, name resolution included.

    A thread, because a socket's timeout limits neither name resolution nor a list of unreachable addresses.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    answers: queue.Queue[Any] = queue.Queue()

    def request_in_thread() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=request_in_thread, daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except queue.Empty:
        raise NoNetwork(f"no answer from {url} within {limit:g} s; is there a network?") from None
    if isinstance(answer, urllib.error.HTTPError):
        raise answer
    if isinstance(answer, urllib.error.URLError):
        raise NoNetwork(f"cannot reach {url}: {answer.reason}") from answer
    if isinstance(answer, Exception):
        raise answer
    return answer
