"""What the process that holds TensorRT asks of the library, with stand-ins for its network and builder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import parser

from verify.tensorrt import engine as tensorrt
from verify.tensorrt import worker

needs_tensorrt = pytest.mark.skipif(not tensorrt.available(), reason="TensorRT is not installed")


def stand_in(name: str, shape: tuple[int, ...], names: tuple[str, ...] = (), is_shape: bool = False) -> Any:
    return SimpleNamespace(
        name=name, shape=shape, is_shape_tensor=is_shape,
        get_dimension_name=lambda axis: names[axis] if axis < len(names) else "",
    )  # fmt: skip


def network(*tensors: Any) -> Any:
    return SimpleNamespace(num_inputs=len(tensors), get_input=lambda index: tensors[index], num_outputs=1)


def test_guessed_profiles() -> None:
    image = stand_in("image", (-1, 3, -1, -1), ("N", "", "H"))
    row = stand_in("row", (-1, 7), ("N",))
    sizes = stand_in("sizes", (2,), is_shape=True)
    one = stand_in("one", (), is_shape=True)
    found = list(worker._guess_profiles(network(image, stand_in("fixed", (2, 3)), row, sizes, one)))
    assert len(found) == 3
    assert found[0] == {
        "image": [[1, 3, 32, 32], [4, 3, 224, 224], [16, 3, 512, 512]],
        "row": [[1, 7], [4, 7], [16, 7]],
        "sizes": [[1, 1], [4, 4], [16, 16]],
        "one": [[1], [4], [16]],
    }
    assert found[1]["image"] == [[1, 3, 224, 224]] * 3
    assert found[2]["image"] == [[16, 3, 64, 64]] * 3
    assert list(worker._guess_profiles(network(stand_in("fixed", (2, 3))))) == [{}]
    channels = stand_in("image", (1, -1, -1, 8))
    assert next(worker._guess_profiles(network(channels))) == {
        "image": [[1, 1, 32, 8], [1, 4, 224, 8], [1, 16, 512, 8]]
    }
    shared = [stand_in("a", (1, 1, -1, 1), ("", "", "S")), stand_in("b", (-1,), ("S",))]
    assert next(worker._guess_profiles(network(*shared)))["b"] == [[32], [224], [512]]


class _Profile(dict[str, Any]):
    def set_shape(self, name: str, *points: Any) -> None:
        self[name] = ("shape", *points)

    def set_shape_input(self, name: str, *points: Any) -> None:
        self[name] = ("values", *points)


def test_profile_takes_open_inputs_and_values_of_shapes() -> None:
    tensors = (
        stand_in("x", (-1, 3)),
        stand_in("fixed", (2,)),
        stand_in("s", (2,), is_shape=True),
        stand_in("z", (-1,)),
    )
    builder = SimpleNamespace(create_optimization_profile=_Profile)
    given = {name: [[1], [2], [3]] for name in ("x", "fixed", "s")}
    found = worker._profile(builder, network(*tensors), given, {})
    assert found == {"x": ("shape", [1], [2], [3]), "s": ("values", [1], [2], [3])}
    found = worker._profile(builder, network(*tensors), given, {"x": [9], "s": [7, 8]})
    assert found == {"x": ("shape", [1], [2], [3]), "s": ("values", [7, 8], [7, 8], [7, 8])}


def test_messages_of_a_severity_come_clean_and_once() -> None:
    lines = [("ERROR", "a "), ("WARNING", "w"), ("ERROR", "a"), ("INTERNAL_ERROR", "i"), ("ERROR", " ")]
    assert worker._texts(lines, "ERROR", "INTERNAL_ERROR") == ["a", "i"]
    assert worker._texts(lines, "WARNING") == ["w"]


def failing(monkeypatch: pytest.MonkeyPatch, outcomes: list[Any]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = [("ERROR", "from before")]

    def serialize(*_: Any) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, str):
            lines.append(("ERROR", outcome))
            return None
        return outcome

    monkeypatch.setattr(worker, "_serialize", serialize)
    return lines


REQUEST: dict[str, Any] = {"profiles": None, "values": {}, "engine": None}


def test_guesses_are_tried_until_one_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = memoryview(b"12345")
    lines = failing(monkeypatch, ["too large", ValueError("order"), engine])
    kept = tmp_path / "kept.engine"
    found = worker._build(None, None, network(stand_in("x", (-1,))), lines, {**REQUEST, "engine": str(kept)})
    assert found == {"ok": True, "profiles": {"x": [[16], [16], [16]]}, "messages": [], "engine_bytes": 5}
    assert kept.read_bytes() == b"12345"
    assert lines[-1] == ("ERROR", "profile refused: order")


def test_the_first_guess_is_reported_when_none_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = failing(monkeypatch, ["first", "second", "third"])
    found = worker._build(None, None, network(stand_in("x", (-1,))), lines, REQUEST)
    assert found == {"ok": False, "profiles": {"x": [[1], [4], [16]]}, "messages": ["first"], "engine_bytes": 0}


def test_only_the_profile_asked_for_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = failing(monkeypatch, [TypeError("rank")])
    given = {"x": [[1], [2], [3]]}
    found = worker._build(None, None, network(stand_in("x", (-1,))), lines, {**REQUEST, "profiles": given})
    assert found == {"ok": False, "profiles": given, "messages": ["profile refused: rank"], "engine_bytes": 0}


@needs_tensorrt
def test_warnings_log_and_time_are_told(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> m (float[2] x) => (float[2] y) { y = Relu(x) }'
    path = tmp_path / "m.onnx"
    onnx.save(parser.parse_model(text), path)
    plain, detailed = tensorrt.build(path), tensorrt.build(path, detailed=True)
    assert plain.log == ()
    assert any("LayerType" in line for line in detailed.log)
    assert 0 < plain.seconds < 60


class _Error(SimpleNamespace):
    """One error as the parser hands it out: every field is a function."""

    def __getattr__(self, name: str) -> Any:
        return lambda: self.fields[name]


class _Parser:
    """Answers with what the test has put into the class."""

    parsed, errors = True, ()

    def __init__(self, *_: Any) -> None:
        self.num_errors = len(self.errors)

    def parse_from_file(self, _: str) -> bool:
        return self.parsed

    def get_error(self, index: int) -> Any:
        return self.errors[index]


def network_of(outputs: int) -> Any:
    tensor = SimpleNamespace(name="y", dtype=SimpleNamespace(name="HALF"), shape=(-1, 3))
    return SimpleNamespace(num_outputs=outputs, num_inputs=0, get_output=lambda _: tensor)


def answer(monkeypatch: pytest.MonkeyPatch, parsed: bool, *errors: Any, outputs: int = 1, **request: Any) -> Any:
    monkeypatch.setattr(_Parser, "parsed", parsed)
    monkeypatch.setattr(_Parser, "errors", errors)
    builder = SimpleNamespace(create_network=lambda _: network_of(outputs))
    lines = [("ERROR", "one"), ("WARNING", "two"), ("INFO", "three"), ("INTERNAL_ERROR", "four")]
    given = {"path": "m.onnx", "build": False, "detailed": False, **request}
    found = worker._answer(SimpleNamespace(OnnxParser=_Parser), builder, None, lines, given)
    assert 0 <= found.pop("seconds") < 60
    return found


def test_answer_of_a_file_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"parsed": True, "refusals": [], "warnings": ["two"], "log": []}
    ports = {"ports": [["output", "y", "HALF", [-1, 3]]]}
    assert answer(monkeypatch, True) == plain | ports
    assert answer(monkeypatch, True, detailed=True)["log"] == ["one", "two", "three", "four"]
    monkeypatch.setattr(worker, "_build", lambda *_: {"ok": True})
    assert answer(monkeypatch, True, build=True) == {**plain, **ports, "ok": True}
    assert answer(monkeypatch, False, build=True) == {**plain, "parsed": False, "messages": ["one", "four"]}


def test_graph_without_outputs_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(monkeypatch, True, outputs=0, build=True)
    assert (found["parsed"], [refusal["code"] for refusal in found["refusals"]]) == (
        False,
        ["MODEL_DESERIALIZE_FAILED"],
    )
    assert "messages" not in found
    assert "ok" not in found


@pytest.mark.parametrize(
    ("file", "tensor"), [("importer.cpp", ""), ("importer.hpp", ""), ("importer.h", ""), ("wide", "wide"), ("", "")]
)
def test_answer_of_a_file_that_is_refused(monkeypatch: pytest.MonkeyPatch, file: str, tensor: str) -> None:
    fields = {
        "code": SimpleNamespace(name="UNSUPPORTED_NODE"), "node": 3, "node_name": "n", "node_operator": "Odd",
        "desc": " why ", "local_function_stack": ("f", "g"), "func": "import", "file": file,
    }  # fmt: skip
    found = answer(monkeypatch, False, _Error(fields=fields))
    assert found["refusals"] == [{
        "code": "UNSUPPORTED_NODE", "node": 3, "node_name": "n", "op": "Odd", "message": "why", "stack": ["f", "g"],
        "function": "import", "tensor": tensor,
    }]  # fmt: skip
    assert "messages" not in found


def test_no_reason_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_texts", lambda *_: [])
    assert answer(monkeypatch, False)["messages"] == ["TensorRT gave no reason"]


def test_settings_of_a_build() -> None:
    chosen: dict[str, Any] = {}

    class Config:
        num_compute_capabilities = 0

        def set_compute_capability(self, capability: str, index: int) -> None:
            chosen["capability"] = (capability, index, self.num_compute_capabilities)

        def add_optimization_profile(self, profile: Any) -> None:
            chosen["profile"] = dict(profile)

    def build(network: Any, config: Any) -> Any:
        chosen["verbosity"] = getattr(config, "profiling_verbosity", None)
        return network

    trt = SimpleNamespace(
        ComputeCapability=SimpleNamespace(SM75="sm75"), ProfilingVerbosity=SimpleNamespace(DETAILED=2)
    )
    builder = SimpleNamespace(
        create_builder_config=Config, create_optimization_profile=_Profile, build_serialized_network=build
    )
    asked = {"capability": "SM75", "detailed": True, "values": {}}
    inputs = network(stand_in("x", (-1,)))
    assert worker._serialize(trt, builder, inputs, {"x": [[1], [2], [3]]}, asked) is inputs
    wanted = {"capability": ("sm75", 0, 1), "profile": {"x": ("shape", [1], [2], [3])}, "verbosity": 2}
    assert chosen == wanted
    chosen.clear()
    worker._serialize(trt, builder, inputs, {}, {"capability": "", "detailed": False})
    assert chosen == {"verbosity": None}
