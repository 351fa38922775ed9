"""Reads what TensorRT's builder logged about an engine built with detailed profiling.

After `Layers:` the builder writes one line per kernel: `Name`, `LayerType`, `Inputs`, `Constants` and `Outputs` with
dims and types, and in `Metadata` the ONNX nodes the kernel came from. Memory totals stand in lines before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SYNCHRONISATION = frozenset({"signal", "wait"})
FUSED_ATTENTION = re.compile(r"_gemm_mha")
LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], Constants: \[(?P<constants>.*?)\], "
    r"Outputs: \[(?P<outputs>.*?)\], TacticName: .*?, StreamId: -?\d+.*?Metadata: (?P<metadata>.*)$",
    re.DOTALL,
)
TENSOR = re.compile(r"\{ Name: (.*?), Dimensions: \[([-\d,]*)\].*?, Datatype: (\w+),")
SOURCE = re.compile(r"\[ONNX Layer: (.*?)\](?=\x1f|\[|$)")
MEMORY = {
    "scratch": re.compile(r"Max Scratch Memory: (\d+)"),
    "weights": re.compile(r"Total Weights Memory: (\d+)"),
    "activations": re.compile(r"Total Activation Memory: (\d+)"),
}
BYTES = {"Half": 2, "BFloat16": 2, "BF16": 2, "Int8": 1, "UInt8": 1, "Bool": 1, "Int64": 8, "FP8": 1}
FLOATS = {"Float": "fp32", "Half": "fp16", "BFloat16": "bf16", "BF16": "bf16", "FP8": "fp8"}


@dataclass(frozen=True)
class Tensor:
    """A tensor between kernels: TensorRT's name, dims, TensorRT's name of its type, bytes."""

    name: str
    dims: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Dims times size of an element, without padding."""
        size = BYTES.get(self.dtype, 4)
        for dim in self.dims:
            size *= max(dim, 0)
        return size


@dataclass(frozen=True)
class Kernel:
    """One kernel of the engine; `sources` are the ONNX nodes it was made of."""

    name: str
    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    sources: tuple[str, ...]

    @property
    def fused_attention(self) -> bool:
        """Whether both products and the softmax of an attention run in this one kernel."""
        return FUSED_ATTENTION.match(self.name) is not None

    @property
    def precision(self) -> str:
        """Floating types it reads and writes ("fp32", "fp16", "bf16"), joined by "+" where mixed; else "integer"."""
        found = {FLOATS[tensor.dtype] for tensor in (*self.inputs, *self.outputs) if tensor.dtype in FLOATS}
        return "+".join(sorted(found)) or "integer"


def kernels(lines: Iterable[str]) -> list[Kernel]:
    """The kernels of the last engine in the log, in order of execution, synchronisation left out."""
    found: list[Kernel] = []
    for line in "\n".join(lines).split("\n"):
        if line.startswith("Layers:"):
            found = []
        match = LAYER.match(line)
        if match and match["kind"] not in SYNCHRONISATION:
            found.append(_kernel(match))
    return found


def _kernel(match: re.Match[str]) -> Kernel:
    inputs, outputs = (_tensors(match[side]) for side in ("inputs", "outputs"))
    return Kernel(match["name"], match["kind"], inputs, outputs, tuple(SOURCE.findall(match["metadata"])))


def _tensors(text: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, tuple(int(dim) for dim in dims.split(",") if dim), dtype)
        for name, dims, dtype in TENSOR.findall(text)
    )


def memory(lines: Iterable[str]) -> dict[str, int]:
    """Bytes of scratch, weights and activations as the builder last said them; 0 where it said nothing."""
    text = "\n".join(lines)
    return {name: int((pattern.findall(text) or ["0"])[-1]) for name, pattern in MEMORY.items()}
