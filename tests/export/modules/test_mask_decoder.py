"""The mask decoder against stock SAM2: prompts, choice of the mask, absent objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.mask_decoder import NO_OBJ_SCORE, MaskDecoder  # noqa: E402
from tests.export.modules.compare import both, changed, decoder_inputs, inputs_of, same  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402

Build = Callable[..., Any]


@pytest.mark.parametrize(
    "labels", [[-1.0], [1.0], [0.0], [2.0, 3.0], [2.0, 3.0, 1.0, 0.0], [1.0, -1.0, -1.0], [-1.0, -1.0]]
)
def test_prompts(thin_model: Build, labels: list[float]) -> None:
    inputs = inputs_of("mask_decoder", objects=2, points=len(labels))
    inputs["point_labels"] = torch.tensor([labels, labels])
    got, wanted = both("mask_decoder", thin_model(), inputs)
    same(got, wanted)
    prompted = any(label != -1 for label in labels)
    binary = bool(((wanted["mask_for_mem"].abs() - 10).abs() == 0).all())
    assert binary == prompted


def test_an_unstable_single_mask_falls_back(thin_model: Build) -> None:
    """With the threshold above one every single mask is unstable: best mask and score, but the single mask's token."""
    model = thin_model()
    stable, _ = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    decoder = model.sam_mask_decoder
    before = decoder.dynamic_multimask_stability_thresh
    decoder.dynamic_multimask_stability_thresh = 1.5
    try:
        got, wanted = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    finally:
        decoder.dynamic_multimask_stability_thresh = before
    same(got, wanted)
    assert not torch.allclose(got["pred_mask"], stable["pred_mask"])
    torch.testing.assert_close(got["obj_ptr"], stable["obj_ptr"])


def test_an_empty_mask_is_stable(thin_model: Build) -> None:
    decoder = MaskDecoder(thin_model(), "sam2")
    empty, edge = torch.full((1, 1, 100), -5.0), torch.tensor([[[0.01] * 50 + [5.0] * 50]])
    assert float(decoder._stability(empty)) == 1.0
    assert float(decoder._stability(edge)) == 0.5


def test_objects_choose_for_themselves(thin_model: Build) -> None:
    """One batch with a box, a click and no prompt: every object as if it were alone, padding aside."""
    inputs = inputs_of("mask_decoder", objects=3, points=2)
    inputs["point_labels"] = torch.tensor([[2.0, 3.0], [1.0, -1.0], [-1.0, -1.0]])
    got, wanted = both("mask_decoder", thin_model(), inputs)
    same(got, wanted)


def test_a_configuration_without_these_branches_is_refused(thin_model: Build) -> None:
    model = thin_model()
    model.soft_no_obj_ptr = True
    try:
        with pytest.raises(SurgeonError, match="soft_no_obj_ptr=True"):
            MaskDecoder(model, "sam2")
    finally:
        model.soft_no_obj_ptr = False


@pytest.mark.parametrize("version", ["2.1", "2.0"])
def test_an_absent_object(thin_model: Build, version: str) -> None:
    model = thin_model(version)
    with changed(model, **{"sam_mask_decoder.pred_obj_score_head.layers.2.bias": torch.tensor([-50.0])}):
        got, wanted = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    same(got, wanted)
    assert bool((got["pred_mask"] == NO_OBJ_SCORE).all())
    torch.testing.assert_close(got["obj_ptr"], model.no_obj_ptr.detach())
    hidden = inputs_of("memory_encoder", objects=2)
    hidden["occ_logit"] = torch.tensor([[-3.0], [0.0]])
    same(*both("memory_encoder", model, hidden))
