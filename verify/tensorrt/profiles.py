"""Optimization profiles for a build, from the model's spec or from shapes given by hand, and as trtexec flags."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError
from verify.model.read import read_model
from verify.model.shape_text import parse_static_shape
from verify.model.walk import fed_inputs
from verify.tensorrt.engine import Profiles

if TYPE_CHECKING:
    import onnx

    from verify.interface.spec import Spec

Shape = tuple[int, ...]


def parse_profile(text: str) -> tuple[str, tuple[Shape, Shape, Shape]]:
    """Name and (min, opt, max) from `x:4x3`, or from a range `x:1x3..16x3` or `x:1x3..4x3..16x3`.

    Of two shapes the second is the usual one too.

    Raises:
        SurgeonError: none of these, or a point has another rank or lies outside the range.
    """
    first, *others = text.split("..")
    name, low = parse_static_shape(first)
    points = [low, *(parse_static_shape(f"{name}:{other}")[1] for other in others)]
    low, usual, high = (points[0], points[-2] if len(points) == 3 else points[-1], points[-1])
    ordered = len({len(point) for point in points}) == 1 and all(
        a <= b <= c for a, b, c in zip(low, usual, high, strict=True)
    )
    if len(points) > 3 or not ordered:
        raise SurgeonError(f"'{text}' is no range of shapes; write it as input:1x3x64x64..8x3x64x64, smallest first")
    return name, (low, usual, high)


def show_profile(name: str, points: Sequence[Sequence[int]]) -> str:
    """A profile as `parse_profile` reads it."""
    low, usual, high = ("x".join(map(str, point)) for point in points)
    shown = low if low == usual == high else f"{low}..{high}" if usual == high else f"{low}..{usual}..{high}"
    return f"{name}:{shown}"


def profiles_for(
    path: str | Path,
    shapes: tuple[str, ...] = (),
    smallest: tuple[str, ...] = (),
    largest: tuple[str, ...] = (),
    sizes: Mapping[str, int] | None = None,
) -> Profiles | None:
    """(min, opt, max) of every dynamic input, or None for a model that needs none or that nothing here knows.

    Args:
        shapes: `input:shape` at the usual point; also the other two where those are not given.
        smallest, largest: `input:shape` at the other points.
        sizes: values that fix a symbol of the spec at all three points, e.g. {"frames": 7}.
    """

    from verify.interface.recognise import recognise

    model = read_model(path)
    dynamic = dynamic_inputs(model)
    given = {name: (shape, shape, shape) for name, shape in map(parse_static_shape, shapes)}
    low, high = dict(map(parse_static_shape, smallest)), dict(map(parse_static_shape, largest))
    for name in {**low, **high}:
        usual = given[name][1] if name in given else high.get(name, low.get(name, ()))
        given[name] = (low.get(name, usual), usual, high.get(name, usual))
    check_given(model, path, given)
    spec = recognise(model, path)
    _check_sizes(path, spec, sizes or {})
    if spec is not None:
        fixed = sizes or {}
        points_of = [spec.shapes(**{n: fixed.get(n, spec.ranges[n][i]) for n in spec.symbols()}) for i in range(3)]
        for name in {port.name for port in spec.inputs} & set(dynamic):
            given.setdefault(name, (points_of[0][name], points_of[1][name], points_of[2][name]))
    return {name: given[name] for name in dynamic if name in given} or None


def check_given(model: onnx.ModelProto, path: str | Path, profiles: Profiles) -> None:
    """Raise SurgeonError for a profile that names no input, does not fit its dims, or whose points are out of order."""
    inputs = {value.name: value for value in fed_inputs(model.graph)}
    for name, points in profiles.items():
        if name not in inputs:
            raise SurgeonError(f"{path} has no input '{name}'; it has {', '.join(inputs) or 'none'}")
        _check_dims(inputs[name], points)
        _check_order(name, points)


def _check_dims(value: onnx.ValueInfoProto, points: Sequence[Sequence[int]]) -> None:
    """Raise SurgeonError for a shape that the input cannot have."""
    dims = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in value.type.tensor_type.shape.dim]
    if not value.type.tensor_type.HasField("shape"):
        return
    for shape in points:
        if len(shape) != len(dims) or any(dim and dim != size for dim, size in zip(dims, shape, strict=True)):
            names = [str(dim.dim_value or dim.dim_param or "?") for dim in value.type.tensor_type.shape.dim]
            raise SurgeonError(f"input '{value.name}' is [{', '.join(names)}], so it cannot have shape {list(shape)}")


def _check_order(name: str, points: Sequence[Sequence[int]]) -> None:
    """Raise SurgeonError where the smallest shape is above the usual one, or the usual one above the largest."""
    for (option, low), (other, high) in (
        (("--min-shape", points[0]), ("--input-shape", points[1])),
        (("--input-shape", points[1]), ("--max-shape", points[2])),
    ):
        if any(a > b for a, b in zip(low, high, strict=True)):
            raise SurgeonError(
                f"input '{name}': {option} {'x'.join(map(str, low))} is above {other} {'x'.join(map(str, high))}; "
                "give shapes from the smallest to the largest"
            )


def _check_sizes(path: str | Path, spec: Spec | None, sizes: Mapping[str, int]) -> None:
    """Raise SurgeonError for a size that the spec of the model does not leave open."""
    symbols = [] if spec is None else list(spec.symbols())
    for name in sizes:
        if name not in symbols:
            known = f"its spec leaves {', '.join(symbols)} open" if symbols else "no spec leaves one of its sizes open"
            raise SurgeonError(f"{path} has no size '{name}': {known}; give the shape of an input with --input-shape")


def dynamic_inputs(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs with a dim that has no number."""
    return [
        value.name
        for value in fed_inputs(model.graph)
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    ]


def trtexec(path: str | Path, profiles: Profiles | None, engine: str | Path | None = None) -> str:
    """The command that builds the same engine on the machine with the GPU."""
    words = ["trtexec", f"--onnx={path}", f"--saveEngine={engine or Path(path).with_suffix('.engine')}"]
    if profiles:
        for index, point in enumerate(("min", "opt", "max")):
            shapes = ",".join(f"{name}:{'x'.join(map(str, shape[index]))}" for name, shape in profiles.items())
            words.append(f"--{point}Shapes={shapes}")
    if typed(path):
        words.append("--stronglyTyped")
    return shlex.join(words)


def typed(path: str | Path) -> bool:
    """Whether half precision is written into the graph, which TensorRT 10 honours only when told to."""
    import onnx

    model = read_model(path)
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    if any(tensor.data_type in halves for tensor in model.graph.initializer):
        return True
    if any(value.type.tensor_type.elem_type in halves for value in model.graph.input):
        return True
    return any(a.i in halves for n in model.graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to")
