"""The memory bank: order of memories and pointers, temporal codes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")


from export.tracking.bank import Bank, attention_inputs
from export.tracking.prompts import Prompt
from verify.interface.spec import load_spec

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


TEMPORAL = np.arange(7, dtype=np.float32).reshape(7, 1, 1, 1) * np.ones((7, 1, 1, 64), np.float32)


def inputs(prompted: tuple[int, ...], frames: int) -> dict[str, np.ndarray]:
    """What memory attention gets before the next frame; memories and pointers hold the number of their frame."""
    bank = Bank()
    for t in range(prompted[0], frames):
        memory, pointer = np.full((64, 1, 1), t, np.float32), np.full(256, t, np.float32)
        bank.remember(t, memory, pointer, prompted=t in prompted)
    return attention_inputs([bank], frames, np.zeros((1, 64), np.float32), TEMPORAL)


def test_memory_bank_order_and_temporal_codes() -> None:
    """Prompted frame first with the last code; then oldest to newest; pointers newest to oldest."""
    found = inputs((2,), 22)
    assert found["memory_1"][0, :, 0, 0, 0].tolist() == [2, 16, 17, 18, 19, 20, 21]
    assert found["memory_pos_embed"][0, :7, 0].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert found["memory_0"][0, :, 0].tolist() == [2, *range(21, 6, -1)]
    assert found["memory_pos_embed"].shape == (1, 7 + 4 * 16, 64)
    assert found["cond_frame_id_diff"] == 20
    assert found["cond_frame_id_diff"].shape == ()


def test_young_bank_counts_ages_from_its_own_frames() -> None:
    assert inputs((5,), 8)["memory_pos_embed"][0, :3, 0].tolist() == [6, 1, 0]


def test_every_prompted_frame_is_remembered() -> None:
    """Frame 4 holds no ordinary slot: six frames before 9 are 3 and 5 to 8; its pointer stands where its age says."""
    found = inputs((2, 4), 9)
    assert found["memory_1"][0, :, 0, 0, 0].tolist() == [2, 4, 3, 5, 6, 7, 8]
    assert found["memory_pos_embed"][0, :7, 0].tolist() == [6, 6, 5, 3, 2, 1, 0]
    assert found["memory_0"][0, :, 0].tolist() == [2, 8, 7, 6, 5, 4, 3]
    assert found["cond_frame_id_diff"] == 7


def test_old_prompted_frames_follow_the_pointers_of_the_last_15_frames() -> None:
    found = inputs((0, 4, 6, 30), 40)
    assert found["memory_1"][0, :, 0, 0, 0].tolist() == [0, 4, 6, 30, 34, 35, 36, 37, 38, 39]
    assert found["memory_0"][0, :, 0].tolist() == [0, *range(39, 24, -1), 6, 4]


def test_profiles_hold_what_a_bank_of_so_many_prompted_frames_gives() -> None:
    found = inputs((0, 4, 6), 40)
    profile = load_spec(prompted_frames=3)["memory_attention"].profiles()
    assert found["memory_1"].shape[1] == profile["memory_1"].max[1]
    assert found["memory_0"].shape[1] == profile["memory_0"].max[1]


def test_objects_share_a_call_when_their_inputs_have_equal_shapes() -> None:
    one, other, third = Bank(), Bank(), Bank()
    for t in range(12):
        memory, pointer = np.full((64, 1, 1), t, np.float32), np.full(256, t, np.float32)
        one.remember(t, memory, pointer, prompted=t in (0, 3))
        other.remember(t, memory, pointer, prompted=t in (0, 5))
        third.remember(t, memory, pointer, prompted=t == 0)
    assert one.layout(12) == other.layout(12)
    assert third.layout(12) != one.layout(12)
    both = attention_inputs([one, other], 12, np.zeros((1, 64), np.float32), TEMPORAL)
    alone = attention_inputs([other], 12, np.zeros((1, 64), np.float32), TEMPORAL)
    for name in ("memory_0", "memory_1", "memory_pos_embed"):
        np.testing.assert_array_equal(both[name][1:], alone[name])
