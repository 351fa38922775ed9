"""A user's own verify.py or export.py in the way of ours: every way in names that file and says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SURGEON = [str(Path(sys.executable).with_name("surgeon"))]
MODULE = [sys.executable, "-m", "surgery"]
MODEL = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'


def run(folder: Path, command: list[str], path: str = "") -> subprocess.CompletedProcess[str]:
    """`command` in `folder`, with the folder before surgeon on the search path if `path` says so."""
    before = [str(folder)] if path else []
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([*before, str(ROOT)])}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(params=["verify.py", "verify/__init__.py"])
def hiding(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The user's file or folder; importing it is noticed."""
    file = tmp_path / str(request.param)
    file.parent.mkdir(exist_ok=True)
    file.write_text("print('the script of the user ran')\n", encoding="utf-8")
    return file if file.name == "verify.py" else file.parent


def said(hiding: Path) -> str:
    kind = "file" if hiding.suffix else "folder"
    return f"{hiding} hides the package 'verify' of onnx-surgeon; rename that {kind}, or start in a folder without it"


def test_import_names_the_file_in_the_way(hiding: Path) -> None:
    for statement in ("import surgery", "from surgery import fix", "from surgery.pipeline.rule import Pass"):
        done = run(hiding.parent, [sys.executable, "-c", statement])
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == f"ImportError: {said(hiding)}"
        assert "the script of the user ran" not in done.stdout


@pytest.mark.parametrize("command", [MODULE, SURGEON], ids=["python -m surgery", "surgeon"])
def test_command_says_it_in_one_line(hiding: Path, command: list[str]) -> None:
    done = run(hiding.parent, [*command, "rules"], path="before")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"surgeon: {said(hiding)}\n")


def test_script_called_verify_hides_ours_from_itself(tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    script.write_text("import surgery\n", encoding="utf-8")
    done = run(tmp_path, [sys.executable, "verify.py"])
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {script} hides the package 'verify'")


def test_module_imported_before_is_named(tmp_path: Path) -> None:
    (tmp_path / "verify.py").write_text("", encoding="utf-8")
    code = "import verify, sys; sys.path.pop(0); import surgery"
    done = run(tmp_path, [sys.executable, "-c", code])
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {tmp_path / 'verify.py'} hides the package 'verify'")


def test_export_py_is_in_the_way_of_the_commands_that_need_ours_only(tmp_path: Path) -> None:
    (tmp_path / "export.py").write_text("print('the script of the user ran')\n", encoding="utf-8")
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "m.onnx")
    for arguments in (["export", "tiny"], ["track", "clip.mp4"], ["deepstream", "models"]):
        done = run(tmp_path, [*MODULE, *arguments])
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"surgeon: {tmp_path / 'export.py'} hides the package 'export' of onnx-surgeon; rename that file, or start "
            "in a folder without it\n"
        )
    assert run(tmp_path, [*MODULE, "fix", "m.onnx"]).returncode == 0
    late = run(tmp_path, [*MODULE, "verify", "m.onnx", "--against-torch"])
    assert late.returncode == 2
    assert f"surgeon: {tmp_path / 'export.py'} hides the package 'export'" in late.stderr


def test_folder_without_code_and_ours_elsewhere_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "verify").mkdir()
    (tmp_path / "export").mkdir()
    (tmp_path / "verify" / "model.onnx").write_bytes(b"")
    assert run(tmp_path, [*MODULE, "--version"]).returncode == 0
    for package in ("surgery", "verify"):
        shutil.copytree(ROOT / package, tmp_path / "copy" / package, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(tmp_path / "copy", [*MODULE, "--version"], path="before").returncode == 0


def test_process_that_holds_tensorrt_ignores_the_current_folder(tmp_path: Path) -> None:
    """`surgeon` is started elsewhere on the search path, but its children start in the user's folder."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    (tmp_path / "verify.py").write_text("print('the script of the user ran')\n", encoding="utf-8")
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "m.onnx")
    done = run(tmp_path, [*SURGEON, "verify", "m.onnx", "--no-cache"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted by tensorrt_rtx" in done.stdout
