"""An image encoder that takes DeepStream's preprocessing.

DeepStream normalises a pixel p of channel c as `scale * (p - offset[c])` with one scale for all channels, while
SAM2 was trained with (p / 255 - mean[c]) / std[c]. With the offsets 255 * mean[c] the two differ by one factor a
channel, which belongs into the weights of the first convolution: its zero padding stays zero. Other offsets
leave a constant as well, which has to be added before the padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.tracking.images import MEAN, STD
from export.tracking.modules import Array
from surgery.files.model_file import Pending
from verify.errors import CheckFailed, SurgeonError
from verify.interface.recognise import write_metadata
from verify.model.read import read_model

# As shipped in config_tracker_module_Segmenter.yml of DeepStream 9.
SCALE = 0.0174
OFFSETS = (123.675, 116.28, 103.53)
ENCODER_FILE = "image_encoder_deepstream.onnx"
# Both encoders run in float32 with weights that differ in their last bit; largest difference over largest output.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Preprocessing:
    """What DeepStream does to a pixel: scale * (p - offset[c])."""

    scale: float = SCALE
    offsets: tuple[float, float, float] = OFFSETS

    def __call__(self, pixels: Array) -> Array:
        """uint8 RGB [H, W, 3] to float32 [1, 3, H, W]."""
        values = (pixels.astype(np.float32) - np.array(self.offsets, np.float32)) * np.float32(self.scale)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def fold_preprocessing(model: onnx.ModelProto, preprocessing: Preprocessing) -> onnx.ModelProto:
    """A copy of an image encoder whose `image` is what DeepStream's preprocessing gives.

    Raises SurgeonError unless `image` goes straight (but for casts) into one convolution with stored weights.
    """
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    convolution = _first_convolution(edited.graph)
    stored = next((tensor for tensor in edited.graph.initializer if tensor.name == convolution.input[1]), None)
    if stored is None:
        raise SurgeonError("the weights of the first convolution are not stored in the file; run surgeon fix first")
    factor = 1 / (255 * np.array(STD) * preprocessing.scale)
    weights = numpy_helper.to_array(stored)
    scaled = (weights.astype(np.float64) * factor[None, :, None, None]).astype(weights.dtype)
    name = f"{stored.name}_deepstream"
    edited.graph.initializer.append(numpy_helper.from_array(scaled, name))
    convolution.input[1] = name
    if not any(stored.name in node.input for node in edited.graph.node):
        edited.graph.initializer.remove(stored)
    # What is left over when an offset is not 255 * mean, in the units of the preprocessed image.
    rest = preprocessing.scale * (np.array(preprocessing.offsets) - 255 * np.array(MEAN))
    if np.abs(rest).max() > 1e-6:
        _add_constant(edited.graph, convolution, rest.astype(weights.dtype))
    offsets = ", ".join(f"{offset:g}" for offset in preprocessing.offsets)
    write_metadata(edited, {"preprocessing": f"{preprocessing.scale:g} * (pixel - [{offsets}])"})
    return edited


def _first_convolution(graph: onnx.GraphProto) -> onnx.NodeProto:
    name = "image"
    while True:
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or users[0].op_type not in ("Conv", "Cast", "Identity"):
            found = ", ".join(node.op_type for node in users) or "nothing"
            raise SurgeonError(f"image encoder: {name!r} goes into {found}, not into one convolution")
        if users[0].op_type == "Conv":
            return users[0]
        name = users[0].output[0]


def _add_constant(graph: onnx.GraphProto, convolution: onnx.NodeProto, values: Array) -> None:
    graph.initializer.append(numpy_helper.from_array(values.reshape(1, 3, 1, 1), "deepstream_rest"))
    source, shifted = convolution.input[0], "deepstream_image"
    node = helper.make_node("Add", [source, "deepstream_rest"], [shifted], name="deepstream_shift")
    graph.node.insert(list(graph.node).index(convolution), node)
    convolution.input[0] = shifted


def write_exact_encoder(folder: Path, target: Path, preprocessing: Preprocessing) -> dict[str, dict[str, float]]:
    """Write the edited encoder to `target` if its outputs equal the original's; returns the errors.

    For each output: the largest difference from the original with SAM2's own preprocessing, over the largest
    value, of the original and of the edited encoder with DeepStream's preprocessing. Raises CheckFailed, and
    writes nothing, when the edited one is not within TOLERANCE.
    """
    source = folder / "image_encoder.onnx"
    read_model(source)  # raises if the file is no model, or its external data is missing or outside its folder
    original = onnx.load(str(source))
    edited = fold_preprocessing(original, preprocessing)
    size = int(original.graph.input[0].type.tensor_type.shape.dim[-1].dim_value)
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    exact = (pixels / 255.0 - np.array(MEAN)) / np.array(STD)
    wanted = _run(original, exact.transpose(2, 0, 1)[None].astype(np.float32))
    plain, mended = _run(original, preprocessing(pixels)), _run(edited, preprocessing(pixels))
    errors = {
        name: {"as exported": _error(plain[name], value), "edited": _error(mended[name], value)}
        for name, value in wanted.items()
    }
    worst = max(errors, key=lambda name: errors[name]["edited"])
    if errors[worst]["edited"] > TOLERANCE:
        raise CheckFailed(f"{worst} of the edited encoder is off by {errors[worst]['edited']:.1e}; nothing written")
    with Pending(target) as pending:
        pending.write(edited, folder)
        pending.commit()
    return errors


def _error(value: Array, wanted: Array) -> float:
    return float(np.abs(value - wanted).max() / np.abs(wanted).max())


def _run(model: onnx.ModelProto, image: Array) -> Mapping[str, Array]:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names: Sequence[str] = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))
