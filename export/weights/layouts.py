"""Find SAM2's tensors in the layouts that people save checkpoints in, and which model they belong to.

Read are plain state dicts, dicts that hold one (`{"model": ...}` of the official files and of training runs,
`{"state_dict": ...}` of Lightning), names with a prefix (`module.` of DDP, `model.`), half precision, and safetensors.
A pickle is read by torch's `weights_only` unpickler, which runs no code of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.errors import MissingBackend, SurgeonError
from verify.report import counted

# A tensor that every model type has; its shape gives the width of the trunk.
LANDMARK = "image_encoder.trunk.patch_embed.proj.weight"
WIDTHS = {96: ("tiny", "small"), 112: ("base_plus",), 144: ("large",)}
BLOCKS = {12: "tiny", 16: "small"}  # of the two types of equal width
NEW_IN_2_1 = "no_obj_embed_spatial"
TRANSFORMERS = "vision_encoder.backbone."
LFS = b"version https://git-lfs"
ZIP, PICKLE = b"PK", b"\x80"  # how files of torch.save begin, those of old versions too
DEPTH = 3  # dicts inside dicts that are searched


@dataclass(frozen=True)
class State:
    """The tensors by their names in stock SAM2, and which model they are of ("" where the sizes fit none)."""

    tensors: Mapping[str, Any]
    model_type: str
    version: str


def read_state(path: Path) -> State:
    """The SAM2 weights in a checkpoint file, as they are stored.

    Raises SurgeonError where the file cannot be read or holds no SAM2 weights, MissingBackend where it is a safetensors
    file and that library is not installed.
    """
    tensors = _find(path, _read_safetensors(path) if is_safetensors(path) else _read_pickle(path))
    blocks = {int(name.split(".")[3]) for name in tensors if name.startswith("image_encoder.trunk.blocks.")}
    types = WIDTHS.get(tensors[LANDMARK].shape[0], ())
    model_type = types[0] if len(types) == 1 else BLOCKS.get(len(blocks), "") if types else ""
    return State(tensors, model_type, "2.1" if NEW_IN_2_1 in tensors else "2.0")


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: the length of a JSON header and the header."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingBackend(f"{path}: reading safetensors needs the library; pip install safetensors") from error
    try:
        tensors: Mapping[str, Any] = load_file(path)
    except SafetensorError as error:
        raise SurgeonError(f"{path}: not a whole safetensors file: {error}") from error
    return tensors


def _read_pickle(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        head = file.read(len(LFS))
    if head in (b"", LFS):
        reason = (
            "it is a pointer of Git LFS and not the file; run git lfs pull" if head else "it is empty; fetch it again"
        )
        raise SurgeonError(f"{path} cannot be read as a checkpoint: {reason}")
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        known = head.startswith((ZIP, PICKLE))
        reason = _reason(error) if known else "it is neither a file of torch.save nor safetensors"
        raise SurgeonError(f"{path} cannot be read as a checkpoint: {reason}") from error


def _numpy_scalars() -> list[Any]:
    """The classes that a pickled NumPy number needs under NumPy 1 and 2; they hold plain data, no code."""
    import _codecs

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    kinds = {type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "u1", "?")}
    return [*((scalar, name) for name in names), np.dtype, *kinds, (_codecs.encode, "_codecs.encode")]


def _reason(error: Exception) -> str:
    """One line about a file that torch refused, with the class or function that it may not load."""
    _, found, rest = str(error).partition("GLOBAL ")
    if found:
        name = rest.split()[0]
        return (
            f"it holds {name}, which is code and not run; save the weights alone: "
            "torch.save({'model': model.state_dict()}, FILE)"
        )
    return " ".join(str(error).split())[:160] or type(error).__name__


def _find(path: Path, loaded: Any) -> dict[str, Any]:
    """The dict of tensors below `loaded` that holds SAM2, names without their prefix."""
    found = [
        (prefix, tensors)
        for tensors in _dicts(loaded, DEPTH)
        for prefix in sorted(name[: -len(LANDMARK)] for name in tensors if name.endswith(LANDMARK))
    ]
    if not found:
        raise SurgeonError(f"{path} holds no SAM2 weights: {_what_instead(loaded)}")
    prefixes = sorted({prefix for prefix, _ in found})
    if len(found) > 1:
        shown = ", ".join(repr(prefix) for prefix in prefixes)
        raise SurgeonError(f"{path} holds SAM2 weights {len(found)} times (prefixes {shown}); save one of them alone")
    prefix, tensors = found[0]
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _dicts(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The dicts in `value` that hold tensors by name, outermost first; only the tensors of each."""
    import torch

    if not isinstance(value, Mapping) or not depth:
        return
    tensors = {name: one for name, one in value.items() if isinstance(name, str) and isinstance(one, torch.Tensor)}
    if tensors:
        yield tensors
    for one in value.values():
        yield from _dicts(one, depth - 1)


def _what_instead(loaded: Any) -> str:
    names = [name for tensors in _dicts(loaded, DEPTH) for name in tensors]
    if any(name.startswith(TRANSFORMERS) or f".{TRANSFORMERS}" in name for name in names):
        return "it is in the layout of the transformers library; take the .pt file of the same repository"
    if names:
        return f"it has {counted(len(names), 'tensor')}, such as {names[0]}, and no {LANDMARK}"
    kind = type(loaded).__name__
    keys = f" with the keys {', '.join(map(str, list(loaded)[:5]))}" if isinstance(loaded, Mapping) else ""
    return f"it is a {kind}{keys} without tensors"
