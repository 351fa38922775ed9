"""Half precision in an export: options, calibration inputs, error limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx.reference
import pytest
from onnx import TensorProto

pytest.importorskip("sam2")
torch = pytest.importorskip("torch")

from export.check import budget, holds_bfloat16, parity_check  # noqa: E402
from export.pipeline import Request, export_all  # noqa: E402
from export.precision import PrecisionOptions, real_inputs  # noqa: E402
from export.stock.cases import Error  # noqa: E402
from export.weights.choose import find_weights  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402
from verify.interface.recognise import read_metadata  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

Build = Callable[..., Any]


def test_unknown_precisions_and_budgets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="precision 'fp8'"):
        Request(precision="fp8").check()
    with pytest.raises(SurgeonError, match="not an error limit"):
        PrecisionOptions(max_error=-1.0).check(["mask_decoder"])
    with pytest.raises(SurgeonError, match=r"mask_decoder\.npz"):
        PrecisionOptions(calibrate=tmp_path).check(["mask_decoder"])
    (tmp_path / "mask_decoder.npz").touch()
    PrecisionOptions(calibrate=tmp_path).check(["mask_decoder", "memory_encoder"])


def test_half_precision_must_keep_its_error_limit() -> None:
    errors = [Error("m", "photo", "y", 5e-2, 1e-3, rms=4e-3)]
    assert parity_check(errors, 1e-2).status == "pass"
    assert parity_check(errors, 1e-3).status == "fail"
    assert parity_check(errors).status == "fail"  # too much for a float32 file
    assert parity_check([], 1e-2).status == "skip"


def test_real_inputs_are_calls_of_every_module(thin_model: Build) -> None:
    spec_file = load_spec(image_size=64, batch="dynamic")
    found = real_inputs(thin_model(size=64), spec_file.modules, "sam2", 2)
    for module, spec in spec_file.modules.items():
        for call in found[module]:
            assert {port.name for port in spec.inputs} <= set(call)
    assert found["memory_attention"][0]["memory_1"].shape[:2] == (2, 7)


@pytest.mark.slow
def test_a_mixed_export_says_what_it_cost(tmp_path: Path) -> None:
    request = Request("tiny", image_size=64, batch="dynamic", precision="mixed")
    weights = find_weights("tiny", "2.1", tmp_path, source="reference")
    done, _ = export_all(request, weights, tmp_path)
    for item in done:
        assert item.precision is not None
        assert max(item.precision.figures["errors"].values()) <= 1e-2
        assert "photo" in item.precision.figures["measured_on"]
        model = onnx.load(item.path)
        assert read_metadata(model)["precision"] == "mixed"
        assert all(
            port.type.tensor_type.elem_type == TensorProto.FLOAT for port in (*model.graph.input, *model.graph.output)
        )
        assert budget(item.path) == 1e-2
        assert not holds_bfloat16(item.path)
    again, _ = export_all(request, weights, tmp_path)
    assert all(item.reused for item in again)
