"""What `--format json` prints, held to the schemas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.docs.blocks import ROOT
from verify.render.data import schema

jsonschema = pytest.importorskip("jsonschema")
FORMS: dict[str, Any] = json.loads((ROOT / "docs" / "reference" / "json.schema.json").read_text(encoding="utf-8"))
HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
GRAPH = "g (float[n, 2] x) => (float[n, 2] y) <float[2] w = {1, 2}> { a = Identity(x)  y = Add(a, w) }"
COMMANDS = {
    "inspect": [("inspect", "m.onnx"), ("inspect", "m.onnx", "broken.onnx")],
    "rules": [("rules",), ("rules", "SG713")],
    "compile": [("compile", "m.onnx")],
    "report": [
        ("verify", "m.onnx", "broken.onnx", "--no-trt"), ("diagnose", "m.onnx", "--no-build"), ("fix", "m.onnx"),
        ("extract", "m.onnx", "--outputs", "a", "-o", "part.onnx"),
    ],
}  # fmt: skip
EVERY = [(form, command) for form, commands in COMMANDS.items() for command in commands]


def form_of(name: str) -> dict[str, Any]:
    return schema() if name == "report" else {"$ref": f"#/$defs/{name}", "$defs": FORMS["$defs"]}


@pytest.mark.parametrize(("form", "command"), EVERY, ids=lambda value: value if isinstance(value, str) else value[0])
def test_output_has_the_form(form: str, command: tuple[str, ...], tmp_path: Path) -> None:
    if form == "compile":
        pytest.importorskip("tensorrt_rtx")
    onnx.save(onnx.parser.parse_model(f"{HEAD} {GRAPH}"), tmp_path / "m.onnx")
    broken = onnx.parser.parse_model(f"{HEAD} {GRAPH}")
    broken.graph.node[1].input[0] = "gone"
    onnx.save(broken, tmp_path / "broken.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "surgery", *command, "--format", "json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "SURGEON_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    jsonschema.validate(document, form_of(form))
    if command[0] == "verify":
        assert [one["code"] for one in document["reports"][1]["findings"]] == ["SG713"]
    if command[0] == "inspect":
        assert [one["code"] for one in document["models"][-1]["breaches"]] == ["SG713"] * (len(command) - 2)


def test_export_has_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from export.check import Verdict
    from export.pipeline import Exported
    from export.weights.choose import Weights
    from surgery.cli.commands.export import _show
    from verify.interface.spec import load_spec
    from verify.report import Check

    spec = load_spec("sam2")["image_encoder"]
    half = Check("precision", "pass", "3 of 9 nodes", {"error": 0.001, "stayed": []})
    done = [
        Exported("image_encoder", Path("a.onnx"), spec, 9, 5, 1.5, precision=half),
        Exported("memory_encoder", Path("b.onnx"), spec),
    ]
    checks = [Check("interface", "pass", "as documented"), Check("parity", "fail", "differs", {"cosine": 0.5})]
    verdicts = [Verdict(done[0], *checks, Check("tensorrt", "skip", "not installed"))]
    _show("json", done, verdicts, Weights("reference:0", "reference weights"))
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, form_of("export"))
    assert document["modules"][0]["checks"]["parity"] == {"status": "fail", "message": "differs", "cosine": 0.5}
    assert "checks" not in document["modules"][1]


def test_track_has_the_form(tmp_path: Path) -> None:
    from contextlib import ExitStack

    import numpy as np

    from export.tracking.sinks import json_sink
    from export.tracking.tracker import Result

    seen = Result(np.ones((2, 2), np.float32), 0.9, 3.0, 8, 8)
    hidden = Result(-np.ones((2, 2), np.float32), 0.1, -3.0, 8, 8)
    with ExitStack() as stack:
        json_sink(tmp_path / "a.json", stack)(0, 0.04, np.zeros((8, 8, 3), np.uint8), {1: seen, 2: hidden})
    document = json.loads((tmp_path / "a.json").read_text())
    jsonschema.validate(document, form_of("track"))
    assert [one["x1"] for one in document] == [8, None]


def test_evaluate_has_the_form() -> None:
    from types import SimpleNamespace

    from export.evaluation.run import Evaluation, summary

    scores = {"frames": [3], "J": [0.5], "F": [1.0]}
    record = {"side": "tiny", "video": "dog", "objects": {"1": scores, "2": {"frames": []}}}
    record |= {"tracked_frames": 4, "seconds": 1.0}
    data, side = SimpleNamespace(root="davis", layout="DAVIS", chosen_by="val.txt"), SimpleNamespace(name="tiny")
    found = summary(data, [side], "box", Evaluation([record], 0, ["cat: no mask"]))  # type: ignore[arg-type]
    jsonschema.validate(json.loads(json.dumps(found)), form_of("evaluate"))
    assert (found["objects"][0]["J&F"], found["unscored"]) == (0.75, ["dog 2"])


def test_another_form_is_refused() -> None:
    jsonschema.Draft202012Validator.check_schema(FORMS)
    for name in set(FORMS["$defs"]) - {"port"}:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"something": 1}, form_of(name))
