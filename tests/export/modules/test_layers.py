"""Attention in chunks of queries."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.layers import attend, attend_in_chunks  # noqa: E402


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
def test_attention_in_chunks(rows: int) -> None:
    """7 queries: chunks of one, chunks with a remainder, one chunk."""
    query, key, value = torch.randn(2, 7, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 3)
    torch.testing.assert_close(attend_in_chunks(query, key, value, rows), attend(query, key, value))
