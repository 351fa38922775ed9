"""Cameras of this machine's own: MJPEG over HTTP, and RTSP with JPEG over RTP (RFC 2326 and 2435)."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from socketserver import StreamRequestHandler, ThreadingTCPServer

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 240, 320
QUALITY = 75
RATE = 25  # frames per second in the time stamps of RTP
CLOCK = 90_000  # ticks per second of RTP time stamps
START = 12_345  # the first time stamp, any number but 0
PACKET = 1400  # bytes of a picture in one packet
JPEG_PAYLOAD, LAST_OF_FRAME = 26, 128

Server = Callable[..., AbstractContextManager[str]]


def jpeg(number: int) -> bytes:
    """A picture whose grey value is the number of the frame, with the standard tables and colours of half size."""
    stream = BytesIO()
    picture = Image.fromarray(np.full((HEIGHT, WIDTH, 3), number % 250, np.uint8))
    picture.save(stream, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return stream.getvalue()


@contextmanager
def http_server(frames: int, seconds: float = 0.0, cut: int = 0) -> Iterator[str]:
    """An address that gives `frames` pictures as MJPEG, one every `seconds`; the last without its last `cut` bytes."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(frames):
                picture = jpeg(number)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                last = number == frames - 1
                self.wfile.write(head.encode() + (picture[: len(picture) - cut] if last else picture + b"\r\n"))
                time.sleep(seconds)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/stream"
        http.shutdown()


@contextmanager
def rtsp_server(frames: int, seconds: float = 0.0) -> Iterator[str]:
    """An address that plays `frames` pictures in RTP packets within the connection, one every `seconds`."""

    class Camera(StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                method, headers = line.split()[0].decode(), {}
                while header := self.rfile.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                more, body = ANSWERS.get(method, ("", ""))
                head = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n{more}"
                self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    self.play()
                    return

        def play(self) -> None:
            packets = 0
            for number in range(frames):
                for packet in _rtp(number, packets):
                    self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
                    packets += 1
                time.sleep(seconds)

    with ThreadingTCPServer(("127.0.0.1", 0), Camera) as rtsp:
        rtsp.daemon_threads = True
        threading.Thread(target=rtsp.serve_forever, daemon=True).start()
        yield f"rtsp://127.0.0.1:{rtsp.server_address[1]}/stream"
        rtsp.shutdown()


# What each method answers beside the status: further headers, and a body.
ANSWERS = {
    "OPTIONS": ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
    "DESCRIBE": (
        "Content-Type: application/sdp\r\n",
        f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP {JPEG_PAYLOAD}\r\n"
        f"a=control:video\r\na=framerate:{RATE}\r\n",
    ),
    "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", ""),
}


def _rtp(number: int, sequence: int) -> Iterator[bytes]:
    """The packets of a picture: the coded pixels without the JPEG file's own headers."""
    picture = jpeg(number)
    scan = picture.index(b"\xff\xda")
    pixels = picture[scan + 2 + struct.unpack_from(">H", picture, scan + 2)[0] : -2]
    for start in range(0, len(pixels), PACKET):
        marker = LAST_OF_FRAME if start + PACKET >= len(pixels) else 0
        tick = START + number * CLOCK // RATE
        yield b"".join(
            (
                struct.pack(">BBHII", 0x80, marker | JPEG_PAYLOAD, sequence & 0xFFFF, tick, 1),
                struct.pack(">IBBBB", start, 1, QUALITY, WIDTH // 8, HEIGHT // 8),
                pixels[start : start + PACKET],
            )
        )
        sequence += 1
