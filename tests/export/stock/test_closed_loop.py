"""The tracker's loop against stock `SAM2VideoPredictor`, on real pixels that move.

By default the four networks are the export's torch modules, called through the same NumPy interface as the ONNX
files, on a small image: that tests the loop. The slow tests run exported files.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.tracking.modules import NAMES, PROMPTS, Modules
from export.tracking.prompts import Prompt
from tests.export import toy_networks

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")
pytest.importorskip("skimage")

from export import pipeline  # noqa: E402
from export.modules import wrap  # noqa: E402
from export.stock import closed_loop, predictor  # noqa: E402
from export.tracking.tracker import Tracker  # noqa: E402
from export.weights import checkpoints, choose, sam2_model  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

FRAMES, FEW = 18, 9
SCHEDULE = {
    0: {1: Prompt(box=(100, 45, 220, 210)), 2: Prompt(points=[(280, 120, 1)])},
    6: {3: Prompt(box=(40, 150, 160, 285), points=[(100, 200, 1), (30, 20, 0)])},
}


def as_numpy(stock: Any, semantics: str = "sam2") -> Modules:
    def runner(name: str) -> Any:
        wrapper, spec = wrap.wrap(name, stock, semantics, "onnxruntime"), load_spec()[name]

        def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
            with torch.inference_mode():
                values = wrapper(*(torch.from_numpy(np.array(inputs[port.name])) for port in spec.inputs))
            values = values if isinstance(values, tuple) else (values,)
            return {port.name: value.numpy() for port, value in zip(spec.outputs, values, strict=True)}

        return run

    any_number = dict.fromkeys(("mask_decoder", "mask_decoder_prompts", "memory_attention", "memory_encoder"))
    return Modules(
        **{name: runner(name) for name in (*NAMES, PROMPTS)},
        image_size=stock.image_size,
        batch=any_number,
        mask_downsample=np.array(pipeline.mask_downsample(stock).split(), np.float32),
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    closed_loop.write_clip(closed_loop.photo_clip(FRAMES), folder)
    return folder


@pytest.fixture(scope="module")
def stock(thin_model: Any) -> Any:
    return thin_model()


@pytest.fixture(scope="module")
def expected(stock: Any, clip: Path) -> list[dict[int, predictor.StockResult]]:
    return predictor.track(stock, clip, SCHEDULE, FRAMES)


def check(rows: list[closed_loop.Row]) -> None:
    for check in closed_loop.checks(rows):
        assert check.status == "pass", check.message


def test_same_masks_and_decisions_as_the_stock_predictor(stock: Any, clip: Path, expected: Any) -> None:
    ours = closed_loop.run(as_numpy(stock), clip, SCHEDULE, FRAMES)
    rows = closed_loop.compare(ours, expected)
    check(rows)
    assert len(rows) == 2 * FRAMES + FRAMES - 6
    assert max(row.logit_error for row in rows) < 0.01 * max(row.logit_range for row in rows)


def test_float32_memories_differ_more_from_the_stock_predictor(stock: Any, clip: Path, expected: Any) -> None:
    """The stock predictor keeps mask memories in bfloat16; that is visible, so the tracker must do it too."""
    error = {}
    for storage in ("bfloat16", "float32"):
        ours = closed_loop.run(as_numpy(stock), clip, SCHEDULE, 5, storage=storage)
        error[storage] = np.mean([row.logit_error for row in closed_loop.compare(ours, expected[:5])])
    assert error["bfloat16"] < 0.5 * error["float32"]


def test_one_object_at_a_time_gives_the_same(stock: Any, clip: Path) -> None:
    networks = as_numpy(stock)
    together = closed_loop.run(networks, clip, SCHEDULE, FEW, most=4)
    separately = closed_loop.run(networks, clip, SCHEDULE, FEW, most=1)
    for one, other in zip(together, separately, strict=True):
        assert one.keys() == other.keys()
        for object_id in one:
            assert (one[object_id].mask == other[object_id].mask).mean() > 0.9999
            np.testing.assert_allclose(one[object_id].logits, other[object_id].logits, atol=0.01)


def test_occlusion(thin_model: Any, clip: Path) -> None:
    """Object scores on both sides of zero: empty masks, the no-object pointer, the no-object memory."""
    stock = copy.deepcopy(thin_model())
    with torch.no_grad():
        for name, value in stock.named_parameters():
            if name.endswith("pred_obj_score_head.layers.2.bias"):
                value -= 6.9
    expected = predictor.track(stock, clip, SCHEDULE, FEW)
    scores = [result.score for frame in expected for result in frame.values()]
    assert min(scores) < 0 < max(scores)
    check(closed_loop.compare(closed_loop.run(as_numpy(stock), clip, SCHEDULE, FEW), expected))


def test_more_prompts_than_frames_are_refused(tmp_path: Path) -> None:
    """Two prompts in one frame would be one: the loop would run with fewer prompts than it was asked for."""
    schedule = closed_loop.default_schedule(300, 400, 20, prompted_frames=20)
    assert sorted(frame for frame, prompts in schedule.items() if 1 in prompts) == list(range(20))
    message = r"^--prompted-frames 21: the clip has 20 frames, of which each can be prompted once$"
    with pytest.raises(SurgeonError, match=message):
        closed_loop.closed_loop(tmp_path, frames=20, prompted_frames=21)


def test_every_prompted_frame_is_remembered(stock: Any, clip: Path) -> None:
    """A box, a click and a box again on one object: all three stay in memory, as in the stock predictor."""
    schedule = closed_loop.default_schedule(300, 400, FRAMES, prompted_frames=3)
    assert [frame for frame, prompts in sorted(schedule.items()) if 1 in prompts] == [0, 6, 12]
    expected = predictor.track(stock, clip, schedule, FRAMES)
    check(closed_loop.compare(closed_loop.run(as_numpy(stock), clip, schedule, FRAMES), expected))


def test_clicks_correct_what_was_tracked(stock: Any, clip: Path) -> None:
    """A background click alone, two clicks one after the other on a frame, and a second click on a prompted frame."""
    corrections = {
        0: {2: Prompt(points=[(300, 160, 1)])},
        3: {1: Prompt(points=[(180, 190, 0)])},
        5: {1: Prompt(points=[(150, 100, 1), (230, 60, 0)])},
    }
    expected = predictor.track(stock, clip, SCHEDULE, FEW, corrections=corrections)
    plain = predictor.track(stock, clip, SCHEDULE, FEW)
    for frame, object_id in ((0, 2), (3, 1), (5, 1)):  # the corrections matter
        assert np.abs(expected[frame][object_id].logits - plain[frame][object_id].logits).max() > 1
    check(closed_loop.compare(closed_loop.run(as_numpy(stock), clip, SCHEDULE, FEW, corrections), expected))


def test_masks_are_prompts(stock: Any, clip: Path) -> None:
    """A mask for a new object, and one on an object that is tracked; both at the video's size, 300 x 400."""
    ring, corner = np.zeros((300, 400), bool), np.zeros((300, 400), bool)
    ring[60:200, 90:230] = True
    ring[110:150, 140:180] = False
    corner[150:285, 40:160] = True
    schedule = {0: {1: Prompt(mask=ring), 2: SCHEDULE[0][2]}, 4: {2: Prompt(mask=corner)}}
    expected = predictor.track(stock, clip, schedule, FEW)
    ours = closed_loop.run(as_numpy(stock), clip, schedule, FEW)
    check(closed_loop.compare(ours, expected))
    assert (ours[0][1].mask == ring).mean() > 0.99


def test_candidates_are_those_of_stock(stock: Any, clip: Path) -> None:
    expected = predictor.track(stock, clip, SCHEDULE, 1)
    (ours,) = closed_loop.run(as_numpy(stock), clip, SCHEDULE, 1)
    for object_id, result in ours.items():
        np.testing.assert_allclose(result.candidates, expected[0][object_id].candidates[1:], atol=0.01)
        np.testing.assert_allclose(result.qualities, expected[0][object_id].ious[1:], atol=1e-4)


def test_removed_object(stock: Any, clip: Path) -> None:
    expected = predictor.track(stock, clip, SCHEDULE, FEW, removals={7: [1]})
    tracker, networks = [], as_numpy(stock)
    loop = Tracker(networks)
    for index, image in enumerate(closed_loop.read_clip(clip, FEW)):
        if index == 7:
            loop.remove(1)
        tracker.append(loop.step(image, SCHEDULE.get(index)))
    assert [sorted(frame) for frame in tracker[6:]] == [[1, 2, 3], [2, 3], [2, 3]]
    check(closed_loop.compare(tracker, expected))


def test_version_2_0(thin_model: Any, clip: Path) -> None:
    stock = thin_model("2.0")
    expected = predictor.track(stock, clip, SCHEDULE, FEW)
    check(closed_loop.compare(closed_loop.run(as_numpy(stock), clip, SCHEDULE, FEW), expected))


def test_masktracker_semantics_differs(stock: Any, clip: Path, expected: Any) -> None:
    ours = closed_loop.run(as_numpy(stock, "masktracker"), clip, SCHEDULE, FEW)
    masks, _ = closed_loop.checks(closed_loop.compare(ours, expected[:FEW]))
    assert masks.status == "fail"


def test_a_dead_channel_of_the_memories_shows(stock: Any, clip: Path, expected: Any) -> None:
    """One of 64 channels of the memory encoder gives zeros: the masks hardly move, the logits do."""
    networks = as_numpy(stock)
    encode = networks.memory_encoder

    def dead(inputs: Mapping[str, Any]) -> dict[str, Any]:
        found = encode(inputs)
        features = found["maskmem_features"].copy()
        axis = features.shape.index(64)
        np.moveaxis(features, axis, 0)[5] = 0.0
        return {**found, "maskmem_features": features}

    ours = closed_loop.run(dataclasses.replace(networks, memory_encoder=dead), clip, SCHEDULE, FEW)
    masks, _ = closed_loop.checks(closed_loop.compare(ours, expected[:FEW]))
    assert masks.status == "fail", masks.message


def test_files_without_a_model_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="does not name the model"):
        closed_loop.closed_loop(toy_networks.write(tmp_path), frames=2)


def test_missing_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sam2_model, "build", lambda *arguments: None)
    folder = toy_networks.write(tmp_path / "toy", metadata={"model_type": "tiny", "checkpoint": "7402e0"})
    with pytest.raises(SurgeonError, match=r"made from sam2\.1_hiera_tiny\.pt, which was not found"):
        closed_loop.closed_loop(folder, frames=2)


def test_differing_decisions_are_reported_with_their_margin() -> None:
    near = closed_loop.Row(3, 1, 1.0, 0.0, 0.0, 9.0, 0.01, -0.02, 2, 1, 0.001)
    assert near.agrees is False
    same = closed_loop.Row(3, 1, 1.0, 0.0, 0.0, 9.0, -5.0, -5.0, 2, 1, 0.3)
    assert same.agrees
    _, decisions = closed_loop.checks([same, near])
    assert decisions.status == "fail"
    assert "score 0.01 but stock -0.02, mask 2 but stock 1 (margin 0.001)" in decisions.message


@pytest.mark.parametrize(("metadata", "status"), [({}, "fail"), ({"precision": "mixed"}, "pass")])
def test_half_precision_may_lose_one_percent_of_a_mask(metadata: dict[str, str], status: str) -> None:
    row = closed_loop.Row(3, 1, 0.995, 0.0, 0.0, 9.0, 5.0, 5.0, 1, 1, 0.3)
    masks, _ = closed_loop.checks([row], *closed_loop.limits(metadata))
    assert masks.status == status


def exported(folder: Path, version: str, batch: int | str, semantics: str = "sam2") -> Path:
    request = pipeline.Request("tiny", version, 256, batch, semantics, "onnxruntime", 18)
    pipeline.export_all(request, choose.find_weights("tiny", version, folder, source="reference"), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("version", "batch"), [("2.1", "dynamic"), ("2.1", 1), ("2.1", 2), ("2.0", "dynamic")])
def test_exported_files(tmp_path: Path, version: str, batch: int | str) -> None:
    for check in closed_loop.closed_loop(exported(tmp_path, version, batch), frames=20):
        assert check.status == "pass", check.message


@pytest.mark.slow
def test_exported_files_with_masktracker_semantics(tmp_path: Path) -> None:
    masks, _ = closed_loop.closed_loop(exported(tmp_path, "2.1", "dynamic", "masktracker"), frames=8)
    assert masks.status == "fail"


@pytest.mark.slow
@pytest.mark.parametrize("model_type", sam2_model.MODEL_TYPES)
def test_trained_weights_where_they_are_present(tmp_path: Path, model_type: str) -> None:
    file = Path("checkpoints") / checkpoints.checkpoint(model_type).file
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    request = pipeline.Request(model_type, "2.1", 1024, 1, "sam2", "onnxruntime", 18)
    pipeline.export_all(request, choose.Weights("file", file.name, file), tmp_path)
    for check in closed_loop.closed_loop(tmp_path, frames=10, checkpoint=file):
        assert check.status == "pass", check.message
