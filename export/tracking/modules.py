"""The four networks as plain functions of named NumPy arrays, so that the tracker knows no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.tracking.providers import open_session
from verify.errors import SurgeonError
from verify.interface.recognise import METADATA_PREFIX

Array = npt.NDArray[Any]
Run = Callable[[Mapping[str, Array]], dict[str, Array]]

NAMES = ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder")
PROMPTS = "mask_decoder_prompts"
# The input whose first dim tells how many objects one call of the module takes.
BATCHED_INPUT = {
    "mask_decoder": "image_embed",
    "mask_decoder_prompts": "image_embed",
    "memory_attention": "memory_1",
    "memory_encoder": "mask_for_mem",
}


@dataclass(frozen=True)
class Modules:
    """The four networks of one model. Inputs and outputs are named and shaped as verify/interface/sam2.toml says.

    image_size   S of the square input, pixels
    batch        for each module that works on objects: how many a call takes, or None for any number
    metadata     what the exporter wrote (keys as in verify.interface.recognise.read_metadata); empty for foreign files
    mask_decoder_prompts, mask_downsample
                 the decoder with mask prompts where there is one; and 16 weights and a bias, float32 [17], of the
                 convolution that turns a mask prompt into its `mask_input`
    """

    image_encoder: Run
    mask_decoder: Run
    memory_attention: Run
    memory_encoder: Run
    image_size: int
    batch: Mapping[str, int | None]
    metadata: Mapping[str, str] = field(default_factory=dict)
    mask_decoder_prompts: Run | None = None
    mask_downsample: Array | None = None


def load(folder: Path, threads: int = 0, *, memory: bool = True, provider: str = "cpu") -> Modules:
    """Open the ONNX files of `folder` with onnxruntime; `threads` 0 leaves their number to onnxruntime.

    provider   "cpu", "cuda" or "tensorrt"

    Without `memory` the two files that only a second frame needs are not opened. Raises SurgeonError when a file is
    missing or onnxruntime cannot read it, MissingBackend when the provider is not there.
    """
    names = [name for name in NAMES if memory or not name.startswith("memory")]
    prompts = [PROMPTS] if (folder / f"{PROMPTS}.onnx").is_file() else []
    sessions = {name: _session(folder / f"{name}.onnx", threads, provider) for name in (*names, *prompts)}
    image = next(port for port in sessions["image_encoder"].get_inputs() if port.name == "image")
    if not isinstance(image.shape[-1], int):
        raise SurgeonError(f"{folder / 'image_encoder.onnx'}: the size of 'image' is not fixed: {image.shape}")
    encoder = sessions["image_encoder"].get_modelmeta().custom_metadata_map
    if f"{METADATA_PREFIX}preprocessing" in encoder:
        raise SurgeonError(
            f"{folder}: the image encoder is for DeepStream's preprocessing; take the one it was made from"
        )
    written = sessions["mask_decoder"].get_modelmeta().custom_metadata_map
    metadata = {k.removeprefix(METADATA_PREFIX): v for k, v in written.items() if k.startswith(METADATA_PREFIX)}
    return Modules(
        **{name: _no_memory for name in NAMES if name not in names},
        **{name: _runner(session) for name, session in sessions.items()},
        image_size=image.shape[-1],
        batch={name: _batch(sessions[name], port) for name, port in BATCHED_INPUT.items() if name in sessions},
        metadata=metadata,
        mask_downsample=_mask_downsample(sessions[PROMPTS], folder) if prompts else None,
    )


def _no_memory(inputs: Mapping[str, Array]) -> dict[str, Array]:
    raise SurgeonError("the files were opened for a single image, without memory")


def _mask_downsample(session: Any, folder: Path) -> Array:
    text = session.get_modelmeta().custom_metadata_map.get(f"{METADATA_PREFIX}mask_downsample", "")
    values = np.array(text.split(), np.float32)
    if values.shape != (17,):
        raise SurgeonError(f"{folder / PROMPTS}.onnx: no metadata `mask_downsample`; export it again with --prompts")
    return values


def _session(path: Path, threads: int, provider: str) -> Any:
    if not path.is_file():
        raise SurgeonError(f"{path}: no such file; the tracker needs {', '.join(f'{name}.onnx' for name in NAMES)}")
    return open_session(path, threads, provider)


def _runner(session: Any) -> Run:
    names = [port.name for port in session.get_outputs()]
    wanted = [port.name for port in session.get_inputs()]

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        # An input that a folding tool dropped (cond_frame_id_diff of a 2.0 model, say) is not passed.
        values = session.run(names, {name: inputs[name] for name in wanted})
        return dict(zip(names, values, strict=True))

    return run


def _batch(session: Any, name: str) -> int | None:
    for port in session.get_inputs():
        if port.name == name:
            return port.shape[0] if isinstance(port.shape[0], int) else None
    raise SurgeonError(f"the model has no input {name!r}; are these the files of SAM2?")
