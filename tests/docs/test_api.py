"""The public functions: their examples run, they take what their docstrings say, and a report shows itself."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import surgery
import verify
from verify.errors import SurgeonError
from verify.report import Check, Finding, Report, Verdict

FUNCTIONS = [getattr(package, name) for package in (surgery, verify) for name in package.__all__]
HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
GOOD = f"{HEAD} good (float[2] x) => (float[2] y) {{ y = Relu(x) }}"
BAD = f"{HEAD} bad (float[2] x) => (float[2] y) {{ y = Relu(missing) }}"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_example_runs(function: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if function is surgery.diagnose_model:
        pytest.importorskip("tensorrt_rtx")
    monkeypatch.chdir(tmp_path)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__)
    assert test.examples
    printed: list[str] = []
    assert doctest.DocTestRunner().run(test, out=printed.append).failed == 0, "".join(printed)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_argument_is_documented(function: Callable[..., Any]) -> None:
    text = inspect.getdoc(function) or ""
    for name in inspect.signature(function).parameters:
        assert name in text, name


def test_model_in_memory_and_path_give_the_same(tmp_path: Path) -> None:
    model, path = onnx.parser.parse_model(GOOD), tmp_path / "good.onnx"
    onnx.save(model, path)
    for call in (surgery.diagnose_model, verify.verify_model):
        one, two, three = call(model), call(path), call(str(path))
        assert (one.model, two.model, three.model) == ("good", str(path), str(path))
        names = [[(check.name, check.status) for check in report.checks] for report in (one, two, three)]
        assert names[0] == names[1] == names[2]


def test_a_model_of_a_wrong_type_is_named() -> None:
    for call in (surgery.diagnose_model, verify.verify_model):
        with pytest.raises(SurgeonError, match=r"give a path or an onnx\.ModelProto, not dict"):
            call({})  # type: ignore[operator]


def test_no_temporary_path_is_shown_for_a_model_in_memory() -> None:
    report = verify.verify_model(onnx.parser.parse_model(BAD), goldens=None, tensorrt=False)
    assert not report.ok
    assert "/tmp" not in str(report)
    model = onnx.parser.parse_model(GOOD)
    model.graph.ClearField("node")
    model.graph.ClearField("output")
    with pytest.raises(SurgeonError, match=r"^good: not an ONNX model"):
        verify.verify_model(model)


def report() -> Report:
    hostile = "<script>alert(1)</script>\x1b[2J\u202e"
    return Report(
        hostile,
        [Check("one", "pass", "fine"), Check("two", "skip", hostile)],
        [Finding("SG111", hostile, node=hostile, severity="error")],
        verdicts=[Verdict("TensorRT 10.9 by table", "refused", "refuses 1 place")],
    )


def test_a_report_shows_itself() -> None:
    shown = report()
    assert not shown.ok
    assert "1 of 1 failed" in str(shown)
    assert "1 of 1 failed" in repr(shown)
    assert "\n" not in repr(Report("m", [Check("one", "pass", "fine")]))
    assert Report("m", [Check("one", "pass", "fine")]).ok
    document = json.loads(shown.to_json())
    assert document["exit_code"] == 1
    assert document["reports"][0]["checks"][1]["status"] == "skip"


def test_the_view_of_a_notebook_escapes_names() -> None:
    html = report()._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "refuses 1 place" in html


def test_functions_are_silent_outside_of_a_notebook(tmp_path: Path) -> None:
    code = (
        f"import onnx, surgery; model = onnx.parser.parse_model({GOOD!r}); "
        "surgery.fix_model(model); surgery.diagnose_model(model)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
