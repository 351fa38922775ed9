"""The verdict of full TensorRT on this machine's own GPU, in the form of a run that came from another machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from verify.device.check import DeviceRun
from verify.errors import SurgeonError
from verify.goldens.find import content_hash, find_golden, folders
from verify.report import Check
from verify.tensorrt.check import verdicts_of

if TYPE_CHECKING:
    import onnx

NAMES = ("tensorrt", "tensorrt parser", "tensorrt builder")


def built_here(path: Path, model: onnx.ModelProto, checks: Sequence[Check], goldens: Sequence[Path]) -> DeviceRun:
    """The verdict of the checks of `verify.tensorrt.check.check_tensorrt`, to be kept beside the golden.

    Raises:
        SurgeonError: full TensorRT did not run here, or the model has no golden to keep the verdict beside.
    """
    ran = [c for c in checks if c.name in NAMES and str(c.figures.get("version", "")).startswith("tensorrt ")]
    found = find_golden(path, model, folders(goldens))
    if not ran:
        raise SurgeonError("--keep: full TensorRT built nothing here; give --backend tensorrt or --device-run FOLDER")
    if found is None:
        raise SurgeonError(f"--keep: {path} has no golden; record one with: surgeon golden record {path}")
    (verdict,) = verdicts_of(checks)
    figures = ran[-1].figures
    precision = str(figures.get("precision", "its own precision"))
    outcome = {"accepted": f"built it {{when}} from this very file in {precision}; outputs were not compared"}
    message = outcome.get(verdict.state, f"{ran[-1].message} {{when}}")
    name, capability = gpu()
    return DeviceRun(
        list(ran),
        verdict.state,
        message,
        content_hash(path, model),
        found.golden,
        str(figures["version"]).removeprefix("tensorrt "),
        name,
        capability,
        precision,
        datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def gpu() -> tuple[str, str]:
    """Name and compute capability of the first GPU as nvidia-smi gives them; empty where it cannot be asked."""
    command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", ""
    name, _, capability = done.stdout.partition("\n")[0].rpartition(", ")
    return name.strip(), capability.strip()
