"""Plug-ins that fail to load: surgeon names them, does the rest, and says in the report that they did not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[3]
MODEL = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { a = Identity(x)  y = Relu(a) }'
GOOD = """
from surgery.pipeline.rule import Pass

def find(graph, context):
    return iter(())

PASS = Pass(code="{code}", name="{name}", find=find, exact=True)
"""


def install(folder: Path, package: str, source: str, attribute: str = "PASS") -> None:
    """What pip leaves behind: a module, and the metadata with its entry point."""
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{module}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[surgeon.passes]\nrule = {module}:{attribute}\n", encoding="utf-8")


def surgeon(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    onnx.save(onnx.parser.parse_model(MODEL), folder / "m.onnx")
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "COLUMNS": "400"}
    command = [sys.executable, "-m", "surgery", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nfrom os import no_such_name\n", "bad_rules.py:2: ImportError: cannot import name 'no_such_name'"),
        ("x = 1\n\nraise ValueError('too old')\n", "bad_rules.py:3: ValueError: too old"),
        ("def broken(:\n", "bad_rules.py:1: SyntaxError: "),
        ("import sys\nsys.exit(9)\n", "bad_rules.py:2: SystemExit: 9"),
        ("OTHER = 1\n", "entry point 'bad_rules:PASS': AttributeError: "),
        ("PASS = 'SG001'\n", "bad_rules:PASS is no Pass, but of type str"),
    ],
)
def test_plug_in_that_does_not_load_is_named_and_the_rest_works(tmp_path: Path, source: str, said: str) -> None:
    install(tmp_path, "bad-rules", source)
    install(tmp_path, "good-rules", GOOD.format(code="HR001", name="good"))
    done = surgeon(tmp_path, "fix", "m.onnx", "-o", "out.onnx", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["Relu"]
    (line,) = [line for line in done.stdout.splitlines() if "plug-in" in line]
    assert "not loaded, so its passes did not run: bad-rules 1.2: " in line
    assert said in line
    checks = json.loads((tmp_path / "report.json").read_text())["reports"][0]["checks"]
    assert [(check["status"], said in check["message"]) for check in checks if check["name"] == "plug-in"] == [
        ("skip", True)
    ]
    listed = surgeon(tmp_path, "rules")
    assert listed.returncode == 0
    assert "HR001" in listed.stdout
    assert "bad-rules 1.2" in listed.stderr
    assert len(listed.stderr.splitlines()) == 1


def test_diagnose_says_that_a_plug_in_did_not_run(tmp_path: Path) -> None:
    install(tmp_path, "bad-rules", "raise ValueError('too old')\n")
    done = surgeon(tmp_path, "diagnose", "m.onnx", "--target", "onnxruntime", "--format", "json")
    report = json.loads(done.stdout)["reports"][0]
    assert done.returncode == report["exit_code"]
    assert [check["status"] for check in report["checks"] if "bad-rules 1.2" in check["message"]] == ["skip"]


def test_code_of_a_plug_in_that_did_not_load_is_explained(tmp_path: Path) -> None:
    install(tmp_path, "bad-rules", "raise ValueError('too old')\n")
    done = surgeon(tmp_path, "fix", "m.onnx", "-o", "out.onnx", "--select", "HR001")
    assert done.returncode == 2
    assert "no pass has the code 'HR001'" in done.stderr
    assert "bad-rules 1.2" in done.stderr


@pytest.mark.parametrize("command", [("fix", "m.onnx"), ("diagnose", "m.onnx"), ("rules",)])
def test_two_plug_ins_with_the_same_code_are_an_error_that_names_both(tmp_path: Path, command: tuple[str]) -> None:
    install(tmp_path, "my-rules", GOOD.format(code="HR001", name="mine"))
    install(tmp_path, "your-rules", GOOD.format(code="HR001", name="yours"))
    done = surgeon(tmp_path, *command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "the code HR001 is used twice" in line
    assert "my-rules 1.2 (my_rules:PASS)" in line
    assert "your-rules 1.2 (your_rules:PASS)" in line
    assert not (tmp_path / "m.fixed.onnx").exists()


def test_code_of_surgeon_itself_is_taken(tmp_path: Path) -> None:
    install(tmp_path, "my-rules", GOOD.format(code="SG001", name="mine"))
    done = surgeon(tmp_path, "rules")
    assert done.returncode == 2
    assert "the code SG001 is used twice, by surgeon itself and by my-rules 1.2" in done.stderr
