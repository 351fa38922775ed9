"""Files exported with reference weights pass `surgeon verify --strict` with the shipped goldens."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sam2")

from export.pipeline import Request, export_all
from export.weights.choose import find_weights
from verify import verify_model

FOLDER = Path(__file__).parents[2] / "golden"
SLOW = ("image_encoder", "mask_decoder", "mask_decoder_prompts", "memory_attention")
FILES = [
    pytest.param(module, semantics, marks=[pytest.mark.slow] if module in SLOW else [])
    for module in (*SLOW, "memory_encoder")
    for semantics in ("sam2", "masktracker")
    if (module, semantics) != ("mask_decoder_prompts", "masktracker")
]


@pytest.mark.parametrize(("module", "semantics"), FILES)
def test_strict(tmp_path: Path, module: str, semantics: str) -> None:
    request = Request(batch="dynamic", semantics=semantics, only=(module,))
    (item,), _ = export_all(request, find_weights("tiny", "2.1", tmp_path, source="reference"), tmp_path)
    report = verify_model(item.path, goldens=[FOLDER], strict=True, tensorrt=False)
    assert report.exit_code == 0, report.checks
    found = {check.name: check.status for check in report.checks}
    assert (found["golden"], found["golden sensitivity"]) == ("pass", "pass")
