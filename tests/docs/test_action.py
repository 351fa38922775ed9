"""The GitHub Action: its steps run here as GitHub would run them, on models that pass and that fail."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.docs.blocks import ROOT, environment
from verify.render import FORMATS

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
GOOD = f"{HEAD} good (float[2] x) => (float[2] y) {{ y = Relu(x) }}"
BAD = f"{HEAD} bad (float[2] x) => (float[2] y) {{ y = Relu(x)  y = Neg(x) }}"


def check(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The step that checks models, with the defaults of the action for inputs that are not given."""
    step = STEPS["Check models"]
    given = {name: str(one["default"]) for name, one in ACTION["inputs"].items()} | inputs
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    script = folder / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    if not (folder / "bin").exists():
        environment(folder, ROOT)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    variables = {**os.environ, **variables, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder / "work", env=variables, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work" / "some models").mkdir(parents=True)
    onnx.save(onnx.parser.parse_model(GOOD), tmp_path / "work" / "some models" / "good.onnx")
    return tmp_path


def test_every_input_is_documented_used_and_has_a_default() -> None:
    assert all(one["description"] and "default" in one for one in ACTION["inputs"].values())
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert not any("${{" in script for script in scripts)  # an input must not become part of a script
    assert all(form in ACTION["inputs"]["format"]["description"] for form in FORMATS)


def test_models_that_pass(folder: Path) -> None:
    done = check(folder, options="--no-trt\n--spec=none")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("1 model: all checks")


def test_failure_is_an_annotation_and_fails_the_job(folder: Path) -> None:
    onnx.save(onnx.parser.parse_model(BAD), folder / "work" / "bad.onnx")
    done = check(folder, options="--no-trt\n", models="some models\n\nbad.onnx\n")
    assert done.returncode == 1
    assert any(line.startswith("::error file=bad.onnx,title=surgeon") for line in done.stdout.splitlines())
    assert "2 models: 1 of 2 failed" in done.stdout


def test_other_format_goes_to_a_file(folder: Path) -> None:
    done = check(folder, options="--no-trt", format="sarif", output="surgeon.sarif")
    assert (done.returncode, done.stdout) == (0, "")
    assert '"version": "2.1.0"' in (folder / "work" / "surgeon.sarif").read_text()
    assert check(folder, options="--no-such-option").returncode == 2


def test_installation_takes_the_extra_when_asked(tmp_path: Path) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    for wanted, end in (("true", "/action[trt]"), ("false", "/action")):
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TENSORRT": wanted, "GITHUB_ACTION_PATH": "/action"}
        command = ["bash", "-eo", "pipefail", "-c", STEPS["Install surgeon"]["run"]]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.split()[-1] == end
