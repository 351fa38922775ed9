"""Reads from a real build how TensorRT compiles a model: kernels, fused attention, precision and memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError
from verify.model.read import read_model
from verify.tensorrt import engine as tensorrt
from verify.tensorrt.attention import Attention, find_attentions, obstacle
from verify.tensorrt.log import Kernel, kernels, memory

if TYPE_CHECKING:
    import onnx

# The generation names people use, and the compute capability that stands for each.
GENERATIONS = {"turing": "SM75", "ampere": "SM86", "ada": "SM89", "blackwell": "SM120"}
CAPABILITIES = ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
LARGEST = 10


@dataclass(frozen=True)
class FusedOrNot:
    """One attention of the ONNX file and whether it is fused; `why` says why not."""

    attention: Attention
    fused: bool
    why: str = ""

    @property
    def name(self) -> str:
        """Where it stands: the branch and the node that makes its weights or, for the operator, the node."""
        nodes = self.attention.nodes
        return self.attention.path + nodes[len(nodes) // 2]


@dataclass(frozen=True)
class Compiled:
    """What a build gave. Everything but `seconds` is the same each time the same file is built.

    kinds       number of kernels of each of TensorRT's layer types
    precisions  number of kernels by the floating types they read and write
    largest     (source, dims, type, bytes) of the largest tensors between kernels, largest first
    scratch, weights, engine   bytes
    guessed     the sizes in `profiles` were guessed, because nobody gave them
    """

    model: str
    capability: str
    backend: str
    ok: bool
    messages: tuple[str, ...] = ()
    kernels: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    precisions: Mapping[str, int] = field(default_factory=dict)
    attentions: tuple[FusedOrNot, ...] = ()
    fused_kernels: int = 0
    scratch: int = 0
    weights: int = 0
    engine: int = 0
    largest: tuple[tuple[str, tuple[int, ...], str, int], ...] = ()
    profiles: Mapping[str, Any] = field(default_factory=dict)
    guessed: bool = False
    seconds: float = 0.0

    @property
    def fused(self) -> int:
        """Attentions of the ONNX file that run as one kernel."""
        return sum(found.fused for found in self.attentions)


def capability(gpu: str) -> str:
    """Compute capability of a GPU generation ("ada") or of itself ("sm89", "8.9").

    Raises:
        SurgeonError: no such generation.
    """
    name = gpu.lower()
    wanted = GENERATIONS.get(name, "SM" + name.removeprefix("sm").replace(".", "").replace("_", ""))
    if wanted not in CAPABILITIES:
        known = ", ".join([*GENERATIONS, *(c.lower() for c in CAPABILITIES)])
        raise SurgeonError(f"unknown GPU '{gpu}'; choose one of {known}")
    return wanted


def compile_model(
    path: str | Path,
    profiles: tensorrt.Profiles | None = None,
    gpu: str = "ada",
    engine: str | Path | None = None,
) -> Compiled:
    """Build the ONNX file at `path` for `gpu` and say what came of it.

    Args:
        profiles: {input: (min, opt, max)} of the dynamic inputs; None: the sizes are guessed.
        engine: file to keep the engine in.

    Raises:
        MissingBackend: TensorRT is not installed.
        SurgeonError: no such file, or no such GPU.
    """
    target = capability(gpu)
    started = time.perf_counter()
    built = tensorrt.build(path, profiles, target, detailed=True, engine=engine)
    seconds = time.perf_counter() - started
    if built.ok:
        return _read(Path(path), target, built, seconds)
    messages = (*map(_refusal_text, built.refusals), *built.messages)
    profiles, guessed = ({}, False) if built.refusals else (built.profiles, _guessed(built))
    refused = Compiled(Path(path).name, target, tensorrt.version(), False, messages, seconds=seconds)
    return replace(refused, profiles=profiles, guessed=guessed)


def _guessed(built: tensorrt.BuildResult) -> bool:
    return built.derived and bool(built.profiles)


def _refusal_text(refusal: tensorrt.Refusal) -> str:
    """`Foo 'name': message`, without what TensorRT leaves empty."""
    place = " ".join(filter(None, (refusal.op, f"'{refusal.node_name}'" if refusal.node_name else "")))
    message = "TensorRT gives no reason" if refusal.message in ("", "false") else refusal.message
    return f"{place}: {message}" if place else message


def _read(path: Path, target: str, built: tensorrt.BuildResult, seconds: float) -> Compiled:
    """The figures of a build that went through, from its log."""
    found = kernels(built.log)
    sizes = memory(built.log)
    return Compiled(
        model=path.name,
        capability=target,
        backend=tensorrt.version(),
        ok=True,
        kernels=len(found),
        kinds=_counts(kernel.kind for kernel in found),
        precisions=_counts(kernel.precision for kernel in found),
        attentions=_judge(read_with_shapes(path, built.profiles), found),
        fused_kernels=sum(kernel.fused_attention for kernel in found),
        scratch=sizes["scratch"],
        weights=sizes["weights"],
        engine=built.engine_bytes,
        largest=_largest(found),
        profiles=built.profiles,
        guessed=_guessed(built),
        seconds=seconds,
    )


def _counts(values: Any) -> dict[str, int]:
    counted = Counter(values)
    return {name: counted[name] for name in sorted(counted, key=lambda name: (-counted[name], name))}


def read_with_shapes(path: str | Path, profiles: Mapping[str, Any]) -> onnx.ModelProto:
    """The model with the shapes and types of its tensors inferred at the usual size of `profiles`, weights left out."""

    from verify.model.infer import infer_types

    model = read_model(path)
    for value in model.graph.input:
        points = profiles.get(value.name)
        dims = value.type.tensor_type.shape.dim
        if points is not None and len(points[1]) == len(dims):
            for dim, size in zip(dims, points[1], strict=True):
                dim.dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim):
            value.type.tensor_type.ClearField("shape")
    return infer_types(model)


def _judge(model: onnx.ModelProto, found: list[Kernel]) -> tuple[FusedOrNot, ...]:
    """Each attention of the model with whether some fused kernel was made from its nodes."""
    sources = [frozenset(kernel.sources) for kernel in found if kernel.fused_attention]
    judged = []
    for attention in find_attentions(model):
        fused = any(source & {attention.nodes[-1]} or len(source & set(attention.nodes)) > 1 for source in sources)
        why = "" if fused else obstacle(attention) or "TensorRT chose separate kernels; nothing known forbids fusing it"
        judged.append(FusedOrNot(attention, fused, why))
    return tuple(judged)


def _largest(found: list[Kernel]) -> tuple[tuple[str, tuple[int, ...], str, int], ...]:
    """The largest tensors some kernel writes and another reads, named by the ONNX node they came from."""
    read = {tensor.name for kernel in found for tensor in kernel.inputs}
    rows: dict[str, tuple[str, tuple[int, ...], str, int]] = {}
    for kernel in found:
        for tensor in kernel.outputs:
            if tensor.name in read:
                source = kernel.sources[0] if kernel.sources else kernel.kind
                rows.setdefault(tensor.name, (source, tensor.dims, tensor.dtype, tensor.bytes))
    return tuple(sorted(rows.values(), key=lambda row: (-row[3], row[0], row[1]))[:LARGEST])
