"""Chooses the inputs of a golden: the cases of the spec, or cases drawn from the model's own input types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.errors import SurgeonError
from verify.goldens.sizes import choices, has_free_sizes, wide_choices
from verify.inputs.draw import TooLarge, dim_key, draw_inputs
from verify.inputs.ranges import Range, input_ranges
from verify.inputs.seeded import draw
from verify.interface.check import read_dims, show
from verify.interface.spec import Spec, SpecFile, load_spec
from verify.model.walk import every_node, fed_inputs

if TYPE_CHECKING:
    import onnx

SELECTION: tuple[Mapping[str, Any], ...] = (
    {"kind": "normal"},
    {"kind": "normal", "scale": 10.0},
    {"kind": "uniform", "low": 0.0, "high": 255.0},
)
# What a golden of a model without a spec is recorded with: name, sizes, floats, whole numbers.
OWN_CASES: tuple[tuple[str, str, Mapping[str, Any], str], ...] = (
    ("normal", "several", {"kind": "normal"}, "any"),
    ("batch of one", "one", {"kind": "normal"}, "any"),
    ("edges", "several", {"kind": "edges"}, "ends"),
    ("zeros", "one", {"kind": "constant", "value": 0}, "low"),
    ("0 to 255", "several", {"kind": "uniform", "low": 0.0, "high": 255.0}, "binary"),
    ("heavy tails", "one", {"kind": "heavy"}, "any"),
    ("small", "several", {"kind": "normal", "scale": 0.01}, "binary"),
    ("0 to 1", "one", {"kind": "uniform"}, "any"),
    ("odd sizes", "odd", {"kind": "normal"}, "any"),
    ("large batch", "many", {"kind": "normal"}, "any"),
    ("every id", "wide", {"kind": "normal"}, "sweep"),
    *((f"selection {n}", "selection", how, "any") for n, how in enumerate(3 * SELECTION, 1)),
)
# Operators that return which values are largest; a small error shows only where two values are close.
SELECTING = ("NonMaxSuppression", "TopK", "ArgMax", "ArgMin", "Hardmax")
# Kinds of inputs, and the same with values at which operators change their behaviour.
EDGED = {"normal": "edges", "photo": "edge_photo", "mask": "edge_mask", "coordinates": "edge_coordinates"}
FEWEST_IDS = 8  # a range of whole numbers above this is taken for ids, each of which should occur


@dataclass(frozen=True)
class Plan:
    """One case to record: arrays at hand (`stored`), or how to draw them (`drawn`) with `shapes` and `dtypes`.

    An `optional` case is left out of a golden of a model that takes long.
    """

    name: str
    stored: Mapping[str, Any] = field(default_factory=dict)
    drawn: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False

    def arrays(self) -> dict[str, Any]:
        """Every input by name."""
        made = {n: draw(shape=self.shapes[n], dtype=self.dtypes[n], **how) for n, how in self.drawn.items()}
        return {name: np.asarray(array) for name, array in self.stored.items()} | made


def plans(
    model: onnx.ModelProto, metadata: Mapping[str, str], seed: int, sizes: Mapping[str, Sequence[int]]
) -> list[Sequence[Plan]]:
    """Cases for a model: those of its spec whose shapes the model takes, or `OWN_CASES`.

    Each case is a list of plans that differ in sizes only; the first on which the model runs is to be recorded.

    Raises:
        SurgeonError: an input cannot be drawn, or no case of the spec fits the model.
    """
    spec_file = _spec_file(metadata)
    if spec_file is None or sizes:
        return _own(model, seed, sizes)
    found: list[Sequence[Plan]] = [[plan] for plan in _of_spec(model, spec_file, spec_file[metadata["module"]], seed)]
    if not found:
        raise SurgeonError(f"no case of spec {spec_file.name} fits the input shapes of this {metadata['module']}")
    return found


def _spec_file(metadata: Mapping[str, str]) -> SpecFile | None:
    """The spec at the model's image size, batch left open, when it names cases for the module."""
    try:
        size = int(metadata["image_size"])
        spec_file = load_spec(metadata["spec"], image_size=size, batch="dynamic")
    except (KeyError, ValueError, SurgeonError):
        return None
    return spec_file if metadata.get("module") in spec_file.golden else None


def _of_spec(model: onnx.ModelProto, spec_file: SpecFile, spec: Spec, seed: int) -> Iterator[Plan]:
    declared = {value.name: read_dims(value) for value in fed_inputs(model.graph)}
    for case in spec_file.golden[spec.module]:
        symbols = {name: int(case.get(name, spec.ranges[name][0])) for name in spec.symbols()}
        shapes = spec.shapes(**symbols)
        if not all(_fits(declared.get(port.name), shapes[port.name]) for port in spec.inputs):
            continue
        drawn: dict[str, dict[str, Any]] = {}
        for port in spec.inputs:
            kind = EDGED.get(port.values, port.values) if case.get("edges") else port.values
            how: dict[str, Any] = {"kind": kind, "seed": f"{seed}/{spec.module}/{port.name}"}
            if kind.endswith("coordinates"):
                how["side"] = spec_file.image_size
            drawn[port.name] = {**how, "kind": "constant", "value": case[port.name]} if port.name in case else how
        name = " ".join(f"{key}={value:g}" for key, value in case.items())
        yield Plan(
            name, {}, drawn, {p.name: shapes[p.name] for p in spec.inputs}, {p.name: p.dtype for p in spec.inputs}
        )


def _fits(dims: tuple[int | str, ...] | None, shape: tuple[int, ...]) -> bool:
    return dims is not None and len(dims) == len(shape) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(dims, shape, strict=True)
    )  # fmt: skip


def _own(model: onnx.ModelProto, seed: int, sizes: Mapping[str, Sequence[int]]) -> list[Sequence[Plan]]:
    check_sizes(model, sizes)
    return own_cases(model, seed, _by_key(model, sizes), all_given=len(sizes) >= len(fed_inputs(model.graph)))


def own_cases(
    model: onnx.ModelProto, seed: int, given: Mapping[str, int], all_given: bool = False
) -> list[Sequence[Plan]]:
    """The cases of `OWN_CASES` that suit the model, each with plans for further sizes on which it may run instead.

    Args:
        given: sizes of free dims by their keys (`verify.inputs.draw.free_dims`), the same in all cases.
        all_given: no dim is to be chosen here.
    """
    ranges = input_ranges(model)
    rows = max((int(span.high) + 1 for span in ranges.values() if span.high is not None), default=0)
    cases: list[Sequence[Plan]] = []
    for name, kind, floats, numbers in OWN_CASES:
        if (
            (kind == "wide" and rows <= FEWEST_IDS)
            or (kind == "odd" and not has_free_sizes(model))
            or (kind == "many" and not has_branches(model))
            or (kind == "selection" and not selects(model))
        ):
            continue
        free = wide_choices(model, rows) if kind == "wide" and not all_given else choices(model, kind)
        drawer = _Drawer(name, seed, floats, numbers, ranges)
        found = [drawer.plan(model, {**chosen, **given}) for chosen in free]
        cases.append([plan for plan in found if plan is not None])
    return [case for case in cases if case]


def has_branches(model: onnx.ModelProto) -> bool:
    """Whether the model has an If, whose condition may be a size."""
    return any(node.op_type == "If" for node in every_node(model))


def selects(model: onnx.ModelProto) -> bool:
    """Whether the model returns which of its values are largest."""
    return any(node.op_type in SELECTING for node in every_node(model))


def _by_key(model: onnx.ModelProto, sizes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Sizes of free dims by their keys, which inputs may share, from the shapes of inputs."""
    return {
        dim_key(value.name, axis, dim): int(sizes[value.name][axis])
        for value in fed_inputs(model.graph)
        if value.name in sizes
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value") or dim.dim_value < 0
    }


@dataclass(frozen=True)
class _Drawer:
    """How the inputs of one case are drawn."""

    name: str
    seed: int
    floats: Mapping[str, Any]
    numbers: str
    ranges: Mapping[str, Range]

    def plan(self, model: onnx.ModelProto, sizes: Mapping[str, int]) -> Plan | None:
        """The case at these sizes; None where an input would be too large."""
        try:
            blank = draw_inputs(model, sizes=sizes, style="zeros")
        except TooLarge:
            return None
        stored, drawn = {}, {}
        for name, array in blank.items():
            if not isinstance(array, np.ndarray):
                raise SurgeonError(f"input {name!r} is no tensor; give it with --inputs FILE.npz")
            how = self.how(array, self.ranges.get(name), f"{self.seed}/{self.name}/{name}")
            if how is None:
                stored[name] = array
            else:
                drawn[name] = how
        shapes = {name: blank[name].shape for name in drawn}
        dtypes = {name: str(blank[name].dtype) for name in drawn}
        return Plan(self.name, stored, drawn, shapes, dtypes, optional=True)

    def how(self, array: Any, span: Range | None, seed: str) -> dict[str, Any] | None:
        """How to draw an input of this type; None for a type that is stored instead (strings)."""
        if array.dtype.kind == "O":
            return None
        if array.dtype.kind == "b":
            return self._number(seed, 0, 1, False)
        if array.dtype.kind in "iu" or "int" in array.dtype.name:
            few = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}.get(array.dtype.name)
            wide = few or (0, 255 if array.dtype == np.uint8 else 9)
            low, high = span.ends(*wide) if span else wide
            return self._number(seed, int(low), int(high), span is None and few is None and array.dtype != np.uint8)
        if span is not None:
            low, high = span.ends(-1.0, 1.0)
            return {"kind": "uniform", "seed": seed, "low": float(low), "high": float(high)}
        return {**self.floats, "seed": seed}

    def _number(self, seed: str, low: int, high: int, unknown: bool) -> dict[str, Any]:
        """Whole numbers from `low` to `high`; where nothing is known of the range they are 0 and 1 in some cases."""
        if unknown and self.numbers == "binary":
            low, high = 0, 1
        if self.numbers == "low":
            return {"kind": "constant", "seed": seed, "value": low}
        kind = {"ends": "ends", "sweep": "sweep"}.get(self.numbers, "integers")
        return {"kind": kind, "seed": seed, "low": low, "high": high}


def check_sizes(model: onnx.ModelProto, sizes: Mapping[str, Sequence[int]]) -> None:
    """Raise SurgeonError where a shape names no input or does not fit the dims that it declares."""
    declared = {value.name: read_dims(value) for value in fed_inputs(model.graph)}
    for name, shape in sizes.items():
        if name not in declared:
            raise SurgeonError(f"no input '{name}' to give a shape; the model has {', '.join(declared) or 'none'}")
        dims = declared[name]
        if dims is not None and not _fits(dims, tuple(shape)):
            raise SurgeonError(f"input '{name}' is {show(dims)} and cannot be {list(shape)}")
