"""Live sources: HTTP, RTSP, standard input, cameras; dropped frames, times, and memory that does not grow."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("av")

import av

from export.tracking import modules, videos
from export.tracking.frames import open_frames
from export.tracking.options import Plan
from export.tracking.prompts import Prompt
from export.tracking.run import track_video
from export.tracking.sinks import overlay_sink
from export.tracking.source import Damage, Source, live
from export.tracking.tracker import Tracker
from export.tracking.videos import CAMERAS
from tests.export import toy_networks
from tests.export.tracking.camera_servers import HEIGHT, RATE, WIDTH, Server, http_server, jpeg, rtsp_server
from verify.errors import MissingBackend, SurgeonError

BOX = Plan({0: {1: Prompt(box=(10, 8, 40, 30))}})
SERVERS = pytest.mark.parametrize("server", [http_server, rtsp_server])


@SERVERS
def test_300_frames_from_a_server_take_no_more_memory_than_100(tmp_path: Path, server: Server) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    peaks: dict[int, int] = {}

    def progress(done: int) -> None:
        peaks[done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with server(300) as address, open_frames(address) as source:
        assert source.count is None
        summary = track_video(source, tracker, BOX, [], progress=progress)
    assert (summary.frames, summary.dropped) == (300, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    # 200 frames of 240 x 320 are 46 MB; the peak may rise by what an allocator rounds up.
    assert (peaks[300] - peaks[100]) * unit < 8 << 20


@SERVERS
def test_live_drops_and_counts_what_comes_too_fast(tmp_path: Path, server: Server) -> None:
    seen = []

    def slow(index: int, seconds: float, frame: np.ndarray, results: object) -> None:
        seen.append(int(frame[0, 0, 0]))
        time.sleep(0.05)

    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    with server(300, 0.002) as address, open_frames(address) as source, live(source) as queued:
        summary = track_video(queued, tracker, BOX, [slow])
    assert summary.frames == len(seen)
    assert summary.frames + summary.dropped == 300
    assert summary.dropped > 100
    assert abs(seen[-1] - 299 % 250) <= 1  # the newest frame is never the one that is dropped


def test_live_passes_on_an_error_after_the_frames_before_it() -> None:
    def breaks() -> Iterator[tuple[float, np.ndarray]]:
        yield 0.0, np.zeros((4, 4, 3), np.uint8)
        raise SurgeonError("the video ends with an error")

    with live(Source(breaks(), None, 25.0)) as queued:
        assert next(queued.timed)[0] == 0.0
        with pytest.raises(SurgeonError, match="ends with an error"):
            next(queued.timed)


@SERVERS
def test_a_server_that_is_not_there_is_refused(server: Server) -> None:
    with server(1) as address:
        pass
    address = address.replace("://", "://user:secret@")
    message = r"^(http|rtsp)://user:\.\.\.@127.*cannot be read as a video: Connection refused$"
    with pytest.raises(SurgeonError, match=message), open_frames(address):
        pass


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_is_given_up(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/camera"
        message = f"^{address}: sends no video; waited 0.5 seconds$"
        with pytest.raises(SurgeonError, match=message), open_frames(address):
            pass


def test_live_is_for_sources_that_do_not_wait(tmp_path: Path) -> None:
    """A file is read as fast as it is tracked; to drop its frames would lose most of them."""
    clip, networks = toy_networks.write_clip(tmp_path / "clip"), toy_networks.write(tmp_path / "toy")
    command = [sys.executable, "-m", "surgery", "track", str(clip), "--models", str(networks), "--box", "5,5,30,30"]
    done = subprocess.run([*command, "--csv", str(tmp_path / "boxes.csv"), "--live"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"surgeon: --live: {clip} is a file, which waits")
    assert not (tmp_path / "boxes.csv").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "surgeon: standard input: nothing came; pipe a video into it\n"),
        (b"odd", "surgeon: standard input: cannot be read as a video: Invalid data found when processing input\n"),
    ],
)
def test_standard_input_without_a_video_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    command = [sys.executable, "-m", "surgery", "track", "-", "--models", str(networks), "--box", "5,5,30,30"]
    done = subprocess.run([*command, "--csv", str(tmp_path / "boxes.csv")], input=data, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.decode() == message
    assert not (tmp_path / "boxes.csv").exists()


def test_frames_of_an_rtsp_camera_have_its_times() -> None:
    with rtsp_server(5) as address, open_frames(address) as source:
        found = [(seconds, int(frame[0, 0, 0])) for seconds, frame in source.timed]
    assert [seconds for seconds, _ in found] == pytest.approx([number / RATE for number in range(5)], abs=1e-3)
    assert [grey for _, grey in found] == list(range(5))


def write_variable(path: Path) -> list[float]:
    """A video whose frames stand 40, 80, 120 ... ms apart; returns their times."""
    times = [0.02 * n * (n + 1) for n in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 30 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return times


def test_variable_rates_keep_their_times(tmp_path: Path) -> None:
    times = write_variable(tmp_path / "variable.mp4")
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    with open_frames(tmp_path / "variable.mp4") as source, ExitStack() as stack:
        track_video(source, tracker, BOX, [overlay_sink(tmp_path / "overlay.mp4", source.rate, stack)])
    for name in ("variable.mp4", "overlay.mp4"):
        with open_frames(tmp_path / name) as source:
            assert [seconds for seconds, _ in source.timed] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "part", "frames"),
    [
        ("clip.mp4", "mpeg4", 0.9, range(13, 18)),
        ("clip.ts", "mpeg2video", 0.9, range(13, 20)),
        ("clip.avi", "mjpeg", 0.9, range(13, 20)),
        ("clip.mjpeg", "mjpeg", 0.9, range(13, 20)),
    ],
)
def test_a_video_that_is_cut_off_names_its_last_frame(
    tmp_path: Path, name: str, codec: str, part: float, frames: range
) -> None:
    path = tmp_path / name
    write_noise(path, codec)
    with open_frames(path) as source:
        assert (len(list(source)), source.damage) == (20, Damage())
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with open_frames(path) as source:
        times = [seconds for seconds, _ in source.timed]
    assert len(times) in frames
    assert (source.damage.seconds, source.damage.lost) == ({times[-1]}, 0)


def test_a_packet_that_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_noise(path, "libx264")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.9 * len(data))])
    with open_frames(path) as source:
        assert 10 < len(list(source)) < 20
    assert (source.damage.seconds, source.damage.lost) == (set(), 1)


def test_pictures_that_cannot_be_decoded_are_no_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mjpeg").write_bytes(b"".join(jpeg(number)[:300] for number in range(3)))
    with (
        pytest.raises(SurgeonError, match=r"(no frame in it can be decoded|cannot be read as a video)"),
        open_frames(tmp_path / "clip.mjpeg") as source,
    ):
        list(source)


@pytest.mark.parametrize("wait", [nullcontext, live])
def test_a_picture_that_is_cut_off_by_the_server(wait: Callable[[Source], AbstractContextManager[Source]]) -> None:
    with http_server(5, cut=700) as address, open_frames(address) as source, wait(source) as taken:
        times = [seconds for seconds, _ in taken.timed]
    assert taken.damage == Damage({times[-1]})


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_matroska_file_that_is_cut_off_ends_before_its_stated_length(tmp_path: Path, codec: str) -> None:
    """Nothing else tells: its last frames are whole."""
    path = tmp_path / "clip.mkv"
    write_noise(path, codec)
    with open_frames(path) as source:
        assert (len(list(source)), source.damage) == (20, Damage())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_frames(path) as source:
        frames = len(list(source))
    assert source.damage == Damage(missing=pytest.approx((20 - frames) / RATE, abs=2 / RATE))
    assert 1 < frames < 12


def test_the_stated_length_of_variable_rates_is_that_of_their_frames(tmp_path: Path) -> None:
    write_variable(tmp_path / "variable.mp4")
    with open_frames(tmp_path / "variable.mp4") as source:
        list(source)
    assert source.damage.missing < 0.05


def write_noise(path: Path, codec: str) -> None:
    """20 frames of blocks that move, most of a file's bytes in its frames and its index in front."""
    blocks = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    picture = blocks.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, 3 * number, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_video_on_standard_input(tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    pictures = b"".join(jpeg(number) for number in range(5))
    command = [sys.executable, "-m", "surgery", "track", "-", "--models", str(networks), "--box", "5,5,30,30"]
    done = subprocess.run([*command, "--csv", str(tmp_path / "boxes.csv")], input=pictures, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"5 frames in" in done.stdout
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are files on Linux only")
def test_cameras_are_refused_where_there_are_none() -> None:
    for name in ("97", "/dev/video97"):
        with pytest.raises(SurgeonError, match="/dev/video97: no such camera"), open_frames(name):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are files on Linux only")
def test_a_camera_without_support_in_pyav_is_a_missing_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CAMERAS, "linux", ("none", "/dev/null"))
    with pytest.raises(MissingBackend, match="this PyAV was built without none"), open_frames("0"):
        pass
