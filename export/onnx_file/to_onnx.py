"""One wrapper to one ONNX file: names, order and dynamic dims come from the spec."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError
from verify.interface.spec import Port, Spec

if TYPE_CHECKING:
    import onnx
    import torch

OPSET = 18
TORCH_OPSET = 18  # torch's exporter writes no older one
OPSETS = range(17, 26)
EXAMPLE = {"objects": 2, "points": 3, "frames": 2, "pointers": 5}


def to_onnx(wrapper: torch.nn.Module, spec: Spec, path: Path, *, opset: int = OPSET, dynamo: bool = True) -> None:
    """Export `wrapper` to `path` with the inputs, outputs and symbols of `spec`.

    `dynamo=False` uses torch's older, tracing exporter, which knows opsets up to 20. Raises SurgeonError for
    an opset out of range.
    """
    import torch

    check_opset(opset)
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = example_inputs(spec)
    options: dict[str, Any]
    if dynamo:
        shapes = tuple(named_axes(p) for p in spec.inputs)
        options = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
    else:
        axes = {p.name: named_axes(p) for p in (*spec.inputs, *spec.outputs)}
        options = {"dynamic_axes": {name: dims for name, dims in axes.items() if dims}}
    with quiet(), torch.no_grad():
        torch.onnx.export(
            wrapper,
            tuple(inputs.values()),
            str(path),
            opset_version=max(opset, TORCH_OPSET) if dynamo else opset,
            dynamo=dynamo,
            input_names=[p.name for p in spec.inputs],
            output_names=[p.name for p in spec.outputs],
            **options,
        )
    if dynamo and opset < TORCH_OPSET:
        _lower_opset(path)


def _lower_opset(path: Path) -> None:
    import onnx

    from export.onnx_file.opset import to_opset_17

    model = onnx.load(str(path))
    to_opset_17(model)
    onnx.save(model, str(path))


def check_opset(opset: int) -> None:
    """Raise SurgeonError unless the exporter can write this opset."""
    if opset not in OPSETS:
        raise SurgeonError(f"opset {opset} is out of range; choose {OPSETS[0]} to {OPSETS[-1]}")


def named_axes(port: Port) -> dict[int, str]:
    """Axis to symbol for the dims of a port that change from call to call."""
    return {axis: dim for axis, dim in enumerate(port.dims) if isinstance(dim, str)}


def example_inputs(spec: Spec, seed: int = 0, **symbols: int) -> dict[str, torch.Tensor]:
    """Random inputs of the spec's shapes by name; point labels are drawn from -1, 0, 1, 2, 3."""
    import torch

    shapes = spec.shapes(**{**{k: v for k, v in EXAMPLE.items() if k in spec.symbols()}, **symbols})
    generator = torch.Generator().manual_seed(seed)
    inputs = {p.name: torch.randn(shapes[p.name], generator=generator) for p in spec.inputs}
    for name, value in inputs.items():
        if name == "point_labels":
            inputs[name] = torch.randint(-1, 4, value.shape, generator=generator).float()
        elif name == "point_coords":
            inputs[name] = (value.abs() * 100).clamp(max=1000)
        elif name == "cond_frame_id_diff":
            inputs[name] = torch.tensor(5.0)
        elif name == "has_mask_input":
            inputs[name] = (torch.arange(value.shape[0]) % 2 == 0).float()
    return inputs


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence torch's exporter: warnings, its log and what it prints."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def name_constant_outputs(model: onnx.ModelProto) -> None:
    """Give each output that is a bare initializer an Identity node.

    torch's exporter makes an output that depends on no input the initializer itself. That is valid ONNX, but tools
    that keep outputs by their producing node lose it.
    """
    outputs = {value.name for value in model.graph.output}
    for tensor in model.graph.initializer:
        if tensor.name not in outputs:
            continue
        output, tensor.name = tensor.name, f"{tensor.name}_value"
        for node in model.graph.node:
            node.input[:] = [tensor.name if name == output else name for name in node.input]
        model.graph.node.add(op_type="Identity", name=f"{output}_constant", input=[tensor.name], output=[output])
