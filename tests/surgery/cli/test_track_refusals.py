"""What `surgeon track` leaves behind when it refuses: nothing before the first tracked frame, whole results later."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("PIL")
pytest.importorskip("av")

import av
from PIL import Image

from export.tracking.frames import open_frames
from surgery.cli.commands.track import command
from tests.export import toy_networks
from tests.export.tracking.camera_servers import jpeg
from verify.errors import SurgeonError

BOX = ("--box", "5,5,30,30")


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    return toy_networks.write(tmp_path / "toy", prompts=True)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return toy_networks.write_clip(tmp_path / "clip")


def outputs(out: Path) -> list[str]:
    """An option for every kind of output, all of them in `out`."""
    files = ["-o", out / "o.mp4", "--csv", out / "o.csv", "--json", out / "o.json"]
    folders = ["--kitti", out / "kitti", "--masks", out / "masks", "--candidates", out / "candidates"]
    return [str(argument) for argument in (*files, *folders)]


def refusal(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    assert isinstance(result.exception, SurgeonError), result.exception
    assert result.exception.exit_code in (2, 4)
    return str(result.exception)


def assert_whole(out: Path, frames: int) -> None:
    """Every kind of output is readable and holds `frames` frames of one object."""
    assert [row["frame"] for row in csv.DictReader((out / "o.csv").open())] == [str(n) for n in range(frames)]
    assert [row["frame"] for row in json.loads((out / "o.json").read_text())] == list(range(frames))
    with open_frames(out / "o.mp4") as source:
        assert len(list(source)) == frames
    assert len(list((out / "kitti").iterdir())) == frames
    assert sorted(file.name for file in (out / "masks").iterdir()) == [f"{n:05d}_1.png" for n in range(frames)]
    assert len(list(csv.DictReader((out / "candidates" / "candidates.csv").open()))) == 3  # of the prompted frame


def spoil(picture: Path) -> None:
    data = picture.read_bytes()
    picture.write_bytes(data[: len(data) // 2])


BEFORE_A_FRAME = {
    "option": (("--box", "5,5,30"), "expected X0,Y0,X1,Y1"),
    "box outside": (("--box", "5,5,130,30"), "lies outside the video"),
    "mask of another size": (("--mask", "mask.png"), "the mask is 8 x 9, the video is 61 x 41"),
    "no models": ((*BOX, "--models", "none"), "no such file"),
    "first picture": (BOX, "00000.png: cannot be read as a picture"),
}


@pytest.mark.parametrize("kind", BEFORE_A_FRAME)
def test_a_refusal_before_the_first_frame_leaves_what_was_there(
    kind: str, clip: Path, networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((9, 8), 255, np.uint8)).save("mask.png")
    if kind == "first picture":
        spoil(clip / "00000.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / "o.csv").write_text("of an earlier run\n")
    arguments, message = BEFORE_A_FRAME[kind]
    said = refusal(clip, "--models", networks, *outputs(out), *arguments)
    assert [file.name for file in out.iterdir()] == ["o.csv"]
    assert (out / "o.csv").read_text() == "of an earlier run\n"
    assert message in said


AFTER_FRAMES = {
    "late box outside": ((*BOX, "--box", "2@3=5,5,130,30"), "lies outside the video, which is 61 x 41", 3),
    "late correction outside": ((*BOX, "--correct", "1@2=100,5,0"), "lies outside the video, which is 61 x 41", 2),
    "picture": (BOX, "00004.png: cannot be read as a picture", 4),
    "end": ((*BOX, "--box", "2@9=5,5,30,30"), "the video ended after frame 5; the prompts at frame 9", 6),
    "limit": ((*BOX, "--box", "2@3=5,5,30,30", "--frames", "1"), "ended after frame 0; the prompts at frame 3", 1),
}


@pytest.mark.parametrize("kind", AFTER_FRAMES)
def test_a_later_refusal_leaves_whole_results_and_says_of_how_many_frames(
    kind: str, clip: Path, networks: Path, tmp_path: Path
) -> None:
    if kind == "picture":
        spoil(clip / "00004.png")
    arguments, message, frames = AFTER_FRAMES[kind]
    said = refusal(clip, "--models", networks, *outputs(tmp_path / "out"), *arguments)
    assert message in said
    assert said.endswith(f"; the results hold the first {frames} frame{'s' * (frames > 1)}")
    assert_whole(tmp_path / "out", frames)


def test_frames_that_change_size_end_the_video(clip: Path, networks: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 60)).save(clip / "00002.png")
    said = refusal(clip, "--models", networks, *BOX, *outputs(tmp_path / "out"))
    assert said.endswith("write a folder of pictures instead; the results hold the first 2 frames")
    assert_whole(tmp_path / "out", 2)


OUTPUTS = [("-o", "a.mp4"), ("--csv", "a.csv"), ("--json", "a.json"), ("-o", "a"), ("--kitti", "a"), ("--masks", "a")]


@pytest.mark.parametrize(("option", "name"), OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused_before_the_models_are_read(
    option: str, name: str, clip: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / name
    if "." in name:
        wrong.mkdir()
    else:
        wrong.write_text("a file")
    said = refusal(clip, "--models", "none", *BOX, option, wrong, "--candidates", tmp_path / "new")
    assert said.startswith(f"{wrong}: cannot be written")
    below = refusal(clip, "--models", "none", *BOX, option, clip / "00000.png" / name)
    assert below.endswith(f"{clip / '00000.png'} is a file, not a folder")
    assert not (tmp_path / "new").exists()


def test_two_outputs_in_one_place_are_refused(clip: Path, tmp_path: Path) -> None:
    place = tmp_path / "boxes"
    said = refusal(clip, "--models", "none", *BOX, "--csv", place, "--json", place)
    assert said == f"{place}: given for two outputs; name a path for each"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = refusal(clip, "--models", "none", *BOX, "--csv", tmp_path / "locked" / "boxes.csv")
    assert said.endswith("boxes.csv: cannot be written: permission denied")


def test_an_interrupt_before_the_first_frame_writes_nothing(
    clip: Path, networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupting(file: Path) -> np.ndarray:
        os.kill(os.getpid(), signal.SIGINT)
        return np.zeros((41, 61, 3), np.uint8)

    monkeypatch.setattr("export.tracking.frames.read_picture", interrupting)
    arguments = [str(clip), "--models", str(networks), *BOX, *outputs(tmp_path / "out")]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (result.return_value, result.stderr.splitlines()[-1]) == (130, "interrupted; nothing was written")
    assert not (tmp_path / "out").exists()


def test_a_file_that_ends_long_before_its_stated_length_ends_in_exit_2(networks: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    said = refusal(path, "--models", networks, *BOX, "--csv", tmp_path / "boxes.csv")
    assert re.fullmatch(rf"{path}: it ends \d\.\d s before the length that it states, as a file that was cut off", said)
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) > 2


def track_stream(networks: Path, out: Path, data: bytes) -> subprocess.CompletedProcess[bytes]:
    arguments = ["track", "-", "--models", str(networks), *BOX, *outputs(out)]
    return subprocess.run([sys.executable, "-m", "surgery", *arguments], input=data, capture_output=True)


def test_a_stream_that_is_cut_in_its_last_picture_is_tracked_and_ends_in_exit_2(networks: Path, tmp_path: Path) -> None:
    pictures = [jpeg(number) for number in range(5)]
    done = track_stream(networks, tmp_path / "out", b"".join(pictures)[: -len(pictures[-1]) // 3])
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == (
        "surgeon: standard input: frame 4 is cut off or damaged in the source; its results are not reliable"
    )
    assert b"5 frames in" in done.stdout
    assert_whole(tmp_path / "out", 5)


def test_a_picture_of_which_nothing_is_left_is_counted(networks: Path, tmp_path: Path) -> None:
    pictures = [jpeg(number) for number in range(5)]
    pictures[-1] = pictures[-1][:100]  # a part of its header
    done = track_stream(networks, tmp_path / "out", b"".join(pictures))
    assert done.returncode == 2
    message = "surgeon: standard input: 1 picture could not be decoded and left out"
    assert done.stderr.decode().splitlines()[-1] == message
    assert_whole(tmp_path / "out", 4)
