"""NonMaxSuppression whose number of surviving boxes is declared.

What it does: compares all boxes of an image with each other once, then takes the best box that is left as often as
boxes can survive, and gathers the rows that were taken.
Why: how many boxes survive depends on the data, and TensorRT-RTX has no kernel for it.
Before → After: `y = NonMaxSuppression(b, s, 3, 0.5)` with y declared [3, 3] →
`i = ArgMax(Where(left, s, -inf)); left = And(left, Not(Gather(<overlaps>, i))); .. y = Gather(<rows>, <taken>)`
Leaves alone: results whose size is not declared static; more boxes to take than `--loop-limit`; more than 4M pairs;
opset 10.
Numerics: overlaps by the formula of onnxruntime, rounding included; scores must be finite. Right as long as as many
boxes survive as declared, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.target.refuses("op:NonMaxSuppression") is None or context.opset_of(graph) < 11:
        return
    for node in context.nodes(graph, "NonMaxSuppression"):
        boxes, scores = (context.static_shape(tensor) for tensor in node.inputs[:2])
        out = context.static_shape(node.outputs[0])
        if boxes is None or scores is None or out is None or len(out) != 2 or 0 in (*boxes, *scores, *out):
            continue
        if len(boxes) != 3 or len(scores) != 3 or boxes[:2] != (scores[0], scores[2]) or len(node.inputs) < 3:
            continue
        turns = min(boxes[1], out[0])
        most = context.constant(node.inputs[2])
        if most is not None:
            turns = min(turns, int(most.ravel()[0]))
        pairs = boxes[0] * boxes[1] ** 2 * scores[1]
        if not node.inputs[2].is_empty() and 0 < turns <= context.options.loop_limit and pairs <= LARGEST:
            message = f"it is declared that {out[0]} boxes survive"
            yield finding(message, node, partial(rewrite, graph, node, context, turns, out[0]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, turns: int, count: int) -> None:
    """Take the best box of every image and class `turns` times; give back `count` rows."""
    build = Build(graph, node, context, PASS.code)
    scores, most = node.inputs[1], build.reshape(node.inputs[2], [1])
    images, classes, number = scores.shape
    limit = node.inputs[3] if len(node.inputs) > 3 and not node.inputs[3].is_empty() else None
    near = overlaps(build, node.inputs[0], limit, bool(node.attrs.get("center_point_box", 0)))
    near = build.reshape(near, [images, 1, number, number])
    if len(node.inputs) > 4 and not node.inputs[4].is_empty():
        left = build("Greater", scores, build.reshape(node.inputs[4], [1]))
    else:
        left = build.constant(np.ones((images, classes, number), bool))
    taken, places = [], []
    for turn in range(turns):
        ranked = build("Where", left, scores, np.float32(-np.inf))
        best = build("ArgMax", ranked, axis=2, keepdims=1)
        some = build.axes("ReduceMax", build.cast(left, np.int32), [2], keepdims=1)
        chosen = build("Equal", best, np.arange(number, dtype=np.int64))
        row = build("MatMul", build.unsqueeze(build.cast(chosen, np.float32), 2), near)
        gone = build("Or", chosen, build("Greater", build.squeeze(row, 2), np.float32(0.5)))
        left = build("And", left, build("Not", gone))
        taken.append(build("And", build("Greater", some, np.int32(0)), build("Greater", most, np.int64(turn))))
        places.append(best)
    build.replace(rows(build, taken, places, count))


def overlaps(build: Build, boxes: gs.Tensor, limit: gs.Tensor | None, centred: bool) -> gs.Tensor:
    """float32[images, boxes, boxes]: 1 where two boxes overlap by more than `limit`, as onnxruntime computes it."""
    parts = [build("Gather", boxes, build.ints([place]), axis=2) for place in range(4)]
    if centred:  # x, y, width, height
        half = [build("Mul", part, np.float32(0.5)) for part in parts[2:]]
        low = [build("Sub", part, size) for part, size in zip(parts[:2], half, strict=True)]
        high = [build("Add", part, size) for part, size in zip(parts[:2], half, strict=True)]
    else:  # two corners, in any order
        low = [build("Min", parts[axis], parts[axis + 2]) for axis in range(2)]
        high = [build("Max", parts[axis], parts[axis + 2]) for axis in range(2)]
    other_low = [build("Transpose", part, perm=[0, 2, 1]) for part in low]
    other_high = [build("Transpose", part, perm=[0, 2, 1]) for part in high]
    zero = np.float32(0)
    sides = [
        build("Max", build("Sub", build("Min", *ends), build("Max", *starts)), build.constant(zero))
        for starts, ends in zip(zip(low, other_low, strict=True), zip(high, other_high, strict=True), strict=True)
    ]
    shared = build("Mul", *sides)
    area = build("Mul", *(build("Sub", end, start) for start, end in zip(low, high, strict=True)))
    other = build("Transpose", area, perm=[0, 2, 1])
    union = build("Sub", build("Add", area, other), shared)
    solid = build("And", build("Greater", area, zero), build("Greater", other, zero))
    solid = build("And", solid, build("And", build("Greater", shared, zero), build("Greater", union, zero)))
    ratio = build("Div", shared, build("Where", solid, union, np.float32(1)))
    bound = build.constant(zero) if limit is None else build.reshape(limit, [1])
    return build.cast(build("And", solid, build("Greater", ratio, bound)), np.float32)


def rows(build: Build, taken: list[gs.Tensor], places: list[gs.Tensor], count: int) -> gs.Tensor:
    """int64[count, 3]: image, class and box of those taken, by image, then class, then turn."""
    images, classes, _ = build.node.inputs[1].shape
    total = images * classes * len(taken)
    index = np.indices((images, classes, len(taken))).reshape(3, -1).T[:, :2].astype(np.int64)
    whole = build("Concat", index, build.reshape(build("Concat", *places, axis=2), [total, 1]), axis=1)
    number = build.cast(build.reshape(build("Concat", *taken, axis=2), [total]), np.int64)
    rank = build("CumSum", number, build.ints(0))  # of those taken, from 1
    here = build("Equal", build("Mul", rank, number), np.arange(1, count + 1, dtype=np.int64).reshape(count, 1))
    at = build("Mul", build.cast(here, np.int64), np.arange(total, dtype=np.int64))
    return build("Gather", whole, build.axes("ReduceSum", at, [1], keepdims=0), axis=0)


PASS = Pass(code="SG152", name="surviving-boxes", find=find, exact=False, kind="trusted")
