"""The tracker on toy networks: objects that share calls, removed and prompted again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")


from export.tracking import modules
from export.tracking.prompts import Prompt
from export.tracking.tracker import Tracker
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


def test_a_prompt_on_a_tracked_object_adds_a_prompted_frame(tmp_path: Path) -> None:
    """The frame itself is decoded from its prompt alone; the frames after it remember both prompts."""
    tracker, images = Tracker(modules.load(toy_networks.write(tmp_path))), frames(6)
    tracker.step(images[0], {1: BOX})
    tracker.step(images[1])
    prompted = tracker.step(images[2], {1: CLICK})
    np.testing.assert_array_equal(prompted[1].logits, Tracker(tracker.modules).step(images[2], {1: CLICK})[1].logits)
    tracker.step(images[3])
    assert list(tracker.banks[1].prompted) == [0, 2]


def test_corrections_change_the_frame_and_what_is_remembered_of_it(tmp_path: Path) -> None:
    networks, images = modules.load(toy_networks.write(tmp_path, prompts=True)), frames(4)
    plain, tracker = Tracker(networks), Tracker(networks)
    for frame in images[:2]:
        before, same = (t.step(frame, {} if t.banks else {1: BOX, 2: CLICK}) for t in (plain, tracker))
        np.testing.assert_array_equal(before[1].logits, same[1].logits)
    corrected = tracker.correct({1: Prompt(points=[(20, 10, 0)])})
    assert list(corrected) == [1]
    assert np.abs(corrected[1].logits - before[1].logits).max() > 0.01
    later, other = plain.step(images[2]), tracker.step(images[2])
    assert np.abs(later[1].logits - other[1].logits).max() > 0
    np.testing.assert_array_equal(later[2].logits, other[2].logits)


def test_clicks_of_a_frame_add_up(tmp_path: Path) -> None:
    networks = modules.load(toy_networks.write(tmp_path, prompts=True))
    seen = []

    def spy(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen.append((inputs["point_labels"].tolist(), inputs["has_mask_input"].tolist()))
        return networks.mask_decoder_prompts(inputs)

    tracker = Tracker(modules.Modules(**{**networks.__dict__, "mask_decoder_prompts": spy}))
    tracker.step(frames(1)[0], {1: BOX})
    tracker.correct({1: CLICK})
    tracker.correct({1: Prompt(points=[(5, 5, 0)])})
    assert seen == [([[2, 3]], [0]), ([[2, 3, 1]], [1]), ([[2, 3, 1, 0]], [1])]


def test_corrections_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    without = Tracker(modules.load(toy_networks.write(tmp_path / "four")))
    tracker = Tracker(modules.load(toy_networks.write(tmp_path / "five", prompts=True)))
    with pytest.raises(SurgeonError, match="no frame to correct"):
        tracker.correct({1: CLICK})
    for one in (without, tracker):
        one.step(frames(1)[0], {1: BOX})
    with pytest.raises(SurgeonError, match=r"need mask_decoder_prompts\.onnx .* surgeon export --prompts"):
        without.correct({1: CLICK})
    with pytest.raises(SurgeonError, match="no object 2 to correct; there are \\[1\\]"):
        tracker.correct({2: CLICK})
    with pytest.raises(SurgeonError, match="a correction is one or more clicks"):
        tracker.correct({1: BOX})


def test_a_mask_prompt_is_its_frame_s_result(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path / "five", prompts=True)))
    mask = np.zeros((40, 60), bool)
    mask[10:30, 15:45] = True
    result = tracker.step(frames(1)[0], {1: Prompt(mask=mask)})[1]
    assert (result.mask == mask).mean() > 0.95
    assert (result.score, result.iou) == (10, 1)
    assert tracker.step(frames(2)[1])[1].iou < 1
    without = Tracker(modules.load(toy_networks.write(tmp_path / "four")))
    with pytest.raises(SurgeonError, match=r"mask_decoder_prompts\.onnx"):
        without.step(frames(1)[0], {1: Prompt(mask=mask)})


def test_a_single_image_needs_no_memory(tmp_path: Path) -> None:
    networks = modules.load(toy_networks.write(tmp_path))

    def fail(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise AssertionError("a single image must not be encoded into memory")

    spied = modules.Modules(**{**networks.__dict__, "memory_encoder": fail, "memory_attention": fail})
    assert Tracker(spied).step(frames(1)[0], {1: BOX})[1].logits.any()


def test_background_clicks_alone_are_refused_before_anything_changes(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    with pytest.raises(SurgeonError, match="object 7: background clicks alone mark no object"):
        tracker.step(frames(1)[0], {1: BOX, 7: Prompt(points=[(20, 10, 0)])})
    assert tracker.banks == {}


def test_removed_and_prompted_again(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    images = frames(6)
    assert tracker.step(images[0]) == {}
    tracker.step(images[1], {1: BOX, 2: CLICK})
    tracker.remove(1)
    assert list(tracker.step(images[2])) == [2]
    tracker.remove(2)
    again = tracker.step(images[3], {2: BOX})
    fresh = Tracker(tracker.modules)
    np.testing.assert_array_equal(again[2].logits, fresh.step(images[3], {2: BOX})[2].logits)
    tracker.step(images[4])
    assert list(tracker.banks[2].prompted) == [3]
    with pytest.raises(SurgeonError, match="no object 1 to remove"):
        tracker.remove(1)
