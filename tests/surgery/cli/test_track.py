"""`surgeon track` on toy networks: every kind of result, and what is refused or broken off."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("PIL")

from PIL import Image

from export.tracking.frames import open_frames
from export.tracking.tracker import Tracker
from surgery.cli.commands.track import command
from tests.export import toy_networks
from verify.errors import SurgeonError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return toy_networks.write_clip(tmp_path / "clip")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def test_a_log_gets_progress_lines(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.tracking.run.LOG_SECONDS", 0.0)
    networks, to = toy_networks.write(tmp_path / "toy"), tmp_path / "boxes.json"
    result = CliRunner().invoke(
        command, [str(clip), "--models", str(networks), "--box", "5,5,30,30", "--json", str(to)], standalone_mode=False
    )
    assert "tracked 6 of 6 frames, " in result.stderr


def test_command_writes_every_kind_of_result(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    networks = toy_networks.write(tmp_path / "toy", metadata={"checkpoint": "reference:1"})
    out = tmp_path / "out"
    code, output = run(
        *(clip, "--models", networks, "--box", "5,5,30,30", "--point", "2@3=20,20,1", "--remove", "1@5"),
        *("-o", out / "overlay.mp4", "--csv", out / "boxes.csv", "--json", out / "boxes.json"),
        *("--kitti", out / "kitti", "--masks", out / "masks", "--label", "person"),
    )
    assert code == 0
    assert "6 frames in" in output
    assert "reference weights" in output
    rows = list(csv.DictReader((out / "boxes.csv").open()))
    assert [(row["frame"], row["object"]) for row in rows] == [
        *(("0", "1"), ("1", "1"), ("2", "1"), ("3", "1"), ("3", "2"), ("4", "1"), ("4", "2"), ("5", "2"))
    ]
    data = json.loads((out / "boxes.json").read_text())
    assert [str(row["x0"]) for row in data] == [row["x0"] or "None" for row in rows]
    with open_frames(out / "overlay.mp4") as source:
        assert [frame.shape for frame in source] == [(42, 62, 3)] * 6
    mask = np.asarray(Image.open(out / "masks" / "00004_2.png"))
    assert mask.shape == (41, 61)
    assert int((mask > 0).sum()) == data[6]["area"]
    fields = (out / "kitti" / "00_000_000004.txt").read_text().splitlines()[0].split()
    assert fields[:5] == ["person", "1", "0.0", "0", "0.0"]
    assert [float(value) for value in fields[5:9]] == [data[5][name] for name in ("x0", "y0", "x1", "y1")]
    assert fields[9:16] == ["0.0"] * 7
    assert len(fields) == 17


def test_command_writes_pictures(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    assert run(clip, "--models", networks, "--box", "5,5,30,30", "--frames", 2, "-o", tmp_path / "out")[0] == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["00000.jpg", "00001.jpg"]


def test_masks_corrections_and_candidates(clip: Path, tmp_path: Path) -> None:
    networks, out = toy_networks.write(tmp_path / "toy", prompts=True), tmp_path / "out"
    Image.fromarray(np.pad(np.full((20, 30), 255, np.uint8), ((10, 11), (15, 16)))).save(tmp_path / "mask.png")
    prompts = ("--mask", f"1@0={tmp_path / 'mask.png'}", "--box", "2=5,5,30,30", "--correct", "2@3=20,20,0")
    code, _ = run(clip, "--models", networks, *prompts, "--masks", out / "masks", "--candidates", out / "candidates")
    assert code == 0
    mask = np.asarray(Image.open(out / "masks" / "00000_1.png")) > 0
    assert (mask[10:30, 15:45].mean() > 0.9, mask.mean() < 0.4) == (True, True)
    rows = list(csv.DictReader((out / "candidates" / "candidates.csv").open()))
    assert [(row["frame"], row["object"], row["candidate"]) for row in rows] == [
        (frame, "2", number) for frame in ("0", "3") for number in ("0", "1", "2")
    ]
    assert np.asarray(Image.open(out / "candidates" / "00003_2_1.png")).shape == (41, 61)


def test_a_correction_needs_the_decoder_for_prompts(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    with pytest.raises(SurgeonError, match=r"need mask_decoder_prompts\.onnx"):
        run(clip, "--models", networks, "--box", "5,5,30,30", "--correct", "@2=1,1,0", "--csv", tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


def test_a_correction_or_removal_after_the_end_is_refused(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy", prompts=True)
    for option, value in (("--correct", "@9=1,1,0"), ("--remove", "1@9")):
        with pytest.raises(SurgeonError, match=r"ended after frame 5; the (corrections|removals) at frame 9"):
            run(clip, "--models", networks, "--box", "5,5,30,30", option, value, "--csv", tmp_path / "x.csv")


def test_a_photo_is_one_frame(clip: Path, tmp_path: Path) -> None:
    networks, out = toy_networks.write(tmp_path / "toy"), tmp_path / "boxes.csv"
    for name in ("memory_attention", "memory_encoder"):  # what a single image does not need
        (networks / f"{name}.onnx").unlink()
    code, output = run(clip / "00002.png", "--models", networks, "--box", "5,5,30,30", "--csv", out)
    assert (code, "1 frame in" in output) == (0, True)
    assert len(out.read_text().splitlines()) == 2


def test_command_refuses_to_write_over_its_input_or_nowhere(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    with pytest.raises(SurgeonError, match="is the input"):
        run(clip, "--models", networks, "--box", "5,5,30,30", "-o", clip)
    with pytest.raises(SurgeonError, match="no output; give"):
        run(clip, "--models", networks, "--box", "5,5,30,30")


def test_prompt_after_the_end_is_refused(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    with pytest.raises(SurgeonError, match="ended after frame 5; the prompts at frame 9"):
        run(clip, "--models", networks, "--box", "@9=5,5,30,30", "--csv", tmp_path / "x.csv")


def test_prompt_outside_the_video_is_refused(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    with pytest.raises(SurgeonError, match="object 1: 130,30 lies outside the video, which is 61 x 41"):
        run(clip, "--models", networks, "--box", "5,5,130,30", "--csv", tmp_path / "x.csv")


def test_interrupted_run_leaves_readable_results(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    networks = toy_networks.write(tmp_path / "toy")
    steps = []
    step = Tracker.step

    def interrupting(self: Tracker, *arguments: object) -> object:
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(Tracker, "step", interrupting)
    out = tmp_path / "out"
    arguments = ("--box", "5,5,30,30", "-o", out / "o.mp4", "--json", out / "o.json", "--csv", out / "o.csv")
    code, output = run(clip, "--models", networks, *arguments)
    assert code == 130
    assert "the results hold the first 3 frames" in output
    assert len(json.loads((out / "o.json").read_text())) == 3
    assert len((out / "o.csv").read_text().splitlines()) == 4
    with open_frames(out / "o.mp4") as source:
        assert len(list(source)) == 3


def test_json_without_results_is_an_empty_array(clip: Path, tmp_path: Path) -> None:
    networks = toy_networks.write(tmp_path / "toy")
    path = tmp_path / "x.json"
    with pytest.raises(SurgeonError, match="never used"):
        run(clip, "--models", networks, "--box", "@9=5,5,30,30", "--json", path)
    assert json.loads(path.read_text()) == []
