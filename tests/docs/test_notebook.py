"""The notebooks in docs/examples run from above to below, and their reports are tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

EXAMPLES = ROOT / "docs" / "examples"
Outputs = list[list[dict[str, Any]]]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return executed("fix_and_verify.ipynb", tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return executed("own_pass_and_spec.ipynb", tmp_path_factory.mktemp("notebook"))


def executed(name: str, folder: Path) -> Outputs:
    """What each cell with code of a notebook gave, run in `folder`."""
    patched = pytest.MonkeyPatch()
    patched.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    try:
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        patched.undo()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def html(cell: list[dict[str, Any]]) -> str:
    return "".join(output["data"].get("text/html", "") for output in cell if "data" in output)


def text(cell: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell)


def test_reports_are_tables(outputs: Outputs) -> None:
    _, diagnosis, errors, _, verified, _ = outputs
    assert "<table>" in html(diagnosis)
    assert "SG105 ReduceMax" in html(diagnosis)
    assert "SG105" in text(errors)
    assert ">pass</b>" in html(verified)
    assert "2 outputs as recorded" in html(verified)


def test_what_is_running_is_shown_and_how_long_it_took(outputs: Outputs) -> None:
    assert "diagnosing detector: done in" in html(outputs[1])
    assert "fixing detector: done in" in html(outputs[3])
    assert "verifying detector.onnx: done in" in html(outputs[4])


def test_the_fixed_model_is_shown(outputs: Outputs) -> None:
    assert "parity        equal bit for bit" in text(outputs[3])
    assert "'Mul', 'Greater', 'Cast', 'ReduceMax', 'Cast'" in text(outputs[3])
    assert '"schema_version"' in text(outputs[5])


def test_a_pass_of_a_cell_runs_and_a_wrong_one_is_named(own: Outputs) -> None:
    assert "HR001 Abs" in html(own[2])
    assert "['Exp']" in text(own[3])
    assert "HR002 (exp-is-neg) was left out: with it output 'score' differs" in " ".join(text(own[4]).split())
    assert "HR001  note  Abs  the input is never negative" in text(own[4])


def test_a_spec_of_a_cell_is_checked_and_brought_about(own: Outputs) -> None:
    assert "scorer: 2 inputs and outputs as documented" in html(own[5])
    assert ">FAIL</b>" not in html(own[5])
    before, after = text(own[6]).split("1 of 1 failed")
    assert "FAIL   module" in before
    assert "scorer: 2 inputs and outputs as documented" in after
    assert "all checks passed" in after


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    assert not any(cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)


def test_path_is_no_path_of_this_machine(outputs: Outputs, own: Outputs) -> None:
    assert str(Path.home()) not in "".join(map(html, [*outputs, *own]))
