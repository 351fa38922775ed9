"""Recognises which module of a spec a model is: by its metadata, its file name, or its inputs and outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import SurgeonError
from verify.interface.spec import Spec, SpecFile, load_spec
from verify.model.walk import dims_of, fed_inputs

if TYPE_CHECKING:
    import onnx

METADATA_PREFIX = "surgeon."
IMAGE_SIZES = range(64, 2049, 32)


def read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata that the exporter wrote, keys without the prefix `surgeon.`.

    Keys: version, spec, module, model_type, model_version, checkpoint (SHA-256, or "reference:SEED"),
    semantics, image_size, batch, precision, target, opset, sam2_version, torch_version, nodes_raw (nodes before
    surgery), prompted_frames (that profiles allow, where it is more than 1), mask_downsample (of mask_decoder_prompts:
    16 weights and a bias).
    """
    props = {prop.key: prop.value for prop in model.metadata_props}
    return {k.removeprefix(METADATA_PREFIX): v for k, v in props.items() if k.startswith(METADATA_PREFIX)}


def write_metadata(model: onnx.ModelProto, values: Mapping[str, str]) -> None:
    """Set the keys of `read_metadata` on the model; other metadata stays."""
    kept = {prop.key: prop.value for prop in model.metadata_props}
    kept.update({METADATA_PREFIX + key: value for key, value in values.items()})
    del model.metadata_props[:]
    for key, value in kept.items():
        model.metadata_props.add(key=key, value=value)


def recognise(
    model: onnx.ModelProto,
    path: str | Path | None = None,
    name_or_path: str | Path = "sam2",
    *,
    image_size: int | None = None,
    batch: int | str | None = None,
) -> Spec | None:
    """The spec of the module that `model` is, or None when it is none of them.

    Image size and batch mode come from the arguments, else from the metadata, else from the model's own
    inputs: the size that agrees with most dims, and dynamic batch where an input's batch dim has no number.
    """
    metadata = read_metadata(model)
    spec_file = load_spec(name_or_path)
    module = _module_name(model, metadata, path, spec_file)
    if module is None:
        return None
    sizes = _dims(model)
    if image_size is None:
        image_size = _number(metadata.get("image_size")) or _closest_size(name_or_path, spec_file, module, sizes)
    if batch is None:
        batch = _number(metadata.get("batch")) or metadata.get("batch") or _batch(spec_file, module, sizes)
    prompted = _number(metadata.get("prompted_frames"))
    return load_spec(name_or_path, image_size=image_size, batch=batch, prompted_frames=prompted)[module]


def _module_name(
    model: onnx.ModelProto, metadata: Mapping[str, str], path: str | Path | None, spec_file: SpecFile
) -> str | None:
    if metadata.get("module") in spec_file.modules:
        return metadata["module"]
    if path is not None:
        for spec in spec_file.modules.values():
            if Path(path).name == spec.file:
                return spec.module
    names = {value.name for value in (*fed_inputs(model.graph), *model.graph.output)}
    shared = {spec.module: len(names & {p.name for p in spec.ports}) for spec in spec_file.modules.values()}
    best = max(shared, key=lambda module: shared[module])
    return best if 2 * shared[best] > len(spec_file[best].ports) else None


def _dims(model: onnx.ModelProto) -> dict[str, list[int | str | None]]:
    """Dims of each graph input and output, as `dims_of` gives them; none where the rank is unknown."""
    return {value.name: dims_of(value.type.tensor_type) or [] for value in (*model.graph.input, *model.graph.output)}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _closest_size(
    name_or_path: str | Path, spec_file: SpecFile, module: str, sizes: Mapping[str, Iterable[int | str | None]]
) -> int | None:
    """The image size whose static dims agree with most of the model's; the documented one when tied."""
    if spec_file.image_size is None:
        return None
    ports = spec_file[module].ports
    pairs = [pair for port in ports for pair in zip(port.dims, sizes.get(port.name, ()), strict=False)]
    if not any(isinstance(wanted, int) and isinstance(got, int) and wanted != got for wanted, got in pairs):
        return spec_file.image_size  # with another size no other dims would agree
    score: dict[int, int] = {}
    for size in (spec_file.image_size, *IMAGE_SIZES):
        with contextlib.suppress(SurgeonError):
            score[size] = _agreement(load_spec(name_or_path, image_size=size)[module], sizes)
    return max(score, key=lambda size: score[size])


def _agreement(spec: Spec, sizes: Mapping[str, Iterable[int | str | None]]) -> int:
    return sum(
        wanted == got for port in spec.ports for wanted, got in zip(port.dims, sizes.get(port.name, ()), strict=False)
    )


def _batch(spec_file: SpecFile, module: str, sizes: Mapping[str, list[int | str | None]]) -> int | str | None:
    """`dynamic` when a dim that only dynamic batch frees is free in the model's inputs."""
    fixed = spec_file[module]
    try:
        free = load_spec(spec_file.name, batch="dynamic")[module]
    except SurgeonError:
        return None
    for port, freed in zip(fixed.inputs, free.inputs, strict=True):
        for axis, (before, after) in enumerate(zip(port.dims, freed.dims, strict=True)):
            got = sizes.get(port.name, [])
            if isinstance(before, int) and isinstance(after, str) and axis < len(got):
                size = got[axis]
                return size if isinstance(size, int) else "dynamic"
    return None
