"""The memory bank of one object, and the three inputs that memory attention makes of it.

Facts of the stock predictor (sam2/modeling/sam2_base.py, `_prepare_memory_conditioned_features`):

* the conditioning frame (the one with the prompt) is always attended to, and stands first;
* then up to 6 mask memories of the frames just before this one, oldest first. Each token's position is the
  sine position of its pixel plus a temporal code: row 6 of `temporal_code` for the conditioning frame,
  row t - 1 for the frame t frames ago;
* then 4 tokens for each object pointer: the conditioning frame's first, then up to 15 earlier frames', newest
  first. Their positions [cond_frame_id_diff, 1, 2, ...] / 15 are computed inside memory_attention.onnx, so the
  tail of `memory_pos_embed` is not read and stays zero;
* mask memories are stored in bfloat16 between frames (sam2_video_predictor.py, `_run_single_frame_inference`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from export.tracking.modules import Array

RECENT_MEMORIES = 6
RECENT_POINTERS = 15
POINTER_TOKENS = 4
STORAGE = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float32": np.dtype(np.float32)}


@dataclass
class Bank:
    """What is remembered of one object: mask memories [64, f, f] and pointers [256], f = image size / 16."""

    prompted_at: int
    storage: str = "bfloat16"
    memories: deque[Array] = field(default_factory=lambda: deque(maxlen=RECENT_MEMORIES))
    pointers: deque[Array] = field(default_factory=lambda: deque(maxlen=RECENT_POINTERS))
    first_memory: Array | None = None
    first_pointer: Array | None = None

    def remember(self, memory: Array, pointer: Array) -> None:
        """Add this frame's mask memory and pointer; the first ones are the conditioning frame's, and stay."""
        memory, pointer = memory.astype(STORAGE[self.storage]), pointer.copy()
        if self.first_memory is None:
            self.first_memory, self.first_pointer = memory, pointer
            return
        self.memories.append(memory)
        self.pointers.append(pointer)

    def stacked_memories(self) -> Array:
        """Conditioning frame, then oldest to newest: float32 [frames, 64, f, f]."""
        return np.stack([self.first_memory, *self.memories]).astype(np.float32)  # type: ignore[list-item]

    def stacked_pointers(self) -> Array:
        """Conditioning frame, then newest to oldest: float32 [pointers, 256]."""
        return np.stack([self.first_pointer, *reversed(self.pointers)])  # type: ignore[list-item]


def attention_inputs(banks: list[Bank], frame: int, positions: Array, temporal: Array) -> dict[str, Array]:
    """memory_0, memory_1, memory_pos_embed and cond_frame_id_diff for objects prompted in the same frame.

    positions   float32 [f * f, 64], one object's `maskmem_pos_enc`
    temporal    float32 [7, 1, 1, 64], `temporal_code`
    """
    (prompted_at,) = {bank.prompted_at for bank in banks}
    memories = np.stack([bank.stacked_memories() for bank in banks])
    pointers = np.stack([bank.stacked_pointers() for bank in banks])
    ages = [len(temporal), *range(memories.shape[1] - 1, 0, -1)]
    spatial = np.concatenate([positions + temporal[age - 1, 0] for age in ages])
    tail = np.zeros((POINTER_TOKENS * pointers.shape[1], positions.shape[1]), np.float32)
    row = np.concatenate([spatial, tail])
    return {
        "memory_0": pointers,
        "memory_1": memories,
        "memory_pos_embed": np.broadcast_to(row, (len(banks), *row.shape)),
        "cond_frame_id_diff": np.array(frame - prompted_at, np.float32),
    }
