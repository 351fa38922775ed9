"""The notebook in docs/examples runs from above to below, and its reports are tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOK = ROOT / "docs" / "examples" / "fix_and_verify.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What each cell with code gave."""
    folder = tmp_path_factory.mktemp("notebook")
    patched = pytest.MonkeyPatch()
    patched.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    try:
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        patched.undo()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def html(cell: list[dict[str, Any]]) -> str:
    return "".join(output["data"].get("text/html", "") for output in cell if "data" in output)


def text(cell: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell)


def test_reports_are_tables(outputs: list[list[dict[str, Any]]]) -> None:
    _, diagnosis, errors, _, verified, _ = outputs
    assert "<table>" in html(diagnosis)
    assert "SG105 ReduceMax" in html(diagnosis)
    assert "SG105" in text(errors)
    assert ">pass</b>" in html(verified)
    assert "2 outputs as recorded" in html(verified)


def test_what_is_running_is_shown_and_how_long_it_took(outputs: list[list[dict[str, Any]]]) -> None:
    assert "diagnosing detector: done in" in html(outputs[1])
    assert "fixing detector: done in" in html(outputs[3])
    assert "verifying detector.onnx: done in" in html(outputs[4])


def test_the_fixed_model_is_shown(outputs: list[list[dict[str, Any]]]) -> None:
    assert "parity        equal bit for bit" in text(outputs[3])
    assert "'Mul', 'Greater', 'Cast', 'ReduceMax', 'Cast'" in text(outputs[3])
    assert '"schema_version"' in text(outputs[5])


def test_notebook_is_stored_without_outputs() -> None:
    assert not any(cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells)


def test_path_is_no_path_of_this_machine(outputs: list[list[dict[str, Any]]]) -> None:
    assert str(Path.home()) not in "".join(map(html, outputs))
