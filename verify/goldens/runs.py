"""The runs from which tolerances are measured: each changes one thing that should not change the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.inputs.seeded import draw
from verify.run.session import Session, open_session

if TYPE_CHECKING:
    import onnx

# Models with more bytes of weights are not loaded to move their weights by a rounding step.
MOST_WEIGHTS = 500 << 20
WEIGHTS = "weights off by one rounding step"
# Runs in which all values between two steps of a quantisation go the same way, further than rounding could move them.
TIES = ("ties of a quantisation up", "ties of a quantisation down")
TIE = 2.0**-21
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")


@dataclass(frozen=True)
class Way:
    """One way to run a model. `default` is as onnxruntime runs it by default, otherwise each node as it is written."""

    label: str
    open: Callable[[], Session]
    default: bool


def other_ways(path: Path, model: onnx.ModelProto) -> Iterator[Way]:
    """Ways to run a model besides unoptimised on one thread."""
    yield Way("2 threads", lambda: open_session(path, threads=2), False)
    if _weight_bytes(path, model) <= MOST_WEIGHTS:
        yield Way(WEIGHTS, lambda: open_session(_nudged_weights(onnx_of(path))), False)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            yield Way(TIES[0], lambda: open_session(_moved_ties(path, 1 + TIE)), False)
            yield Way(TIES[1], lambda: open_session(_moved_ties(path, 1 - TIE)), False)
    yield Way("optimisations on", lambda: open_session(path, optimize=True), True)
    yield Way("optimisations and 2 threads", lambda: open_session(path, optimize=True, threads=2), True)


def _weight_bytes(path: Path, model: onnx.ModelProto) -> int:
    from verify.model.external import external_files

    return path.stat().st_size + sum(file.stat().st_size for file in external_files(path, model))


def onnx_of(path: Path) -> onnx.ModelProto:
    """The model with its weights."""
    import onnx

    return onnx.load(path)


def unrounded_models(path: Path, model: onnx.ModelProto) -> tuple[bytes, bytes] | None:
    """An eight-bit model without its rounding, and the same with weights and zero points rounded in another way."""
    from verify.run.unrounded import quantizers, without_rounding

    if not quantizers(model) or _weight_bytes(path, model) > MOST_WEIGHTS:
        return None
    content = onnx_of(path)
    plain, moved = (without_rounding(content, through_zero) for through_zero in (False, True))
    return None if plain is None or moved is None else (plain.SerializeToString(), _nudged_weights(moved))


def _nudged_weights(model: onnx.ModelProto) -> bytes:
    """The model with every fraction among its weights moved to a neighbouring number of its type; changes `model`."""
    import onnx
    from onnx import numpy_helper

    from verify.model.walk import tensors

    types = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    for number, tensor in enumerate(tensors(model)):
        if tensor.data_type in types:
            moved = nudge({f"weights/{number}": numpy_helper.to_array(tensor)})
            tensor.CopyFrom(numpy_helper.from_array(*moved.values(), tensor.name))
    content: bytes = model.SerializeToString()
    return content


def _moved_ties(path: Path, factor: float) -> bytes:
    """The model with everything that is quantised multiplied by `factor`, so that all values between two steps move.

    Averages of quantised values often lie right between two steps; which one they get depends on the last bit.
    """
    import onnx
    from onnx import helper

    model = onnx_of(path)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    nodes = []
    for number, node in enumerate(model.graph.node):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type == "QuantizeLinear":
            moved = f"surgeon_moved_{number}"
            kind = types.get(node.input[1], onnx.TensorProto.FLOAT)
            model.graph.initializer.append(helper.make_tensor(f"{moved}_factor", kind, [], [factor]))
            nodes.append(helper.make_node("Mul", [node.input[0], f"{moved}_factor"], [moved]))
            copy.input[0] = moved
        nodes.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content


def nudge(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with every fraction moved to a neighbouring number of its type; whole numbers, which may be labels, stay.

    Shows how far roundings elsewhere (another processor, another order of sums) can carry.
    """
    moved = {}
    for name, array in inputs.items():
        if array.dtype.kind == "f" and array.size:
            ends = np.asarray([-np.inf, np.inf], array.dtype)
            up = draw("integers", array.shape, "int64", f"nudge/{name}", low=0, high=1)
            array = np.where(array == np.round(array), array, np.nextafter(array, ends[up])).astype(array.dtype)
        moved[name] = array
    return moved


def random_operator(model: onnx.ModelProto) -> str:
    """Operator and name of a node that draws random numbers; empty where there is none."""
    from verify.model.walk import every_node, node_name

    return next((f"{node.op_type} '{node_name(node)}'" for node in every_node(model) if node.op_type in RANDOM), "")


def fused_operators(model: onnx.ModelProto) -> int:
    """How many operators do their arithmetic in eight bits and round once, such as QLinearConv."""
    from verify.model.walk import every_node

    return sum(node.op_type.startswith("QLinear") for node in every_node(model))


def machine() -> str:
    """The processor of this machine, as far as its results are known to depend on it."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
