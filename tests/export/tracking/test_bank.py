"""The memory bank: order of memories and pointers, temporal codes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")


from export.tracking.bank import Bank, attention_inputs
from export.tracking.prompts import Prompt

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])
PROMPTS = {0: {1: BOX, 2: CLICK}, 3: {5: BOX, 6: CLICK}}


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
