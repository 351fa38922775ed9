"""A long diagnosis builds many kinds of nodes at once, and says how far it is."""

from __future__ import annotations

import time
from pathlib import Path

import onnx
import pytest

from surgery.diagnose import progress
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search import builder
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
