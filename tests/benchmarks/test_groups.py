"""`python -m benchmarks.groups` on small models, beside peers that are scripts: what is measured, kept and shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from benchmarks.groups import __main__ as program
from benchmarks.groups import tools
from benchmarks.groups.sources import GROUPS, Group, Source

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
MODELS = {  # what surgeon leaves of them: one node, none removed
    "chain": "g (float[n,2] x) => (float[n,2] y) { a = Identity(x)  b = Identity(a)  y = Relu(b) }",
    "plain": "g (float[n,2] x) => (float[n,2] y) { y = Relu(x) }",
}
PYTHON = f"#!{sys.executable}\n"
COPY = PYTHON + "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[-1])\n"
WRONG = PYTHON + (
    "import onnx, sys; model = onnx.load(sys.argv[1]); del model.graph.node[:-1]; node = model.graph.node[0]; "
    "node.op_type, node.input[0] = 'Neg', 'x'; onnx.save(model, sys.argv[-1])\n"
)
FAILS = PYTHON + "import sys; sys.exit('/some/folder/model.onnx: no')\n"
FAKE = {
    "onnxsim": COPY,
    "onnxslim": WRONG,
    "polygraphy": FAILS,
    "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
}


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the program on a group of the models above and one that is missing; gives what it found and its page."""
    for name, script in FAKE.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    feeds = {"x": np.array([[1, -2], [3, 4]], np.float32)}
    sources = {name: Source(tmp_path / f"{name}.onnx", lambda: feeds) for name in (*MODELS, "absent")}
    for name, text in MODELS.items():
        onnx.save(onnx.parser.parse_model(HEAD + text), sources[name].path)
    monkeypatch.setitem(GROUPS, "raw", lambda options: Group("Three models", sources))
    monkeypatch.setattr(program, "_versions", lambda python: {"onnxsim": "1.0"})
    given = ["--peer-python", str(tmp_path / "python"), "--work", str(tmp_path / "work"), "--results", str(tmp_path)]

    def run(*more: str) -> tuple[dict[str, Any], str]:
        name, *rest = more if more[:1] == ("quantized",) else ("raw", *more)
        assert program.main([*given, "--only", name, *rest]) == 0
        return json.loads((tmp_path / "groups.json").read_text())["groups"][name], (tmp_path / "groups.md").read_text()

    return run


def test_steps_are_kept_and_the_page_says_what_is_missing(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found, page = measure("--step", "times")
    assert "| raw | 3 | 0 | 0 of 0 | none |" in page
    assert "surgeon: not made or not compared on 2: chain, plain." in page
    spent = found["models"]["chain"]["times"]
    assert {tool: len(turns) for tool, turns in spent.items()} == dict.fromkeys((*tools.TIMED, tools.FUNCTION), 1)

    found, page = measure("--step", "results")
    assert found["models"]["chain"]["times"] == spent
    assert "| raw | 3 | 2 | 2 of 2 (100%) | none |" in page
    assert "| raw | 2 / 4 (2 models) | no model | no model |" in page
    assert "onnxslim is wrong on 2: chain (differs by" in page
    assert "polygraphy fails on 2 (model.onnx: no): chain, plain." in page
    assert "| absent | no file |" in page
    assert "1 (" in page.split("| chain | 3 | ")[1]

    monkeypatch.setattr(tools, "run", lambda *given: pytest.fail("what is known was made again"))
    again, _ = measure("--step", "results")
    assert again["models"] == found["models"]


def test_a_result_counts_for_the_very_file_only(measure: Any, tmp_path: Path) -> None:
    measure()
    (tmp_path / "onnxsim").write_text(WRONG)
    found, page = measure("--step", "times", "--anew", "onnxsim")
    assert "onnxsim: not made or not compared on 2: chain, plain." in page
    assert "0 of 0" in page
    _, page = measure("--step", "results")
    assert "onnxsim is wrong on 2" in page
    (tmp_path / "onnxsim").write_text(COPY)
    measure("--step", "results", "--anew", "onnxsim")
    assert len(found["models"]["plain"]["times"]["onnxsim"]) == 1


def test_the_least_of_the_turns_counts_and_one_command_takes_all(measure: Any) -> None:
    found, page = measure("--step", "times", "--repeats", "2")
    turns = found["models"]["plain"]["times"]["onnxsim"]
    assert len(turns) == len(found["at once"]) == 2
    for model in MODELS:
        for tool in tools.TIMED:
            kept = found["models"][model]["times"][tool]
            kept[:] = [{"seconds": 5.0, "processor seconds": 3.0}, {"seconds": 4.0, "processor seconds": 6.0}]
    from benchmarks.groups.counts import spent

    assert spent(found["models"], list(MODELS), "surgeon") == (8.0, 6.0)
    assert ", 2 models | not all measured |" in page  # the test's Python has no onnxsim


def test_quantized_models_are_timed_for_both_targets(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, "quantized", GROUPS["raw"])
    found, page = measure("quantized", "--step", "times")
    ours = [found["models"][model]["times"]["surgeon --target onnxruntime"][0]["seconds"] for model in MODELS]
    assert f"| quantized, for onnxruntime | 2 | {sum(ours):.1f} (" in page
    assert "| quantized, for TensorRT | 2 | " in page


def test_polygraphy_without_graphsurgeon_is_refused(measure: Any, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    found, page = measure("--step", "results")
    assert "onnx-graphsurgeon is not installed there" in found["models"]["chain"]["files"]["polygraphy"]["error"]
    assert "polygraphy fails on 2 (onnx-graphsurgeon is not installed there" in page


def test_groups_that_were_not_given_are_named(tmp_path: Path) -> None:
    assert program.main(["--results", str(tmp_path), "--work", str(tmp_path / "work")]) == 0
    page = (tmp_path / "groups.md").read_text()
    for name, option in (("reference tiny", "reference-tiny"), ("raw", "raw"), ("quantized", "foreign")):
        assert f"- {name}: not measured: no --{option} given." in page


def test_a_peer_counts_for_tensorrt_only_if_its_file_builds() -> None:
    from benchmarks.groups.counts import is_right, is_right_and_builds, standing

    def row(**nodes: int) -> dict[str, Any]:
        files = {tool: {"nodes": number, "digest": tool} for tool, number in nodes.items()}
        results = {tool: {"of": ["o", tool]} for tool in nodes}
        said = {"surgeon": {"said": "builds", "of": "surgeon"}, "onnxsim": {"said": "refused", "of": "onnxsim"}}
        return {"original": {"digest": "o"}, "files": files, "results": results, "builds": said}

    models = {"m": row(surgeon=9, onnxsim=5, onnxslim=9, polygraphy=9)}
    assert standing(models, "surgeon", is_right_and_builds) == (["m"], {})
    assert standing(models, "surgeon", is_right) == (["m"], {"m": "onnxsim 4"})


def test_a_model_that_does_not_run_judges_no_tool(measure: Any, tmp_path: Path) -> None:
    broken = (
        MODELS["plain"].replace("Relu(x)", "Reshape(x, s)").replace("(float[n,2] y)", "(float[2] y) <int64[1] s = {7}>")
    )
    onnx.save(onnx.parser.parse_model(HEAD + broken), tmp_path / "plain.onnx")
    _, page = measure("--step", "results")
    assert "| raw | 3 | 1 | 1 of 1 (100%) | none |" in page
    assert "surgeon is wrong" not in page
    assert "1 not comparable |" in page
