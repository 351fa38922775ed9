"""Videos by PyAV: files, addresses on the network, cameras, and standard input."""

from __future__ import annotations

import errno
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.modules import Array
from export.tracking.source import Damage, Source, Timed
from verify.errors import MissingBackend, SurgeonError

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtp", "udp", "tcp", "srt", "rtmp")
SECONDS = 10.0  # without data from the network before it is given up
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"  # markers that the coded pixels between them cannot hold
RATE = 25.0  # frames per second where a source does not say
# FFmpeg's name of the system's cameras, and how it spells camera N.
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}


def is_address(text: str) -> bool:
    """Whether `text` is a camera, an address on the network or "-" and no file."""
    return text == "-" or _scheme(text) in SCHEMES or _camera_number(text) is not None


@contextmanager
def open_video(text: str) -> Iterator[Source]:
    """Open what `is_address` accepts, or a video file.

    Raises SurgeonError where it cannot be read, MissingBackend without PyAV or without its support for cameras.
    """
    try:
        import av
    except ImportError as error:
        raise MissingBackend("reading a video needs PyAV; pip install av") from error
    file, options = _arguments(text)
    begin = time.monotonic()
    try:
        container = av.open(file, **options)
    except (av.FFmpegError, OSError) as error:
        # FFmpeg's own words for a source that is silent differ by protocol and do not say so.
        if _scheme(text) in SCHEMES and time.monotonic() - begin >= SECONDS:
            raise SurgeonError(f"{shown(text)}: sends no video; waited {SECONDS:g} seconds") from error
        if isinstance(file, _Pipe) and not file.received:
            raise SurgeonError("standard input: nothing came; pipe a video into it") from error
        raise SurgeonError(f"{shown(text)}: cannot be read as a video: {error.strerror or error}") from error
    with container:
        if not container.streams.video:
            raise SurgeonError(f"{shown(text)}: no video stream in it")
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # threads by frame would delay several frames, and hide errors in them
        rate, damage = float(stream.average_rate or RATE), Damage()
        count = None if is_address(text) else _count(stream, rate)
        yield Source(_timed(_decode(container, text, damage), rate, damage), count, rate, damage=damage)


def _arguments(text: str) -> tuple[Any, dict[str, Any]]:
    """What `av.open` takes for a file, an address, a camera or standard input."""
    if text == "-":
        return _Pipe(), {}
    if (number := _camera_number(text)) is not None:
        return _camera(number)
    if (scheme := _scheme(text)) in SCHEMES:
        options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
        return text, {"timeout": SECONDS, "options": options}
    return text, {}


class _Pipe:
    """Standard input as PyAV reads it: without a position to go back to. `received` counts its bytes."""

    received = 0

    def read(self, size: int) -> bytes:
        data = sys.stdin.buffer.read(size)
        self.received += len(data)
        return data


def _scheme(text: str) -> str:
    return text.partition("://")[0].lower() if "://" in text else ""


def _camera_number(text: str) -> str | None:
    """The number in `0`, `1` ... and /dev/video0; None for anything else."""
    number = re.fullmatch(r"(?:/dev/video)?(\d+)", text)
    return None if number is None or (text.isdecimal() and Path(text).exists()) else number[1]


def _camera(number: str) -> tuple[str, dict[str, Any]]:
    """The arguments of `av.open` for a camera."""
    import av

    if sys.platform not in CAMERAS:
        raise SurgeonError(
            f"camera {number}: cameras can be opened on Linux and macOS only; give a video or an address"
        )
    form, spelling = CAMERAS[sys.platform]
    file = spelling.format(number)
    if sys.platform == "linux" and not Path(file).exists():
        raise SurgeonError(f"{file}: no such camera; ls /dev/video* lists those that there are")
    if form not in av.formats_available:
        message = f"camera {number}: this PyAV was built without {form}, which reads cameras"
        raise MissingBackend(f"{message}; pip install --no-binary av av builds it with the FFmpeg of the system")
    return file, {"format": form}


def shown(text: str) -> str:
    """The name of a source in a message, without the password of an address."""
    return "standard input" if text == "-" else re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:...@", text)


def _decode(container: Any, text: str, damage: Damage) -> Iterator[tuple[Any, bool]]:
    """Each frame of PyAV, and whether it is damaged."""
    import av

    frames, end, video = 0, 0.0, container.streams.video[0]
    try:
        for packet in container.demux():
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index != video.index:
                continue
            damaged = packet.is_corrupt or _is_cut_off(packet)
            try:
                decoded = packet.decode()
            except av.InvalidDataError:
                # Who joins a camera between two key frames cannot decode the pictures before the second.
                damage.lost += 1 if frames or not is_address(text) else 0
                continue
            for frame in decoded:
                frames += 1
                yield frame, damaged or frame.is_corrupt
    except av.FFmpegError as error:
        # The second is how FFmpeg reports that the server has closed a stream of pictures.
        if not (container.format.name == "mpjpeg" and error.errno == errno.EIO):
            raise SurgeonError(f"{shown(text)}: the video ends with an error: {error.strerror or error}") from error
    if not frames:
        raise SurgeonError(f"{shown(text)}: no frame in it can be decoded")
    if container.duration and not is_address(text):
        damage.missing = max(0.0, container.duration / av.time_base - end)


def _is_cut_off(packet: Any) -> bool:
    """Whether a JPEG picture lacks its end, which FFmpeg replaces by grey without an error."""
    if packet.stream.codec_context.name != "mjpeg" or not packet.size:
        return False
    data = bytes(packet)
    return data.find(JPEG_END, max(data.rfind(JPEG_SCAN), 0)) < 0


def _timed(frames: Iterator[tuple[Any, bool]], rate: float, damage: Damage) -> Iterator[Timed]:
    first, last = None, -1.0
    for index, (frame, damaged) in enumerate(frames):
        seconds = index / rate if frame.time is None else float(frame.time)
        first = seconds if first is None else first
        # Cameras repeat a timestamp now and then, which a written video must not.
        last = max(seconds - first, last + 1e-3 if index else 0.0)
        if damaged:
            damage.seconds.add(last)
        yield last, upright(frame.to_ndarray(format="rgb24"), int(getattr(frame, "rotation", 0) or 0))


def upright(frame: Array, rotation: int) -> Array:
    """Turn a frame by the container's rotation, degrees counter-clockwise (telephones film sideways)."""
    return np.ascontiguousarray(np.rot90(frame, round(rotation / 90) % 4))


def _count(stream: Any, rate: float) -> int | None:
    if stream.frames:
        return int(stream.frames)
    return round(float(stream.duration * stream.time_base) * rate) if stream.duration else None
