"""Two consecutive nodes whose work one node can do.

What it does: joins Transpose after Transpose, Reshape after Reshape, Flatten, Squeeze or Unsqueeze (only the last
shape counts), Unsqueeze after Reshape, Slice after Slice of other dims, and Cast after Cast if the first one loses no
values: because of its types, or because the numbers that go to an integer type and back are whole, in the range of that
type, and neither NaN nor -0.0, as quantization leaves them.
Why: TensorRT joins most of these itself; fewer nodes are left for it and for the later passes.
Before → After: `Transpose<1,0,2>(Transpose<0,2,1>(x))` → `Transpose<2,0,1>(x)`
Leaves alone: a first Cast that loses values (float to int, to fewer bits); a Reshape whose shape has a zero; Slices
with computed bounds, or whose first result is read by anything but such Slices; a Reshape before an Unsqueeze whose
result is read elsewhere. A first node whose result is a graph output stays and makes it.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.nodes import Constant
from surgery.graph.walk import producer
from surgery.passes.ops.axes import stored_shape
from surgery.passes.ops.build import Build
from surgery.passes.ops.whole_numbers import survives
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Transpose"):
        before = _before(node, ("Transpose",))
        if before is None:
            continue
        first, second = before.attrs.get("perm"), node.attrs.get("perm")
        if first is None or second is None or len(first) != len(second):
            continue
        perm = [first[place] for place in second]
        yield finding(
            f"transposes the result of Transpose '{before.name}'", node, partial(_transpose, node, perm), before
        )
    for node in context.nodes(graph, "Reshape"):
        before = _before(node, RESHAPES)
        if before is None or stored_shape(node, context) is None:
            continue
        yield finding(
            f"reshapes the result of '{before.name}', which only reshapes", node, partial(_skip, node), before
        )
    for node in context.nodes(graph, "Unsqueeze"):
        before = _before(node, ("Reshape",))
        widened = None if before is None else _widened(graph, node, before, context)
        if before is not None and widened is not None:
            fix = partial(_reshape, graph, node, before, widened, context)
            yield finding(f"adds dims to the result of Reshape '{before.name}'", node, fix, before)
    for node in context.nodes(graph, "Slice"):
        before = _before(node, ("Slice",))
        cuts = None if before is None else _cuts(graph, node, before, context)
        if before is not None and cuts is not None:
            fix = partial(_cut, node, cuts, context)
            yield finding(f"slices other dims of the result of Slice '{before.name}'", node, fix, before)
    for node in context.nodes(graph, "Cast"):
        before = _before(node, ("Cast",))
        if before is None or not (
            _lossless(before.inputs[0].dtype, before.outputs[0].dtype) or _stays(before, context)
        ):
            continue
        if _defined(before.inputs[0].dtype, node.outputs[0].dtype):
            yield finding(f"casts the result of Cast '{before.name}'", node, partial(_skip, node), before)


def _before(node: gs.Node, ops: tuple[str, ...]) -> gs.Node | None:
    """The node that makes the first input, when it is one of `ops`."""
    maker = producer(node.inputs[0], *ops) if node.inputs else None
    return maker if maker is not None and maker.inputs else None


def _skip(node: gs.Node) -> None:
    replace_input(node, 0, node.inputs[0].inputs[0].inputs[0])


def _transpose(node: gs.Node, perm: list[int]) -> None:
    node.attrs["perm"] = perm
    _skip(node)


def _widened(graph: gs.Graph, node: gs.Node, before: gs.Node, context: Context) -> list[int] | None:
    """The constant shape with which one Reshape does the work of both, or None where there is none."""
    if len(node.inputs[0].outputs) != 1 or context.is_output(graph, node.inputs[0]):
        return None
    shape = stored_shape(before, context)
    axes = node.attrs.get("axes") if len(node.inputs) == 1 else context.constant(node.inputs[1])
    if shape is None or axes is None:
        return None
    rank = len(shape) + len(axes)
    added, rest = {int(axis) % rank for axis in axes}, [*shape]
    return [1 if place in added else rest.pop(0) for place in range(rank)] if len(added) == len(axes) else None


def _reshape(graph: gs.Graph, node: gs.Node, before: gs.Node, shape: list[int], context: Context) -> None:
    build = Build(graph, node, context, "SG011")
    build.replace(build.reshape(before.inputs[0], shape))


def _cuts(graph: gs.Graph, node: gs.Node, before: gs.Node, context: Context) -> list[list[int]] | None:
    """Starts, ends, axes and steps of both, or None where the first Slice would stay for another reader."""
    between = node.inputs[0]
    if context.is_output(graph, between) or any(_joined(reader, before, context) is None for reader in between.outputs):
        return None
    return _joined(node, before, context)


def _joined(node: gs.Node, before: gs.Node, context: Context) -> list[list[int]] | None:
    """Starts, ends, axes and steps of two Slices, or None where one Slice cannot do the work of both."""
    if node.op != "Slice" or node.domain or node.inputs[0] is not before.outputs[0]:
        return None
    rank, cuts = context.rank(node.inputs[0]), list[list[int]]([[], [], [], []])
    for one in (before, node):
        values = [context.constant(tensor) for tensor in one.inputs[1:]]
        if rank is None or len(values) not in (3, 4) or any(value is None for value in values):
            return None
        starts, ends, axes, *steps = ([int(item) for item in value] for value in values if value is not None)
        columns = starts, ends, [axis % rank for axis in axes], *(steps or [[1] * len(axes)])
        cuts = [[*have, *more] for have, more in zip(cuts, columns, strict=True)]
    distinct = len(set(cuts[2])) == len(cuts[2])
    return cuts if distinct and (len(node.inputs) == 5 or set(cuts[3]) == {1}) else None


def _cut(node: gs.Node, cuts: list[list[int]], context: Context) -> None:
    for place in range(1, len(node.inputs)):
        name = context.fresh(f"{node.outputs[0].name}/SG011/{place}")
        replace_input(node, place, Constant(name, np.asarray(cuts[place - 1], dtype=np.int64)))
    _skip(node)


def _lossless(source: object, target: object) -> bool:
    """Whether `target` can hold every value of `source`, so that a Cast through it loses nothing."""
    if source is None or target is None:
        return False
    one, other = np.dtype(source), np.dtype(target)  # type: ignore[call-overload]
    if one.kind not in "biuf" or other.kind not in "iuf":
        return False
    return bool(np.can_cast(one, other, "safe")) and not (one.itemsize == 8 and other.kind == "f" and one.kind in "iu")


def _stays(cast: gs.Node, context: Context) -> bool:
    """Whether a Cast to an integer type keeps every number of its input."""
    kind = cast.outputs[0].dtype
    return kind is not None and survives(cast.inputs[0], np.dtype(kind), context)


def _defined(source: object, target: object) -> bool:
    """Whether all runtimes cast between the two alike; they differ for text and for float to integer."""
    if target is None:
        return False
    kinds = np.dtype(source).kind, np.dtype(target).kind  # type: ignore[call-overload]
    return kinds[1] in "biuf" and not (kinds[0] == "f" and kinds[1] in "iu")


PASS = Pass(code="SG011", name="stacked-node", find=find, exact=True)
