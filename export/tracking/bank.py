"""The memory bank of one object, and the inputs that memory attention takes from it.

Facts of the stock predictor (sam2/modeling/sam2_base.py, `_prepare_memory_conditioned_features`):

* every prompted frame is attended to, however old, with row 6 of `temporal_code`; these memories come first;
* then the mask memories of the last 6 frames that had no prompt, oldest first, with row t - 1 for t frames ago.
  The position of each token is the sine position of its pixel plus that row;
* then 4 tokens for each object pointer: those of the prompted frames, and those of the last 15 frames. The stock
  predictor encodes the distance of each in frames, divided by 15;
* mask memories are stored in bfloat16 between frames (sam2_video_predictor.py, `_run_single_frame_inference`).

memory_attention.onnx computes the distances itself: `cond_frame_id_diff` for the first pointer, then 1, 2, 3, ...
So the first prompted frame's pointer comes first, the pointer of the frame t frames ago stands at place t whether that
frame was prompted or not, and prompted frames that are more than 15 frames old follow at places 16, 17, ... Only
their distances differ from the stock predictor's. The tail of `memory_pos_embed` is not read and stays zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
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
    """What is remembered of one object: mask memories [64, f, f] and pointers [256] by frame, f = image size / 16."""

    storage: str = "bfloat16"
    prompted: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    memories: deque[tuple[int, Array]] = field(default_factory=lambda: deque(maxlen=RECENT_MEMORIES))
    pointers: deque[tuple[int, Array]] = field(default_factory=lambda: deque(maxlen=RECENT_POINTERS))

    def remember(self, frame: int, memory: Array, pointer: Array, *, prompted: bool) -> None:
        """Add a frame's mask memory and pointer; those of prompted frames are kept for good."""
        memory, pointer = memory.astype(STORAGE[self.storage]), pointer.copy()
        if prompted:
            self.prompted[frame] = memory, pointer
            return
        self.memories.append((frame, memory))
        self.pointers.append((frame, pointer))

    @property
    def first_prompt(self) -> int:
        """The first prompted frame."""
        return next(iter(self.prompted))

    def memories_at(self, frame: int) -> list[tuple[int | None, Array]]:
        """(age in frames, memory) as memory attention takes them before `frame`; age None for prompted frames."""
        recent = [(frame - at, memory) for at, memory in self.memories if frame - at <= RECENT_MEMORIES]
        return [*((None, memory) for memory, _ in self.prompted.values()), *recent]

    def pointers_at(self, frame: int) -> list[Array]:
        """Pointers in the order of the distances that memory_attention.onnx computes."""
        later = {frame - at: pointer for at, (_, pointer) in self.prompted.items() if at != self.first_prompt}
        by_age = {frame - at: pointer for at, pointer in self.pointers if frame - at <= RECENT_POINTERS}
        return [self.prompted[self.first_prompt][1], *(pointer for _, pointer in sorted({**by_age, **later}.items()))]

    def layout(self, frame: int) -> tuple[int, int, int]:
        """Objects with equal layouts can share a call: frames since the first prompt, memories, pointers."""
        return frame - self.first_prompt, len(self.memories_at(frame)), len(self.pointers_at(frame))


def attention_inputs(banks: list[Bank], frame: int, positions: Array, temporal: Array) -> dict[str, Array]:
    """memory_0, memory_1, memory_pos_embed and cond_frame_id_diff for objects with equal `Bank.layout`.

    positions   float32 [f * f, 64], one object's `maskmem_pos_enc`
    temporal    float32 [7, 1, 1, 64], `temporal_code`
    """
    ((distance, _, _),) = {bank.layout(frame) for bank in banks}
    rows = [_memory_rows(bank.memories_at(frame), positions, temporal) for bank in banks]
    pointers = np.stack([bank.pointers_at(frame) for bank in banks])
    tail = np.zeros((len(banks), POINTER_TOKENS * pointers.shape[1], positions.shape[1]), np.float32)
    return {
        "memory_0": pointers,
        "memory_1": np.stack([row["memory_1"] for row in rows]),
        "memory_pos_embed": np.concatenate([np.stack([row["positions"] for row in rows]), tail], axis=1),
        "cond_frame_id_diff": np.array(distance, np.float32),
    }


def _memory_rows(memories: list[tuple[int | None, Array]], positions: Array, temporal: Array) -> Mapping[str, Array]:
    """One object's memories, float32 [frames, 64, f, f], and the positions of their tokens [frames * f * f, 64]."""
    codes = [temporal[-1 if age is None else age - 1, 0] for age, _ in memories]
    return {
        "memory_1": np.stack([memory for _, memory in memories]).astype(np.float32),
        "positions": np.concatenate([positions + code for code in codes]),
    }
