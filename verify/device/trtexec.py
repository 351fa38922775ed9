"""The trtexec of each TensorRT version: its flags, the types of its bindings, and its syntax of shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verify.errors import SurgeonError

PRECISIONS = ("fp32", "fp16")
# Bindings that a headerless file can hold, from the type of the ONNX input. TensorRT narrows double to float.
BINDINGS = {
    "float32": "float32",
    "float64": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "int64": "int64",
    "int32": "int32",
    "int8": "int8",
    "uint8": "uint8",
    "bool": "bool",
}
# Names of types in the file names of raw dumps, in 8.x and later.
RAW_TYPES = {
    "Float": "float32",
    "Half": "float16",
    "Int8": "int8",
    "Int32": "int32",
    "UInt8": "uint8",
    "Bool": "bool",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "int8": "int8",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "bool": "bool",
}


@dataclass(frozen=True)
class Shape:
    """The value of an input in a shape flag: its dims, or the values of an input that holds a shape."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Trtexec:
    """trtexec of one TensorRT version, "8.6" to "11.1"."""

    version: str

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version."""
        major, _, minor = self.version.partition(".")
        return int(major), int(minor or 0)

    def binding(self, dtype: str, name: str) -> str:
        """NumPy name of the type in which an input or output of this ONNX type is written to a file.

        Raises:
            SurgeonError: TensorRT has no binding for it.
        """
        if dtype == "int64" and self.number < (10, 0):
            return "int32"
        if dtype not in BINDINGS or (dtype == "bfloat16" and self.number < (9, 0)):
            raise SurgeonError(f"input '{name}' is {dtype}, which TensorRT {self.version} cannot take as an input")
        return BINDINGS[dtype]

    def build(
        self, model: str, engine: str, points: Sequence[Sequence[Shape]], precision: str, typed: bool
    ) -> list[str]:
        """Arguments that build an engine and run nothing.

        Args:
            points: shapes of dynamic inputs at the smallest, usual and largest point; three empty lists where none is
                dynamic, because trtexec refuses shapes for a static model.
            typed: half precision is written into the graph.
        """
        words = [f"--onnx={model}", f"--saveEngine={engine}", "--skipInference", "--profilingVerbosity=detailed"]
        words += [f"--{at}Shapes={self.shapes(p)}" for at, p in zip(("min", "opt", "max"), points, strict=True) if p]
        return [*words, *self.precision(precision, typed), "--exportLayerInfo=layers.json"]

    def precision(self, precision: str, typed: bool) -> list[str]:
        """Flags of a precision. Without --noTF32, float32 products are computed with 10 bits of mantissa.

        Raises:
            SurgeonError: this version has no such flag, or the file already says which nodes are in half precision.
        """
        if precision == "fp32":
            strongly = typed and (9, 3) <= self.number < (11, 0)
            return ["--noTF32", *(["--stronglyTyped"] if strongly else [])]
        if self.number >= (11, 0):
            raise SurgeonError(
                f"TensorRT {self.version} has no --fp16; lower the file itself: surgeon fix --precision mixed"
            )
        if typed:
            raise SurgeonError("the file itself has half precision in it; leave out --precision fp16")
        return ["--fp16", "--noTF32"]

    def run(self, engine: str, shapes: Sequence[Shape], inputs: Mapping[str, str]) -> list[str]:
        """Arguments that load an engine and run it on the files of one case.

        Up to 10.16 a profile in the same run as the timing keeps times.json from being written. From 11.0 on, outputs
        are not copied back unless transfers are asked for.
        """
        words = [f"--loadEngine={engine}", *([f"--shapes={self.shapes(shapes)}"] if shapes else [])]
        if inputs:
            words.append("--loadInputs=" + ",".join(f"{name}:{file}" for name, file in inputs.items()))
        words += ["--exportOutput=output.json", "--dumpRawBindingsToFile", "--exportTimes=times.json"]
        words += ["--exportProfile=profile.json", "--exportLayerInfo=layers.json", "--profilingVerbosity=detailed"]
        return [*words, "--includeDataTransfers" if self.number >= (11, 0) else "--separateProfileRun"]

    def shapes(self, shapes: Sequence[Shape]) -> str:
        """`x:1x3x8x8,ids:1x77`; a scalar is `scalar` from 10.0 on and empty before."""
        scalar = "scalar" if self.number >= (10, 0) else ""
        return ",".join(f"{shape.name}:{'x'.join(map(str, shape.values)) or scalar}" for shape in shapes)


def trtexec_of(version: str) -> Trtexec:
    """trtexec of a version such as "10.9".

    Raises:
        SurgeonError: not a version, or older than 8.6, whose trtexec writes no raw outputs.
    """
    found = Trtexec(version)
    if not re.fullmatch(r"\d+(\.\d+)?", version) or not (8, 6) <= found.number < (12, 0):
        raise SurgeonError(f"no trtexec of TensorRT '{version}' is known here; 8.6 to 11 are")
    return found


def require_sayable(name: str) -> None:
    """Raise SurgeonError for the name of an input that no trtexec argument can hold."""
    if "," in name or "'" in name or not name.isprintable():
        raise SurgeonError(f"input '{name}': trtexec cannot be given a name with a comma or a quote; rename the input")


def array_type(name: str) -> Any:
    """NumPy type of a name, also of those that NumPy gets from ml_dtypes."""
    import ml_dtypes
    import numpy as np

    return np.dtype(getattr(ml_dtypes, name) if name == "bfloat16" else name)
