"""The tracker's parts on toy networks: no torch, milliseconds."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from export.tracking import modules
from export.tracking.bank import Bank, attention_inputs
from export.tracking.frames import open_frames, picture_files, upright
from export.tracking.images import bounding_box, preprocess, resize_logits
from export.tracking.overlay import COLOURS, draw
from export.tracking.prompts import Prompt, decoder_points, parse, parse_removals
from export.tracking.run import orderly_stop, track_video
from export.tracking.tracker import Result, Tracker
from tests.export import toy_networks
from tests.export.toy_networks import frames
from verify.errors import SurgeonError

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])
PROMPTS = {0: {1: BOX, 2: CLICK}, 3: {5: BOX, 6: CLICK}}


def logits(folder: Path, count: int = 12, **options: int) -> list[dict[int, np.ndarray]]:
    tracker = Tracker(modules.load(folder, threads=1), **options)
    results = [tracker.step(frame, PROMPTS.get(i)) for i, frame in enumerate(frames(count))]
    return [{object_id: result.logits for object_id, result in frame.items()} for frame in results]


def test_objects_in_one_call_one_by_one_and_in_fixed_batches_are_the_same(tmp_path: Path) -> None:
    wanted = logits(toy_networks.write(tmp_path / "one", 1))
    free, three = toy_networks.write(tmp_path / "free"), toy_networks.write(tmp_path / "three", 3)
    assert sorted(wanted[-1]) == [1, 2, 5, 6]
    for got in (logits(free, most=4), logits(free, most=1), logits(free, most=3), logits(three)):
        for one, other in zip(wanted, got, strict=True):
            assert one.keys() == other.keys()
            for object_id in one:
                np.testing.assert_allclose(one[object_id], other[object_id], atol=1e-5)


def test_objects_of_different_age_never_share_memory_attention(tmp_path: Path) -> None:
    networks = modules.load(toy_networks.write(tmp_path))
    calls = []

    def spy(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        calls.append((inputs["memory_0"].shape[:2], inputs["memory_1"].shape[:2], float(inputs["cond_frame_id_diff"])))
        return networks.memory_attention(inputs)

    tracker = Tracker(modules.Modules(**{**networks.__dict__, "memory_attention": spy}))
    for i, frame in enumerate(frames(20)):
        calls.clear()
        tracker.step(frame, PROMPTS.get(i))
    assert calls == [((2, 16), (2, 7), 19.0), ((2, 16), (2, 7), 16.0)]


def test_memory_bank_order_and_temporal_codes() -> None:
    """Conditioning frame first with the last code; then oldest to newest; pointers newest to oldest."""
    bank = Bank(prompted_at=2)
    for t in range(20):
        bank.remember(np.full((64, 1, 1), t, np.float32), np.full(256, t, np.float32))
    temporal = np.arange(7, dtype=np.float32).reshape(7, 1, 1, 1) * np.ones((7, 1, 1, 64), np.float32)
    inputs = attention_inputs([bank], 22, np.zeros((1, 64), np.float32), temporal)
    assert inputs["memory_1"][0, :, 0, 0, 0].tolist() == [0, 14, 15, 16, 17, 18, 19]
    assert inputs["memory_pos_embed"][0, :7, 0].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert inputs["memory_0"][0, :, 0].tolist() == [0, *range(19, 4, -1)]
    assert inputs["memory_pos_embed"].shape == (1, 7 + 4 * 16, 64)
    assert inputs["cond_frame_id_diff"] == 20
    assert inputs["cond_frame_id_diff"].shape == ()


def test_young_bank_counts_ages_from_its_own_frames() -> None:
    bank = Bank(prompted_at=5)
    for t in range(3):
        bank.remember(np.full((64, 1, 1), t, np.float32), np.zeros(256, np.float32))
    temporal = np.arange(7, dtype=np.float32).reshape(7, 1, 1, 1) * np.ones((7, 1, 1, 64), np.float32)
    inputs = attention_inputs([bank], 8, np.zeros((1, 64), np.float32), temporal)
    assert inputs["memory_pos_embed"][0, :3, 0].tolist() == [6, 1, 0]


def test_removed_and_prompted_again(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    images = frames(6)
    assert tracker.step(images[0]) == {}
    tracker.step(images[1], {1: BOX, 2: CLICK})
    tracker.remove(1)
    assert list(tracker.step(images[2])) == [2]
    again = tracker.step(images[3], {2: BOX})
    fresh = Tracker(tracker.modules)
    np.testing.assert_array_equal(again[2].logits, fresh.step(images[3], {2: BOX})[2].logits)
    assert tracker.banks[2].prompted_at == 3
    with pytest.raises(SurgeonError, match="no object 1 to remove"):
        tracker.remove(1)


@pytest.mark.parametrize("size", [(9, 7), (30, 40), (16, 16), (1, 5)])
def test_masks_are_resized_as_torch_does(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    source = np.random.default_rng(1).normal(size=(16, 16)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(source)[None, None], size, mode="bilinear")[0, 0]
    np.testing.assert_allclose(resize_logits(source, *size), wanted, atol=2e-6)


def test_preprocessing_is_that_of_stock_sam2(tmp_path: Path) -> None:
    misc = pytest.importorskip("sam2.utils.misc")
    Image.fromarray(frames(1)[0]).save(tmp_path / "00000.jpg")
    wanted, height, width = misc.load_video_frames(str(tmp_path), 64, True, compute_device="cpu")
    with open_frames(tmp_path) as source:
        (frame,) = source
    assert (height, width) == frame.shape[:2]
    np.testing.assert_array_equal(preprocess(frame, 64), wanted.numpy())


def test_box_of_a_mask() -> None:
    mask = np.zeros((10, 12), bool)
    assert bounding_box(mask) is None
    mask[3:5, 4:9] = True
    assert bounding_box(mask) == (4, 3, 9, 5)


def test_decoder_points() -> None:
    coords, labels = decoder_points(Prompt(box=(10, 20, 30, 40), points=[(50, 60, 0)]), 100, 200, 1024)
    assert labels.tolist() == [2, 3, 0]
    np.testing.assert_allclose(coords, np.array([[10, 20], [30, 40], [50, 60]]) / [200, 100] * 1024, rtol=1e-6)
    coords, labels = decoder_points(None, 100, 200, 1024)
    assert (coords.shape, labels.tolist()) == ((1, 2), [-1])


def test_prompts_are_read() -> None:
    schedule = parse(["1,2,3,4", "5,6,7,8", "9@10=1,1,2,2"], ["3,4,1", "2=5,5,0", "@4=1,1,1", "9@10=1.5,1,1"])
    assert schedule == {
        0: {1: Prompt((1, 2, 3, 4), [(3, 4, 1)]), 2: Prompt((5, 6, 7, 8), [(5, 5, 0)])},
        4: {1: Prompt(None, [(1, 1, 1)])},
        10: {9: Prompt((1, 1, 2, 2), [(1.5, 1, 1)])},
    }
    assert parse_removals(["2@50", "3@50"]) == {50: [2, 3]}


@pytest.mark.parametrize(
    ("boxes", "points", "message"),
    [
        (["1,2,3"], [], "expected X0,Y0,X1,Y1"),
        (["=1,2,3,4"], [], "before it"),
        (["2@=1,2,3,4"], [], "before it"),
        (["1,2,nan,4"], [], "before it"),
        (["3,2,1,4"], [], "X0 < X1"),
        (["1=1,2,3,4", "1=1,2,3,4"], [], "already has a box"),
        ([], ["1,2,3"], "the label is 1"),
        ([], [], "nothing to track"),
    ],
)
def test_bad_prompts_are_refused(boxes: list[str], points: list[str], message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        parse(boxes, points)


def test_removal_must_name_object_and_frame() -> None:
    with pytest.raises(SurgeonError, match="ID@FRAME"):
        parse_removals(["2"])


def test_missing_file_is_named(tmp_path: Path) -> None:
    toy_networks.write(tmp_path)
    (tmp_path / "memory_encoder.onnx").unlink()
    with pytest.raises(SurgeonError, match=r"memory_encoder\.onnx: no such file"):
        modules.load(tmp_path)


def test_damaged_file_is_named(tmp_path: Path) -> None:
    toy_networks.write(tmp_path)
    (tmp_path / "mask_decoder.onnx").write_bytes(b"\x08\x08garbage")
    with pytest.raises(SurgeonError, match=r"mask_decoder\.onnx: onnxruntime cannot open it"):
        modules.load(tmp_path)


def test_frames_are_sorted_by_number(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", "100.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert [file.name for file in picture_files(tmp_path)] == ["9.jpg", "10.jpg", "100.jpg"]


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="no frames in it"), open_frames(tmp_path):
        pass
    with pytest.raises(SurgeonError, match="no such video"), open_frames(tmp_path / "x.mp4"):
        pass
    (tmp_path / "x.mp4").write_text("no video")
    pytest.importorskip("av")
    with pytest.raises(SurgeonError, match="cannot be read as a video"), open_frames(tmp_path / "x.mp4"):
        pass


def test_rotated_frames_are_turned_upright() -> None:
    frame = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * np.ones((1, 1, 3), np.uint8)
    assert upright(frame, 90)[:, :, 0].tolist() == [[2, 5], [1, 4], [0, 3]]
    assert upright(frame, 0) is not None


def test_second_interrupt_is_as_ever() -> None:
    with orderly_stop() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_overlay_colours_the_mask_and_leaves_the_rest(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    frame = np.full((40, 60, 3), 100, np.uint8)
    (result,) = tracker.step(frame, {1: BOX}).values()
    inside = np.zeros((40, 60), bool)
    inside[10:20, 20:30] = True
    result.__dict__.update(mask=inside, box=(20, 10, 30, 20))
    picture = draw(frame, {1: result})
    changed = (picture != frame).any(axis=2)
    assert changed[19, 29]
    assert not changed[:5].any()
    assert not changed[:, 45:].any()


def test_labels_of_equal_boxes_stand_side_by_side() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    result = Result(np.full((16, 16), 1, np.float32), 0.9, 5.0, 60, 80)
    both, second = draw(frame, {1: result, 2: result}), draw(frame, {2: result})
    row = both[4, :40]
    assert {tuple(COLOURS[1]), tuple(COLOURS[2])} <= {tuple(pixel) for pixel in row.tolist()}
    assert (both[:20, 20:] != second[:20, 20:]).any()


def test_track_video_counts_frames(tmp_path: Path, clip: Path) -> None:
    told: list[int] = []
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    with open_frames(clip) as source:
        summary = track_video(source, tracker, {0: {1: BOX}}, {}, [], limit=4, tell=told.append)
    assert (summary.frames, summary.interrupted, told) == (4, False, [1, 2, 3, 4])
