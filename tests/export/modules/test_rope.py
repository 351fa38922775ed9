"""Rotary encoding in real numbers against stock SAM2's complex arithmetic."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from sam2.modeling.position_encoding import apply_rotary_enc, compute_axial_cis  # noqa: E402

from export.modules.rope import evens_then_odds, permute_rows, rotary_table, rotate  # noqa: E402


@pytest.mark.parametrize("frames", [1, 3])
def test_scores_equal_stock(frames: int) -> None:
    tokens, channels = 16, 32
    cis = compute_axial_cis(channels, 4, 4)
    query = torch.randn(2, 1, tokens, channels)
    key = torch.randn(2, 1, frames * tokens, channels)
    stock_query, stock_key = apply_rotary_enc(query, key, cis, repeat_freqs_k=True)
    table = rotary_table(cis)
    order = evens_then_odds(channels)
    ours_query = rotate(query[..., order], *table)
    ours_key = rotate(key[..., order].unflatten(2, (frames, tokens)), *table).flatten(2, 3)
    torch.testing.assert_close(
        ours_query @ ours_key.transpose(-1, -2), stock_query @ stock_key.transpose(-1, -2), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(ours_query, stock_query[..., order], rtol=1e-6, atol=1e-6)


def test_rows_are_permuted_and_scaled() -> None:
    linear = torch.nn.Linear(3, 4)
    weight, bias = permute_rows(linear, 0.5)
    x = torch.randn(2, 3)
    torch.testing.assert_close(x @ weight.T + bias, 0.5 * linear(x)[:, [0, 2, 1, 3]])


def test_the_angle_of_the_first_token_is_zero() -> None:
    cos, sin = rotary_table(compute_axial_cis(8, 4, 4))
    assert cos.shape == sin.shape == (16, 8)
    assert torch.equal(cos[0], torch.ones(8))
    assert not sin[0].any()
    assert sin[1:].any()
