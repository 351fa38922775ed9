"""What each target takes: tables made by probing the real parser and builder, read without TensorRT installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from verify.errors import SurgeonError

TARGETS = ("tensorrt-rtx", "tensorrt", "onnxruntime")


@dataclass(frozen=True)
class Target:
    """A runtime, its version when it was probed, and its refusals: feature key -> what it said."""

    name: str
    version: str
    refusals: dict[str, str]

    def refuses(self, feature: str) -> str | None:
        """What the target said to a model with this feature, or None where it takes it."""
        return self.refusals.get(feature)


@cache
def load_target(name: str) -> Target:
    """The table of one target.

    Raises:
        SurgeonError: no target has this name.
    """
    if name not in TARGETS:
        raise SurgeonError(f"unknown target '{name}'; choose one of {', '.join(TARGETS)}")
    table = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return Target(name=name, version=table["version"], refusals=table["refusals"])
