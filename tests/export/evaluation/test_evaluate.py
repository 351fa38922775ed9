"""`surgeon evaluate` on toy networks: scores, comparison, resuming, workers that are lost, and the page."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("PIL")

from export.evaluation import workers
from export.evaluation.datasets import open_dataset
from export.evaluation.run import evaluate
from export.evaluation.sides import find_sides
from export.evaluation.video import Task
from export.tracking import modules
from export.tracking.frames import read_picture
from export.tracking.images import resize_logits
from export.tracking.prompts import Prompt
from export.tracking.tracker import Tracker
from surgery.cli.commands.evaluate import command
from tests.export import toy_networks
from tests.export.evaluation.small_dataset import FRAMES, scene, write_davis, write_sav
from tests.export.evaluation.test_measures import reference_f
from verify.errors import SurgeonError


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    return write_davis(tmp_path / "davis")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_networks.write(tmp_path / "toy", prompts=True)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def numbers(folder: Path) -> list[tuple[object, ...]]:
    """Video, object, J, F and J&F of each object, which are above 0 and all different."""
    rows = results(folder)["objects"]
    assert len({row["J"] for row in rows} - {0.0}) == len({row["F"] for row in rows} - {0.0}) == len(rows)
    return [tuple(row[key] for key in ("video", "object", "J", "F", "J&F")) for row in rows]


def expected(networks: Path, frames: list[Path], prompts: dict[int, Prompt], step: int, exclusive: bool) -> Any:
    """Means of J and F by object: our tracker, the known masks, and an implementation of F of the tests."""
    tracker, scores = Tracker(modules.load(networks)), {object_id: [] for object_id in prompts}
    for index, file in enumerate(frames):
        found = tracker.step(read_picture(file), prompts if index == 0 else None)
        place = index // step
        if index % step or place in (0, (len(frames) - 1) // step):
            continue
        logits = {i: resize_logits(one.logits, one.height, one.width) for i, one in found.items()}
        for (object_id, truth), values in zip(scene(0, place)[1].items(), logits.values(), strict=True):
            mask = values > 0
            if exclusive:
                mask &= values >= np.max([*logits.values()], axis=0)
            joined = (mask | truth).sum()
            scores[object_id - 1 + min(prompts)].append(((mask & truth).sum() / joined, reference_f(mask, truth)))
    return {object_id: np.mean(rows, axis=0) for object_id, rows in scores.items()}


def test_scores_of_davis(davis: Path, toy: Path, tmp_path: Path) -> None:
    code, output = run(davis, "--models", toy, "-o", tmp_path / "out")
    assert code == 0
    found = results(tmp_path / "out")
    frames = sorted((davis / "JPEGImages" / "480p" / "crop-0").iterdir())
    masks = {object_id: Prompt(mask=mask) for object_id, mask in scene(0, 0)[1].items()}
    for object_id, (region, edge) in expected(toy, frames, masks, 1, True).items():
        row = next(row for row in found["objects"] if (row["video"], row["object"]) == ("crop-0", str(object_id)))
        assert 0 < region < 1
        assert 0 < edge < 1
        assert (row["J"], row["F"]) == pytest.approx((region, edge), abs=1e-12)
        assert row["frames"] == FRAMES - 2
    (side,) = found["sides"]
    assert side["J"] == pytest.approx(np.mean([row["J"] for row in found["objects"]]))
    assert side["J&F"] == pytest.approx((side["J"] + side["F"]) / 2)
    assert (side["objects"], side["videos"]) == (4, 2)
    assert f"{100 * side['J&F']:.2f}" in output


def test_scores_of_sav_with_boxes(toy: Path, tmp_path: Path) -> None:
    (toy / "mask_decoder_prompts.onnx").unlink()
    sav = write_sav(tmp_path / "sav")
    with pytest.raises(SurgeonError, match=r"no mask_decoder_prompts\.onnx in it.*--prompt box does without it"):
        run(sav, "--models", toy, "-o", tmp_path / "out")
    assert run(sav, "--models", toy, "--prompt", "box", "-o", tmp_path / "out")[0] == 0
    boxes = {}
    for object_id, mask in scene(0, 0)[1].items():
        rows, columns = np.nonzero(mask)
        boxes[object_id - 1] = Prompt(box=(columns.min(), rows.min(), columns.max(), rows.max()))
    frames = sorted((sav / "JPEGImages_24fps" / "sav_000000").iterdir())
    wanted = expected(toy, frames, boxes, 4, False)
    found = {row["object"]: (row["J"], row["F"]) for row in results(tmp_path / "out")["objects"]}
    assert all(0 < value < 1 for values in found.values() for value in values)
    assert found == {f"{i:03d}": pytest.approx(tuple(values), abs=1e-12) for i, values in wanted.items()}


def test_comparison_with_other_files(davis: Path, toy: Path, tmp_path: Path) -> None:
    other = toy_networks.write(tmp_path / "other", prompts=True, metadata={"precision": "mixed"})
    code, output = run(davis, "--models", toy, "--against", other, "-o", tmp_path / "out")
    first, second = results(tmp_path / "out")["sides"]
    assert (code, first["side"], second["side"]) == (0, str(toy), str(other))
    assert (first["difference"], second["difference"]) == (None, 0.0)
    assert "+0.00" in output
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img") == 8
    assert "data:image/jpeg;base64,/9j/" in page
    assert "script" not in page
    with pytest.raises(SurgeonError, match="named twice"):
        run(davis, "--models", toy, "--against", toy, "-o", tmp_path / "out")


def test_a_run_that_was_broken_off_goes_on(
    davis: Path, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(davis, "--models", toy, "-o", tmp_path / "whole")
    done: list[str] = []
    evaluate_video = workers.evaluate_video

    def breaks_off(task: Task) -> dict[str, Any]:
        done.append(task.video.name)
        if len(done) == 2:
            raise KeyboardInterrupt
        return evaluate_video(task)

    monkeypatch.setattr(workers, "evaluate_video", breaks_off)
    with pytest.raises(click.exceptions.Abort):
        run(davis, "--models", toy, "-o", tmp_path / "out")
    _, output = run(davis, "--models", toy, "-o", tmp_path / "out")
    assert done == ["crop-0", "crop-1", "crop-1"]
    assert "1 of 2 videos are from an earlier run" in output
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
    annotation = davis / "Annotations" / "480p" / "crop-0" / "00003.png"
    os.utime(annotation, (1, 1))
    run(davis, "--models", toy, "-o", tmp_path / "out")
    assert done[3:] == ["crop-0"]  # its annotation has changed


def test_workers_find_the_same_numbers(davis: Path, toy: Path, tmp_path: Path) -> None:
    run(davis, "--models", toy, "-o", tmp_path / "one")
    assert run(davis, "--models", toy, "--workers", 2, "-o", tmp_path / "two")[0] == 0
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")


def test_a_lost_worker_costs_its_video_only(davis: Path, toy: Path, tmp_path: Path) -> None:
    videos = open_dataset(davis).videos
    (side,) = find_sides(toy, ())
    tasks = [Task(side, video, "mask", 1) for video in videos]
    outcomes = workers.in_processes(tasks, 1)
    killed: list[int] = []

    def kill_one() -> None:
        while not killed:
            for child in multiprocessing.active_children():
                child.kill()
                killed.append(child.pid or 0)
            time.sleep(0.01)

    threading.Thread(target=kill_one, daemon=True).start()
    found = [(task.video.name, isinstance(outcome, workers.LostWorker)) for task, outcome in outcomes]
    assert killed
    assert found == [("crop-0", True), ("crop-1", False)]


def test_a_video_that_always_kills_its_worker_is_reported(
    davis: Path, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = workers.LostWorker("video crop-1: its process ended without a result")

    def execute(tasks: Any) -> Any:
        for task in tasks:
            yield task, lost if task.video.name == "crop-1" else workers.evaluate_video(task)

    monkeypatch.setattr("export.evaluation.run.in_this_process", execute)
    code, output = run(davis, "--models", toy, "-o", tmp_path / "out")
    assert code == 1
    assert "not evaluated: video crop-1: its process ended without a result" in output
    assert results(tmp_path / "out")["lost"] == ["video crop-1: its process ended without a result"]
    assert {row["video"] for row in results(tmp_path / "out")["objects"]} == {"crop-0"}


def test_a_frame_that_cannot_be_read_leaves_the_videos_before_it_and_earlier_results(
    davis: Path, toy: Path, tmp_path: Path
) -> None:
    """The records of whole videos are reused; results.json and report.html stay as an earlier run wrote them."""
    out = tmp_path / "out"
    run(davis, "--models", toy, "-o", out)
    before = {name: (out / name).read_bytes() for name in ("results.json", "report.html")}
    frame = davis / "JPEGImages" / "480p" / "crop-1" / "00003.jpg"
    whole = frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2])
    message = r"^video crop-1: .*00003\.jpg: cannot be read as a picture: image file is truncated"
    for folder in (out, tmp_path / "new"):
        with pytest.raises(SurgeonError, match=message):
            run(davis, "--models", toy, "-o", folder)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert [file.name for file in (tmp_path / "new").rglob("*") if file.is_file()] == ["crop-0.json"]
    frame.write_bytes(whole)
    _, output = run(davis, "--models", toy, "-o", tmp_path / "new")
    assert "1 of 2 videos are from an earlier run" in output
    assert numbers(tmp_path / "new") == numbers(out)


def test_an_output_that_is_a_file_is_refused_before_anything_is_tracked(davis: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SurgeonError, match="out: cannot be written to: it is a file; name a folder"):
        run(davis, "--models", "none", "-o", tmp_path / "out")


def test_a_list_of_videos_that_is_no_text_is_refused(davis: Path, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "list", tmp_path):
        with pytest.raises(SurgeonError, match=rf"^{path}: cannot be read as a list of videos: "):
            run(davis, "--models", toy, "--videos", path, "-o", tmp_path / "out")


def test_results_are_written_video_by_video(davis: Path, toy: Path, tmp_path: Path) -> None:
    videos = open_dataset(davis).videos
    (side,) = find_sides(toy, ())
    seen: list[int] = []

    def progress(done: int) -> None:
        seen.append(len(list((tmp_path / "out").rglob("crop-*.json"))))

    evaluate([Task(side, video, "mask", 1) for video in videos], tmp_path / "out", workers.in_this_process, progress)
    assert seen == [0, 1, 2]
