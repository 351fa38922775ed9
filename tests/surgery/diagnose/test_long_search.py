"""A long diagnosis builds many kinds of nodes at once, and says how far it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import onnx
import pytest

from surgery.diagnose import progress
from surgery.diagnose.findings import of_builder
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search import builder, parser
from verify.tensorrt import engine
from verify.tensorrt.engine import BuildResult

COUNT = 100


def chain_of_kinds() -> onnx.ModelProto:
    """A model of COUNT nodes, each of a kind of its own."""
    nodes = [
        onnx.helper.make_node("LeakyRelu", [f"t{i}"], [f"t{i + 1}"], name=f"node{i}", alpha=i / COUNT)
        for i in range(COUNT)
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("t0", f"t{COUNT}")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


@pytest.mark.parametrize("bad", [set(), {"node7"}, {"node3", "node70", "node99"}])
def test_nodes_that_fail_alone_are_found_with_few_builds(bad: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    builds = []

    def build(path: Path, *_: object, **__: object) -> BuildResult:
        names = {node.name for node in onnx.load(path).graph.node}
        builds.append(names)
        return BuildResult(not names & bad)

    monkeypatch.setattr(engine, "build", build)
    model = chain_of_kinds()
    view = ModelView(model)
    with ScratchFolder(model, Path()) as scratch:
        kinds = [[index] for index in range(COUNT)]
        sound: set[int] = set()
        found = list(builder._failing_kinds(view, scratch, kinds, sound, None, time.monotonic() + 60))
        count = len(builds)
        again = list(builder._failing_kinds(view, scratch, kinds, sound, None, time.monotonic() + 60))
    # Single nodes are left to the caller to build: one that fails, and sometimes its neighbour.
    names = {view.nodes[kind[0]].name for kind in found}
    assert bad <= names
    assert len(names) <= 2 * len(bad)
    assert count <= 2 + 14 * len(bad)
    assert again == found
    assert len(builds) - count <= 2 * len(bad)


def test_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines: list[str] = []
    progress.say("nobody listens")
    with progress.listening(lines.append):
        for second in range(21):
            now[0] = float(second)
            progress.say(f"{second} s")
    progress.say("nobody listens any more")
    assert lines == ["5 s", "10 s", "15 s", "20 s"]


BRANCHES = """
<ir_version: 10, opset_import: ["" : 20]>
two (float[2,3] x, bool c) => (float[2,3] y, float[2,3] z) {
  [one] y = If(c) <
    then_branch = a () => (float[2,3] u) { [cut] u = Relu(x) },
    else_branch = b () => (float[2,3] v) { v = Identity(x) }>
  [two] z = If(c) <
    then_branch = d () => (float[2,3] s) { [cut_1] s = Relu(y) },
    else_branch = e () => (float[2,3] t) { t = Identity(y) }>
}
"""


def test_a_node_that_the_builder_names_in_a_branch_is_found_though_it_says_something_else_of_the_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builds = []

    def build(path: Path, *_: object, **__: object) -> BuildResult:
        nodes = onnx.load(path).graph.node
        builds.append([node.name for node in nodes])
        return BuildResult("two" not in builds[-1], messages=("Error Code 2: Internal Error (data-dependent shapes)",))

    monkeypatch.setattr(engine, "build", build)
    model = onnx.parser.parse_model(BRANCHES)
    view = ModelView(model)
    whole = BuildResult(False, messages=("Error Code 2: Internal Error (cut_1_947 has no runners that implement it)",))
    with ScratchFolder(model, Path()) as scratch:
        built = builder.all_refusals(view, scratch, whole, parser.Parsed(complete=True), None, 60.0)
    group, message, reason = built.refused[0]
    found = of_builder(view, group, message, reason)
    assert (found.node, found.op, found.path) == ("cut_1", "Relu", "two/then_branch")
    assert builds == [["two"], ["one"]]


def many_of_one_operator() -> onnx.ModelProto:
    """Forty Det, which the parser refuses, between forty Relu, which it takes."""
    nodes = []
    for i in range(40):
        nodes.append(onnx.helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=f"relu{i}"))
        nodes.append(onnx.helper.make_node("Det", [f"t{i + 1}"], [f"d{i}"], name=f"det{i}"))
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 2]) for name in ("t0", "t40")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")
def test_nodes_that_are_refused_alike_take_one_parse_of_the_whole_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, parse = [], engine.parse

    def counted(path: Path, **options: Any) -> list[engine.Refusal]:
        sizes.append(len(onnx.load(path).graph.node))
        return parse(path, **options)

    monkeypatch.setattr(engine, "parse", counted)
    model = many_of_one_operator()
    view = ModelView(model)
    with ScratchFolder(model, Path()) as scratch:
        first = engine.parse(scratch.write(scratch.model))
        found = parser.all_refusals(view, scratch, first, 60.0)
    assert found.complete
    assert [view.nodes[index].name for index, _ in found.refused] == [f"det{i}" for i in range(40)]
    assert [size for size in sizes if size > 1] == [80, 40]
