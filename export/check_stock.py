"""Stock SAM2 as the reference: rebuilds from a file's metadata the network that gives its correct outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from export.weights.checkpoints import checkpoint as known_checkpoint
from export.weights.choose import Weights, apply
from export.weights.sam2_model import build, require
from verify.errors import SurgeonError
from verify.interface.spec import Spec
from verify.report import Check

NEEDED = ("module", "model_type", "model_version", "checkpoint", "semantics", "image_size")


def stock(metadata: Mapping[str, str], file: Path | None = None) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A function from NumPy inputs by name to stock SAM2's NumPy outputs by name.

    Args:
        metadata: of the exported file (`verify.interface.recognise.read_metadata`).
        file: the checkpoint it was exported from; looked for in `checkpoints/` when None.

    Raises:
        SurgeonError: the metadata lacks something, or the checkpoint is another one.
        MissingBackend: torch or sam2 is not installed.
    """
    _require_metadata(metadata)
    model = _model_of(metadata, file)

    def outputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
        import torch

        from export.stock.modules import run_stock

        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        found = run_stock(metadata["module"], model, tensors, metadata["semantics"])
        return {name: tensor.detach().numpy() for name, tensor in found.items()}

    return outputs


def _require_metadata(metadata: Mapping[str, str]) -> None:
    missing = [key for key in NEEDED if key not in metadata]
    if missing:
        raise SurgeonError(
            f"no metadata of surgeon's export ({missing[0]} is missing); it cannot be compared with stock SAM2"
        )
    require()


def _model_of(metadata: Mapping[str, str], file: Path | None) -> Any:
    size = int(metadata["image_size"])
    return _model(metadata["model_type"], metadata["model_version"], size, metadata["checkpoint"], file)


@lru_cache(maxsize=1)
def _model(model_type: str, version: str, image_size: int, origin: str, file: Path | None) -> Any:
    if origin.startswith("reference"):
        weights = Weights(origin, "")
    else:
        path = file or Path("checkpoints") / known_checkpoint(model_type, version).file
        if not path.is_file():
            raise SurgeonError(
                f"{path}: no such file; give the checkpoint the model was exported from: --checkpoint FILE"
            )
        weights = Weights("file", str(path), path)
    model = build(model_type, version, image_size)
    found = apply(model, weights, model_type, version, trust=True)
    if found != origin:
        raise SurgeonError(
            f"the model was exported from {origin}, these weights are {found}; give the right --checkpoint"
        )
    return model


def parity(path: Path, metadata: Mapping[str, str], spec: Spec, file: Path | None = None) -> Check:
    """Compare the file at `path` with stock SAM2 on a photo and on inputs made from it; raises what `stock` raises."""
    from export.check import budget, holds_bfloat16, parity_check
    from export.stock.cases import compare_files

    _require_metadata(metadata)
    if holds_bfloat16(path):
        return Check("stock SAM2", "skip", "onnxruntime has no bfloat16 kernels to compare with")
    model = _model_of(metadata, file)
    objects = {p.name: p.dims for p in spec.inputs}
    several = 2 if any("objects" in dims for dims in objects.values()) else 1
    errors = compare_files(
        model, {spec.module: path}, {spec.module: spec}, semantics=metadata["semantics"], objects=several
    )
    found = parity_check(list(errors), budget(path))
    return Check("stock SAM2", found.status, found.message, found.figures)
