"""Image sizes: one side, and why a picture that is not square is refused."""

from __future__ import annotations

import pytest

from export.weights.sam2_model import parse_image_size
from verify.errors import SurgeonError


def test_one_side_or_two_equal_ones() -> None:
    assert [parse_image_size(text) for text in ("512", "512x512", "1024X1024")] == [512, 512, 1024]


@pytest.mark.parametrize("text", ["", "large", "1x2x3", "-5", "512.5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SurgeonError, match="write the pixels on a side, for example 512"):
        parse_image_size(text)


def test_a_picture_that_is_not_square_is_refused_with_the_reason() -> None:
    with pytest.raises(SurgeonError, match=r"576x1024: stock SAM2 takes square images only .* for example 1024"):
        parse_image_size("576x1024")


def test_stock_refuses_a_feature_map_that_is_not_square(thin_model: object) -> None:
    """The reason that the message gives; where stock takes such images one day, this test says so."""
    import torch

    model = thin_model()
    height = model.sam_image_embedding_size
    features = torch.zeros(1, model.sam_prompt_embed_dim, height, 2 * height)
    with pytest.raises(AssertionError):
        model._forward_sam_heads(features)
