"""Run a model on named inputs in onnxruntime, or in onnx.reference if onnxruntime fails; failures are returned as data.

session = open_session("model.onnx")
run = session.run({"x": array})
run.error or run.outputs["y"]
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import MissingBackend, SurgeonError
from verify.model.walk import domain_of, every_node
from verify.run.known_faults import ends_process
from verify.run.messages import one_line
from verify.run.onnxruntime import ready
from verify.run.timeouts import Halt

if TYPE_CHECKING:
    import onnx

__all__ = ["BACKENDS", "Halt", "Run", "Session", "one_line", "open_session", "without_onnxruntime"]

BACKENDS = ("auto", "onnxruntime", "reference")
_missing: list[str] = []
Model = Any  # a path, serialized bytes, or onnx.ModelProto


@dataclass(frozen=True)
class Run:
    """What one call gave: outputs by name in graph order, or `error` in one line and no outputs."""

    outputs: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    backend: str = ""
    seconds: float = 0.0


class Session:
    """A model that is ready to run, or the reason why it is not (`error`)."""

    def __init__(self, backend: str, impl: Any = None, error: str = "") -> None:
        self.backend = backend
        self.error = error
        self.impl = impl

    def run(
        self,
        inputs: Mapping[str, Any],
        *,
        timeout: float | None = None,
        halt: Halt | None = None,
        last: bool = False,
    ) -> Run:
        """Outputs for `inputs` (NumPy arrays, lists for sequences). Past `timeout` seconds the run is an error.

        Args:
            halt: ends the run from another thread, which is then an error too.
            last: give back the memory of the shared arena afterwards.
        """
        if self.error:
            return Run(error=self.error, backend=self.backend)
        started = time.perf_counter()
        try:
            outputs = self.impl(inputs, timeout, halt or Halt(), last)
        except Exception as error:
            return Run(error=one_line(error), backend=self.backend, seconds=time.perf_counter() - started)
        return Run(outputs, backend=self.backend, seconds=time.perf_counter() - started)


def without_onnxruntime(why: str) -> None:
    """Stop `open_session` in this process from using onnxruntime; a session that requires it fails with `why`."""
    _missing.append(why)


def open_session(
    model: Model,
    *,
    backend: str = "auto",
    optimize: bool = False,
    threads: int = 1,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    base_dir: str | os.PathLike[str] | None = None,
    shared_memory: bool = False,
    in_order: bool = False,
) -> Session:
    """Make a model ready to run.

    Args:
        model: path, serialized bytes or ModelProto; above 2 GB it must be a path. Only of a ModelProto it is seen
            beforehand that onnxruntime would end the process (`verify.run.known_faults.ends_process`).
        backend: "onnxruntime", "reference" (slow), or "auto": "reference" only if onnxruntime cannot load it.
        optimize: let onnxruntime rewrite the graph; off, so that each node computes what the file says.
        threads: of onnxruntime; one gives the same sums every time.
        base_dir: folder of external data when `model` is not a path.
        shared_memory: take working memory from an arena that all such sessions share and that keeps its
            memory: the second of two models runs faster, and both need less than with an arena each.
        in_order: run nodes in the order they are written, not in the one onnxruntime prefers.

    Raises:
        SurgeonError: `backend` is not one of `BACKENDS`.
        MissingBackend: a provider is not there, or cannot run here.
    """
    if backend not in BACKENDS:
        raise SurgeonError(f"unknown backend '{backend}'; choose one of {', '.join(BACKENDS)}")
    errors = []
    if backend in ("auto", "onnxruntime"):
        session = _onnxruntime(model, optimize, threads, providers, base_dir, shared_memory, in_order)
        if not session.error or backend == "onnxruntime":
            return session
        errors.append(session.error)
    session = _attempt("onnx.reference", lambda: _reference(model, base_dir))
    if session.error:
        said = [f"onnxruntime: {error}" for error in errors if error != session.error]
        both = "onnxruntime and " if errors and not said else ""
        session.error = "; ".join([*said, f"{both}onnx.reference: {session.error}"])
    return session


def _onnxruntime(*arguments: Any) -> Session:
    if _missing:
        return Session("onnxruntime", error=_missing[0])
    if hasattr(arguments[0], "graph") and (why := ends_process(arguments[0])):
        return Session("onnxruntime", error=why)
    return _attempt("onnxruntime", lambda: ready(*arguments))


def _attempt(name: str, make: Any) -> Session:
    try:
        return Session(name, make())
    except MissingBackend:
        raise
    except Exception as error:
        return Session(name, error=one_line(error))


def _reference(model: Model, base_dir: str | os.PathLike[str] | None) -> Any:
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    deadline = [float("inf")]
    halted = [Halt()]

    class Watched(ReferenceEvaluator):  # type: ignore[misc]
        """Checks the time limit before each node: the evaluator calls its log there."""

        def _log(self, level: int, pattern: str, *args: Any) -> None:
            if time.perf_counter() > deadline[0] or halted[0].asked:
                raise TimeoutError("took longer than allowed")

    evaluator = Watched(_proto(model, base_dir))

    def call(inputs: Mapping[str, Any], timeout: float | None, halt: Halt, last: bool) -> dict[str, Any]:
        halted[0] = halt
        deadline[0] = time.perf_counter() + timeout if timeout else float("inf")
        with np.errstate(all="ignore"):
            values = evaluator.run(None, dict(inputs))
        return dict(zip(evaluator.output_names, values, strict=True))

    return call


def _proto(model: Model, base_dir: str | os.PathLike[str] | None) -> onnx.ModelProto:
    import onnx

    if isinstance(model, bytes):
        proto = onnx.load_from_string(model)
    elif isinstance(model, (str, Path)):
        return _with_plain_domains(onnx.load(model))
    else:
        proto = onnx.ModelProto()
        proto.CopyFrom(model)
    if base_dir is not None:
        onnx.external_data_helper.load_external_data_for_model(proto, str(base_dir))
    return _with_plain_domains(proto)


def _with_plain_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, changed in place where it spells ONNX's own domain "ai.onnx", which onnx.reference does not know."""
    owners = [model, *model.functions]
    for named in (*every_node(model), *(entry for owner in owners for entry in owner.opset_import)):
        if named.domain != domain_of(named.domain):
            named.domain = ""
    return model
