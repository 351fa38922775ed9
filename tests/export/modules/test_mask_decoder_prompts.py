"""The decoder with mask prompts against stock SAM2: corrections, masks alone, candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from tests.export.modules.compare import both, inputs_of, same  # noqa: E402

Build = Callable[..., Any]
PROMPTED = "mask_decoder_prompts"


@pytest.mark.parametrize("labels", [[1.0], [0.0], [2.0, 3.0], [1.0, 0.0, 0.0], [-1.0], [1.0, -1.0]])
def test_clicks_beside_a_mask(thin_model: Build, labels: list[float]) -> None:
    """The first object has a mask, the second none; a mask without a point takes the single mask."""
    inputs = inputs_of(PROMPTED, objects=2, points=len(labels))
    inputs["point_labels"] = torch.tensor([labels, labels])
    got, wanted = both(PROMPTED, thin_model(), inputs)
    same(got, wanted)
    assert wanted["low_res_masks"].shape[:2] == (2, 3)


def test_a_mask_changes_the_result_only_where_it_is_given(thin_model: Build) -> None:
    inputs = inputs_of(PROMPTED, objects=2, points=2)
    inputs["point_labels"] = torch.tensor([[2.0, 3.0]] * 2)
    got, _ = both(PROMPTED, thin_model(), inputs)
    plain, _ = both("mask_decoder", thin_model(), {k: v for k, v in inputs.items() if "mask_input" not in k})
    assert not torch.allclose(got["pred_mask"][0], plain["pred_mask"][0])
    torch.testing.assert_close(got["pred_mask"][1], plain["pred_mask"][1])


def test_a_mask_alone_takes_the_pointer_of_the_single_mask(thin_model: Build) -> None:
    """With one click the pointer is that of the best of three; a mask without a click takes the single mask's."""
    model, inputs = thin_model(), inputs_of(PROMPTED, objects=1, points=1)
    inputs["point_labels"] = torch.tensor([[-1.0]])
    got, _ = both(PROMPTED, model, inputs)
    pointers = []
    for multimask in (False, True):
        heads = model._forward_sam_heads(
            backbone_features=inputs["image_embed"],
            mask_inputs=inputs["mask_input"],
            high_res_features=[inputs["high_res_feats_0"], inputs["high_res_feats_1"]],
            multimask_output=multimask,
        )
        pointers.append(heads[5].detach())
    torch.testing.assert_close(got["obj_ptr"], pointers[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(pointers[0], pointers[1], atol=1e-2)


def test_candidates_are_those_of_the_multi_mask_output(thin_model: Build) -> None:
    model, inputs = thin_model(), inputs_of(PROMPTED, objects=1, points=1)
    inputs["point_labels"] = torch.tensor([[1.0]])
    got, _ = both(PROMPTED, model, inputs)
    heads = model._forward_sam_heads(
        backbone_features=inputs["image_embed"],
        point_inputs={"point_coords": inputs["point_coords"], "point_labels": inputs["point_labels"].int()},
        mask_inputs=inputs["mask_input"],
        high_res_features=[inputs["high_res_feats_0"], inputs["high_res_feats_1"]],
        multimask_output=True,
    )
    torch.testing.assert_close(got["low_res_masks"], heads[0].detach(), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got["iou_predictions"], heads[2].detach(), rtol=1e-4, atol=1e-4)
    best = got["iou_predictions"].argmax()
    torch.testing.assert_close(got["pred_mask"][0, 0], got["low_res_masks"][0, best])
