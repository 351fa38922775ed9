"""A seeded set of small faults, each in a copy of a model of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from verify.faults import inputs, nodes, weights

KINDS = {**weights.KINDS, **nodes.KINDS, **inputs.KINDS}
MOST_BYTES = 500 << 20  # weights in other files are loaded up to here; above it faults are planted in the graph alone


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, its place, and a copy of the model that has it."""

    kind: str
    place: str
    model: onnx.ModelProto

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}"


def load(path: Path) -> onnx.ModelProto:
    """The model that faults are planted in, with its weights unless they are larger than `MOST_BYTES`."""
    from verify.model.external import external_files

    model = onnx.load(path, load_external_data=False)
    small = path.stat().st_size + sum(file.stat().st_size for file in external_files(path, model)) <= MOST_BYTES
    return onnx.load(path) if small else model


def plant(model: onnx.ModelProto, seed: int) -> Iterator[Fault]:
    """Faults of all kinds by turns, no two the same. The iterator may be endless; take as many faults as needed.

    A fault may stop the model from running or change nothing; the caller checks both with `verify.faults.effect`.
    """
    pick = random.Random(seed)
    kinds = list(KINDS)
    seen: set[str] = set()
    misses = dict.fromkeys(kinds, 0)
    while kinds:
        for kind in list(kinds):
            changed = onnx.ModelProto()
            changed.CopyFrom(model)
            fault = Fault(kind, KINDS[kind](changed, pick), changed)
            if fault.place and str(fault) not in seen:
                seen.add(str(fault))
                yield fault
            else:
                misses[kind] += 1
                if misses[kind] > 8:
                    kinds.remove(kind)
