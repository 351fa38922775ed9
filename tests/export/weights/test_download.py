"""Downloads against a local server that breaks off, resumes, refuses or lies."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from export.weights.checkpoints import checkpoint, fetch
from export.weights.choose import find_weights
from export.weights.download import NoNetwork, download
from verify.errors import SurgeonError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """What the server does; `starts` records where each request wanted to begin."""

    ranges: bool = True
    cut: list[int] = field(default_factory=list)  # bytes sent before each of the first connections breaks off
    silent: bool = False
    starts: list[int] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, behaviour)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", behaviour
    behaviour.release.set()
    http.shutdown()
    http.server_close()


def answer(handler: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
    if behaviour.silent:
        behaviour.release.wait(10)
        return
    wanted = handler.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and behaviour.ranges else 0
    behaviour.starts.append(start)
    if handler.path != "/file.pt":
        handler.send_error(404)
    elif start >= len(CONTENT):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(CONTENT)}")
        handler.end_headers()
    else:
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(CONTENT) - start))
        handler.end_headers()
        body = CONTENT[start:]
        handler.wfile.write(body[: behaviour.cut.pop(0)] if behaviour.cut else body)


def test_whole(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    download(server[0] + "/file.pt", tmp_path / "a" / "file.pt", sha256=SHA256, progress=lambda *x: seen.append(x))
    assert (tmp_path / "a" / "file.pt").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["file.pt"]


def test_resumes_where_the_connection_broke(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.cut = [300_000, 200_000]
    download(url + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert (tmp_path / "file.pt").read_bytes() == CONTENT
    assert behaviour.starts == [0, 300_000, 500_000]


def test_resumes_in_a_later_run(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.cut = [100_000, 1000, 1000]
    with pytest.raises(SurgeonError, match=r"stopped after 102,000 bytes .* run the same command"):
        download(url + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert not (tmp_path / "file.pt").exists()
    download(url + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert behaviour.starts[-1] == 102_000
    assert (tmp_path / "file.pt").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.ranges = False
    (tmp_path / "file.pt.part").write_bytes(b"x" * 1000)
    download(url + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert (tmp_path / "file.pt").read_bytes() == CONTENT


def test_a_part_that_is_whole_is_taken(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.pt.part").write_bytes(CONTENT)
    download(server[0] + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert (tmp_path / "file.pt").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.pt.part").write_bytes(CONTENT + b"more")
    download(server[0] + "/file.pt", tmp_path / "file.pt", sha256=SHA256)
    assert (tmp_path / "file.pt").read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match=r"has SHA-256 .* expected 0000"):
        download(server[0] + "/file.pt", tmp_path / "file.pt", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_said(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="the server answered 404"):
        download(server[0] + "/other.pt", tmp_path / "other.pt")
    assert server[1].starts == [0]


def test_silence_is_no_network(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].silent = True
    with pytest.raises(NoNetwork, match=r"no answer from .* within 0.3 s"):
        download(server[0] + "/file.pt", tmp_path / "file.pt", connect_seconds=0.3)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_closed_port_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match="cannot reach"):
        download(f"http://127.0.0.1:{closed_port()}/file.pt", tmp_path / "file.pt")


def test_offline_falls_back_only_with_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.weights.checkpoints.BASE_URL", f"http://127.0.0.1:{closed_port()}/")
    with pytest.raises(SurgeonError, match=r"cannot reach .* pass --weights reference"):
        find_weights("tiny", "2.1", tmp_path)
    weights = find_weights("tiny", "2.1", tmp_path, source="auto")
    assert weights.reference
    assert "NO CHECKPOINT" in weights.note


def test_a_checkpoint_that_is_there_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.weights.checkpoints.BASE_URL", f"http://127.0.0.1:{closed_port()}/")
    entry = checkpoint("small")
    (tmp_path / entry.file).write_bytes(b"here")
    assert fetch(entry, tmp_path) == tmp_path / entry.file
