"""Which inputs a golden is recorded with: the cases of the spec, or one case drawn from the model's own input types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.errors import SurgeonError
from verify.inputs.draw import draw_inputs
from verify.inputs.ranges import Range, input_ranges
from verify.inputs.seeded import draw
from verify.interface.check import read_dims, show
from verify.interface.spec import Spec, SpecFile, load_spec
from verify.model.walk import fed_inputs

if TYPE_CHECKING:
    import onnx

FREE_DIM = 4


@dataclass(frozen=True)
class Plan:
    """One case to record: arrays at hand (`stored`), or how to draw them (`drawn`) with `shapes` and `dtypes`."""

    name: str
    stored: Mapping[str, Any] = field(default_factory=dict)
    drawn: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def arrays(self) -> dict[str, Any]:
        """Every input by name."""
        made = {n: draw(shape=self.shapes[n], dtype=self.dtypes[n], **how) for n, how in self.drawn.items()}
        return {name: np.asarray(array) for name, array in self.stored.items()} | made


def plans(
    model: onnx.ModelProto, metadata: Mapping[str, str], seed: int, sizes: Mapping[str, Sequence[int]]
) -> list[Plan]:
    """Cases for a model: those of its spec whose shapes the model takes, or one of its own.

    Raises:
        SurgeonError: an input cannot be drawn, or no case of the spec fits the model.
    """
    spec_file = _spec_file(metadata)
    if spec_file is None or sizes:
        return [_own(model, seed, sizes)]
    found = list(_of_spec(model, spec_file, spec_file[metadata["module"]], seed))
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
            how: dict[str, Any] = {"kind": port.values, "seed": f"{seed}/{spec.module}/{port.name}"}
            if port.values == "coordinates":
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


def _own(model: onnx.ModelProto, seed: int, sizes: Mapping[str, Sequence[int]]) -> Plan:
    """Free dims are 4 unless `sizes` gives the input's shape; integers keep to what the graph asks of them."""
    check_sizes(model, sizes)
    axes = {f"{name}:{axis}": int(size) for name, shape in sizes.items() for axis, size in enumerate(shape)}
    blank = draw_inputs(model, sizes=axes, default_size=FREE_DIM, style="zeros")
    ranges = input_ranges(model)
    stored, drawn = {}, {}
    for name, array in blank.items():
        if not isinstance(array, np.ndarray):
            raise SurgeonError(f"input {name!r} is no tensor; give it with --inputs FILE.npz")
        how = _how(array, ranges.get(name), f"{seed}/{name}")
        if how is None:
            stored[name] = array
        else:
            drawn[name] = how
    shapes = {name: blank[name].shape for name in drawn}
    return Plan("", stored, drawn, shapes, {name: str(blank[name].dtype) for name in drawn})


def check_sizes(model: onnx.ModelProto, sizes: Mapping[str, Sequence[int]]) -> None:
    """Raise SurgeonError where a shape names no input or does not fit the dims that it declares."""
    declared = {value.name: read_dims(value) for value in fed_inputs(model.graph)}
    for name, shape in sizes.items():
        if name not in declared:
            raise SurgeonError(f"no input '{name}' to give a shape; the model has {', '.join(declared) or 'none'}")
        dims = declared[name]
        if dims is not None and not _fits(dims, tuple(shape)):
            raise SurgeonError(f"input '{name}' is {show(dims)} and cannot be {list(shape)}")


def _how(array: Any, span: Range | None, seed: str) -> dict[str, Any] | None:
    """How to draw an input of this type; None for a type that is stored instead (strings)."""
    if array.dtype.kind == "O":
        return None
    if array.dtype.kind == "b":
        return {"kind": "integers", "seed": seed, "low": 0, "high": 1}
    if array.dtype.kind in "iu" or "int" in array.dtype.name:
        few = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}.get(array.dtype.name)
        wide = few or (0, 255 if array.dtype == np.uint8 else 9)
        low, high = span.ends(*wide) if span else wide
        return {"kind": "integers", "seed": seed, "low": int(low), "high": int(high)}
    if span is not None:
        return {"kind": "constant", "seed": seed, "value": span.ends(1.0, 1.0)[0]}
    return {"kind": "normal", "seed": seed}
