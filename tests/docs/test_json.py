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


def test_another_form_is_refused() -> None:
    jsonschema.Draft202012Validator.check_schema(FORMS)
    for name in ("inspect", "rules", "compile"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"something": 1}, form_of(name))
