"""Files that are missing or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("PIL")


from export.tracking import modules
from export.tracking.prompts import Prompt
from tests.export import toy_networks
from verify.errors import SurgeonError

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


def test_missing_file_is_named(tmp_path: Path) -> None:
    toy_networks.write(tmp_path)
    (tmp_path / "memory_encoder.onnx").unlink()
    with pytest.raises(SurgeonError, match=r"memory_encoder\.onnx: no such file"):
        modules.load(tmp_path)


def test_damaged_file_is_named(tmp_path: Path) -> None:
    toy_networks.write(tmp_path)
    (tmp_path / "mask_decoder.onnx").write_bytes(b"\x08\x08garbage")
    with pytest.raises(SurgeonError, match=r"mask_decoder\.onnx: onnxruntime cannot open it"):
        modules.load(tmp_path)
