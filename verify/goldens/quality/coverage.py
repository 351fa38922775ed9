"""Finds parts of a model that a golden's inputs do not reach: branches, loops, table rows, sides of Clip and Relu."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.goldens.cases import FEWEST_IDS
from verify.model.walk import node_name, subgraphs, walk_nodes
from verify.run.session import open_session

if TYPE_CHECKING:
    import onnx

SIDED = ("Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "ThresholdedRelu")
MOST_SHOWN = 20


@dataclass
class _Watched:
    """A tensor that is looked at: the smallest and largest value of it, or with `whole` every value."""

    name: str
    say: Callable[[_Watched], Iterator[str]]
    whole: bool = False
    low: float = math.inf
    high: float = -math.inf
    values: set[int] = field(default_factory=set)

    def add(self, index: int, outputs: Mapping[str, Any]) -> None:
        """Take what one run gave."""
        if self.whole:
            self.values.update(np.unique(outputs[f"watched_{index}"]).tolist())
            return
        low, high = (float(outputs[f"watched_{index}_{side}"]) for side in ("low", "high"))
        self.low, self.high = min(self.low, low), max(self.high, high)


def measure_coverage(path: Path, model: onnx.ModelProto, feeds: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Sentences on what no input reaches, each with the input that would help; empty where all is reached.

    Args:
        model: that at `path`; it may lack its weights.
        feeds: the inputs of each case.
    """
    watched = list(_watch(model))
    found = list(_inside(model))
    if watched:
        session = open_session(_instrumented(model, watched), base_dir=path.parent)
        runs = [session.run(feed) for feed in feeds]
        if all(run.error for run in runs):
            return (*found, f"what the inputs reach in the model was not measured: {runs[0].error}")
        for run in runs:
            for index, one in enumerate(watched) if not run.error else ():
                one.add(index, run.outputs)
        found += [sentence for one in watched for sentence in one.say(one)]
    more = len(found) - MOST_SHOWN
    return (*found[:MOST_SHOWN], f"and {more} more") if more > 0 else tuple(found)


def _inside(model: onnx.ModelProto) -> Iterator[str]:
    """Branches inside of other nodes, which are not looked at."""
    for node in model.graph.node:
        for _, graph in subgraphs(node):
            inner = [n for n in walk_nodes(graph.node) if n.op_type in ("If", "Loop")]
            if inner:
                yield f"{inner[0].op_type} '{node_name(inner[0])}' inside '{node_name(node)}' was not looked at"


def _watch(model: onnx.ModelProto) -> Iterator[_Watched]:
    constants = _constants(model)
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type == "If":
            yield _Watched(node.input[0], _branches(node))
        elif node.op_type == "Loop" and node.input[0]:
            yield _Watched(node.input[0], _turns(node))
        elif node.op_type in SIDED:
            yield _Watched(node.input[0], _sides(node))
        elif node.op_type == "Clip":
            yield _Watched(node.input[0], _limits(node, constants))
        elif node.op_type == "Gather" and node.input[0] in constants and node.input[1] not in constants:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            dims = list(constants[node.input[0]].dims)
            if dims and dims[axis] > FEWEST_IDS:
                yield _Watched(node.input[1], _rows(node, int(dims[axis])), whole=True)


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            found[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _branches(node: onnx.NodeProto) -> Callable[[_Watched], Iterator[str]]:
    def say(seen: _Watched) -> Iterator[str]:
        for branch, value, reached in (("then", "true", seen.high > 0), ("else", "false", seen.low < 1)):
            if not reached:
                advice = f"give an input for which '{seen.name}' is {value}"
                yield f"If '{node_name(node)}' never takes {branch}_branch; {advice}"

    return say


def _turns(node: onnx.NodeProto) -> Callable[[_Watched], Iterator[str]]:
    def say(seen: _Watched) -> Iterator[str]:
        if seen.high < 1:
            yield f"Loop '{node_name(node)}' never runs its body; give an input for which '{seen.name}' is above 0"

    return say


def _sides(node: onnx.NodeProto) -> Callable[[_Watched], Iterator[str]]:
    def say(seen: _Watched) -> Iterator[str]:
        for sign, reached in (("below", seen.low < 0), ("above", seen.high > 0)):
            if not reached:
                yield f"{node.op_type} '{node_name(node)}' never gets a value {sign} 0; give inputs of another sign"

    return say


def _limits(node: onnx.NodeProto, constants: Mapping[str, Any]) -> Callable[[_Watched], Iterator[str]]:
    def say(seen: _Watched) -> Iterator[str]:
        for place, side, word in ((1, "min", "lower"), (2, "max", "upper")):
            limit = _limit(node, place, side, constants)
            reached = limit is None or abs(limit) > 1e30 or (seen.low < limit if place == 1 else seen.high > limit)
            if not reached:
                more = "smaller" if place == 1 else "larger"
                yield f"Clip '{node_name(node)}' never reaches its {word} limit of {limit:g}; give {more} inputs"

    return say


def _limit(node: onnx.NodeProto, place: int, side: str, constants: Mapping[str, Any]) -> float | None:
    from onnx import TensorProto, numpy_helper

    for attribute in node.attribute:
        if attribute.name == side:
            return float(attribute.f)
    name = node.input[place] if len(node.input) > place else ""
    tensor = constants.get(name)
    if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
        return None
    return float(numpy_helper.to_array(tensor).reshape(-1)[0])


def _rows(node: onnx.NodeProto, count: int) -> Callable[[_Watched], Iterator[str]]:
    def say(seen: _Watched) -> Iterator[str]:
        read = {value % count for value in seen.values}
        missing = [row for row in range(count) if row not in read]
        if missing:
            yield (
                f"{_ranges(missing)} of the {count} rows of '{node.input[0]}' are never read; "
                f"give inputs for which '{seen.name}' has such numbers"
            )

    return say


def _ranges(numbers: Sequence[int]) -> str:
    """Such as "5, 16 to 39"; only the first few stretches."""
    starts = [n for i, n in enumerate(numbers) if i == 0 or numbers[i - 1] != n - 1]
    ends = [n for i, n in enumerate(numbers) if i + 1 == len(numbers) or numbers[i + 1] != n + 1]
    found = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return ", ".join(found[:4]) + (f" and {len(found) - 4} further stretches" if len(found) > 4 else "")


def _instrumented(model: onnx.ModelProto, watched: Sequence[_Watched]) -> onnx.ModelProto:
    """The model with the watched tensors as its only outputs."""
    import onnx
    from onnx import helper

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.output[:]
    for index, one in enumerate(watched):
        name = f"watched_{index}"
        if one.whole:
            graph.node.append(helper.make_node("Identity", [one.name], [name]))
            graph.output.append(onnx.ValueInfoProto(name=name))
            continue
        graph.node.append(helper.make_node("Cast", [one.name], [f"{name}_float"], to=onnx.TensorProto.FLOAT))
        for side, operator in (("low", "ReduceMin"), ("high", "ReduceMax")):
            graph.node.append(helper.make_node(operator, [f"{name}_float"], [f"{name}_{side}"], keepdims=0))
            graph.output.append(onnx.ValueInfoProto(name=f"{name}_{side}"))
    return result
