"""A model in the present folder, and what its golden says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from verify import verify_model
from verify.report import Check

HEADER = '<ir_version: 9, opset_import: ["" : 18]> '


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, **weights: Any) -> Path:
    model = parser.parse_model((HEADER if "opset_import" not in text else "") + text)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items())
    onnx.save(model, "m.onnx")
    return Path("m.onnx")


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def golden() -> list[Check]:
    checks = verify_model("m.onnx", spec=None, goldens=["golden"], tensorrt=False).checks
    return [check for check in checks if check.name.startswith("golden")]


def passes() -> bool:
    return all(check.status == "pass" for check in golden())
