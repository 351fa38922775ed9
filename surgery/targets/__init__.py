"""Tables of what each target accepts, with a source for every row; the passes and the diagnosis read them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from verify.errors import SurgeonError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from surgery.targets.judge import Judge
    from surgery.targets.table import State

Family = Literal["tensorrt-rtx", "tensorrt", "onnxruntime"]

# The names that help texts list. tensorrt-10.13 and every other version of the table are targets too.
TARGETS = (
    "tensorrt-rtx",
    "tensorrt",
    "tensorrt-10.9",
    "tensorrt-10.14",
    "tensorrt-10.16",
    "tensorrt-11",
    "deepstream-8.0",
    "deepstream-9.0",
    "deepstream-9.1",
    "deepstream-9.2",
    "onnxruntime",
)
OLDEST_DEEPSTREAM = "8.0"
RTX = "tensorrt-rtx"
PROBED = {"tensorrt-rtx": "TensorRT-RTX", "onnxruntime": "onnxruntime"}


@dataclass(frozen=True)
class Target:
    """A runtime in one version.

    name     "tensorrt-rtx", "onnxruntime" or "tensorrt-" with the version
    label    as people call it: "TensorRT 10.9 (DeepStream 8.0)"
    family   which of the three products it is
    version  of the product
    probed   catalog row -> what the product answered to its model; empty where the product was not asked
    """

    name: str
    label: str
    family: Family
    version: str
    probed: dict[str, str]

    @property
    def judge(self) -> Judge | None:
        """The target's table, for whole nodes; None where there is none."""
        return None if self.family == "onnxruntime" else load_judge(self.family, self.version)

    def state(self, feature: str) -> State:
        """Whether the target takes what this catalog row shows, or `op:NAME` for an operator as such."""
        return self._ruling(feature)[0]

    def refuses(self, feature: str) -> str | None:
        """Why the target refuses this, in a sentence, or None where it takes it.

        Unknown counts as refused, and so does what the target takes and computes as something else.
        """
        state, says = self._ruling(feature)
        return None if state == "accepted" else says

    def _ruling(self, feature: str) -> tuple[State, str]:
        judge = self.judge
        if judge is None:
            return ("refused", self.probed[feature]) if feature in self.probed else ("accepted", "")
        if feature.startswith("op:"):
            domain, _, op = feature[3:].rpartition("::")
            ruling = judge.of_operator(op, domain)
            return ruling.state, ruling.says or f"{self.label} has no {op}"
        from surgery.targets.wrong_results import wrong_results

        wrong = wrong_results().get(feature)
        if wrong is not None:
            has_it = self.family == "tensorrt" and wrong.at(judge.version)
            return ("refused", wrong.says) if has_it else ("accepted", "")
        row = judge.table.features.get(feature)
        if row is not None:
            return row.state(judge.version), row.says
        if self.family == RTX:
            return ("refused", self.probed[feature]) if feature in self.probed else ("accepted", "")
        probed = load_target(RTX)
        if feature not in probed.probed:
            return "accepted", ""
        return "unknown", f"not documented for {self.label}; {probed.label}: {probed.probed[feature]}"


@cache
def releases() -> dict[str, dict[str, str]]:
    """DeepStream release -> the TensorRT it ships and where that stands (deepstream.toml)."""
    return tomllib.loads(files(__package__).joinpath("deepstream.toml").read_text(encoding="utf-8"))


@cache
def load_target(name: str) -> Target:
    """The target with this name.

    Args:
        name: one of TARGETS, or "tensorrt-" with any version of the table. "tensorrt" is the oldest version that a
            current DeepStream ships, "deepstream-9.0" the one that this release ships.

    Raises:
        SurgeonError: no target has this name.
    """
    if name in PROBED:
        data = _probed(name)
        label = f"{PROBED[name]} {data['version']}"
        return Target(name, label, name, data["version"], data["refusals"])  # type: ignore[arg-type]
    product, _, number = name.partition("-")
    if product == "deepstream" and number in releases():
        version = releases()[number]["tensorrt"]
        return _tensorrt(version, f" (DeepStream {number})")
    if product == "tensorrt" and not number:
        return _tensorrt(releases()[OLDEST_DEEPSTREAM]["tensorrt"], "")
    if product == "tensorrt" and re.fullmatch(r"\d+(\.\d+)?", number):
        from surgery.targets.table import load_table, version_of

        table = load_table("tensorrt")
        if table.first <= version_of(number) <= table.last:
            return _tensorrt(number, "")
    raise SurgeonError(f"unknown target '{name}'; choose one of {', '.join(TARGETS)}")


def _tensorrt(version: str, release: str) -> Target:
    return Target(f"tensorrt-{version}", f"TensorRT {version}{release}", "tensorrt", version, {})


@cache
def _probed(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return table


@cache
def load_judge(family: Family, version: str) -> Judge:
    """The table of TensorRT or TensorRT-RTX at one version."""
    from surgery.targets.judge import Judge, Ruling
    from surgery.targets.table import LOOKED_UP, load_table, version_of

    table = load_table(family)
    missing = Ruling(table.missing, "the parser has no such operator", LOOKED_UP if family != RTX else table.probed)
    related = None if family == RTX else load_judge(RTX, load_target(RTX).version)
    return Judge(table, version_of(version), missing, related)
