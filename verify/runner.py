"""Run a model on named inputs: onnxruntime first, onnx.reference where that cannot, failures returned as data.

session = open_session("model.onnx")
run = session.run({"x": array})
run.error or run.outputs["y"]
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError

if TYPE_CHECKING:
    import onnx

BACKENDS = ("auto", "onnxruntime", "reference")
Model = Any  # a path, serialized bytes, or onnx.ModelProto


@dataclass(frozen=True)
class Run:
    """What one call gave: outputs by name in graph order, or `error` in one line and no outputs."""

    outputs: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    backend: str = ""
    seconds: float = 0.0


class Halt:
    """How one thread tells a run in another to end: `ask` stops it, and those that begin after it."""

    def __init__(self) -> None:
        self.asked = False
        self.limits: Any = None

    def ask(self) -> None:
        self.asked = True
        if self.limits is not None:
            self.limits.terminate = True

    def watch(self, limits: Any) -> None:
        """Let `limits`, the RunOptions of a run that is to begin, obey."""
        self.limits = limits
        limits.terminate = self.asked


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


def one_line(error: BaseException, width: int = 300) -> str:
    """Kind and message of an exception on one line, cut to `width` characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:width]


def open_session(
    model: Model,
    *,
    backend: str = "auto",
    optimize: bool = False,
    threads: int = 1,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    base_dir: str | os.PathLike[str] | None = None,
    shared_memory: bool = False,
) -> Session:
    """Make a model ready to run.

    Args:
        model: path, serialized bytes or ModelProto; above 2 GB it must be a path.
        backend: "onnxruntime", "reference" (slow), or "auto": the second where the first cannot load the model.
        optimize: let onnxruntime rewrite the graph; off, so that each node computes what the file says.
        threads: of onnxruntime; one gives the same sums every time.
        base_dir: folder of external data when `model` is not a path.
        shared_memory: take working memory from one arena for all sessions that do, which keeps it: quicker for the
            second of two models, and less in all than an arena each.

    Raises:
        SurgeonError: `backend` is not one of `BACKENDS`.
    """
    if backend not in BACKENDS:
        raise SurgeonError(f"unknown backend '{backend}'; choose one of {', '.join(BACKENDS)}")
    errors = []
    if backend in ("auto", "onnxruntime"):
        session = _attempt(
            "onnxruntime", lambda: _onnxruntime(model, optimize, threads, providers, base_dir, shared_memory)
        )
        if not session.error or backend == "onnxruntime":
            return session
        errors.append(f"onnxruntime: {session.error}")
    session = _attempt("onnx.reference", lambda: _reference(model, base_dir))
    if session.error:
        session.error = "; ".join([*errors, f"onnx.reference: {session.error}"])
    return session


def _attempt(name: str, make: Any) -> Session:
    try:
        return Session(name, make())
    except Exception as error:
        return Session(name, error=one_line(error))


@cache
def _arena() -> bool:
    """Make the arena that sessions may share; whether there is one."""
    import onnxruntime as ort

    try:
        kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(kind, None)
    except Exception:
        return False
    return True


def _onnxruntime(
    model: Model,
    optimize: bool,
    threads: int,
    providers: Sequence[str],
    base_dir: str | os.PathLike[str] | None,
    shared_memory: bool,
) -> Any:
    import onnxruntime as ort

    shared = shared_memory and _arena()
    options = _session_options(optimize, threads, shared)
    if base_dir is not None and not isinstance(model, (str, Path)):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(base_dir))
    source = model if isinstance(model, bytes) else str(model) if isinstance(model, (str, Path)) else None
    session = ort.InferenceSession(source or model.SerializeToString(), options, providers=list(providers))
    types = {value.name: value.type for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    exotic = any(_bits(value.type) for value in (*session.get_inputs(), *session.get_outputs()))

    def call(inputs: Mapping[str, Any], timeout: float | None, halt: Halt, last: bool) -> dict[str, Any]:
        limits = ort.RunOptions()
        limits.log_severity_level = 4
        halt.watch(limits)
        if last and shared:
            limits.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with _ended_after(timeout, limits):
            if not exotic:
                return dict(zip(names, session.run(names, dict(inputs), limits), strict=True))
            feeds = {name: _to_ort(value, types.get(name, "")) for name, value in inputs.items()}
            return dict(zip(names, map(_from_ort, session.run_with_ort_values(names, feeds, limits)), strict=True))

    return call


def _session_options(optimize: bool, threads: int, shared: bool) -> Any:
    """One thread at a time per operator, no talk, and with `shared` the memory of the common arena."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if shared:
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    return options


@contextmanager
def _ended_after(timeout: float | None, limits: Any) -> Iterator[None]:
    """Have the run that obeys `limits` (onnxruntime's RunOptions) end itself past `timeout` seconds."""
    if not timeout:
        yield
        return
    watch = threading.Timer(timeout, lambda: setattr(limits, "terminate", True))
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _bits(ort_type: str) -> str:
    """The ml_dtypes name of a tensor type that NumPy lacks ("tensor(bfloat16)" -> "bfloat16"), else ""."""
    name = ort_type.removeprefix("tensor(").removesuffix(")")
    small = {"float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2"}
    small |= {"float8e5m2fnuz": "float8_e5m2fnuz", "bfloat16": "bfloat16", "int4": "int4", "uint4": "uint4"}
    return small.get(name, "")


def _to_ort(value: Any, ort_type: str) -> Any:
    import numpy as np
    import onnx
    import onnxruntime as ort

    kind = _bits(ort_type)
    if not kind:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
    number = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    raw = np.ascontiguousarray(value).view(np.uint16 if value.dtype.itemsize == 2 else np.uint8)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, number)


def _from_ort(value: Any) -> Any:
    import ctypes

    import ml_dtypes
    import numpy as np

    kind = _bits(value.data_type())
    if not kind:
        return value.numpy()
    if kind.endswith("int4"):
        raise TypeError("onnxruntime hands out no 4-bit outputs")
    memory = (ctypes.c_char * value.tensor_size_in_bytes()).from_address(value.data_ptr())
    return np.frombuffer(bytes(memory), np.dtype(getattr(ml_dtypes, kind))).reshape(value.shape())


def _reference(model: Model, base_dir: str | os.PathLike[str] | None) -> Any:
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    deadline = [float("inf")]
    halted = [Halt()]

    class Watched(ReferenceEvaluator):  # type: ignore[misc]
        """Looks at the clock before each node, where the evaluator calls its log."""

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
        return onnx.load(model)
    else:
        proto = onnx.ModelProto()
        proto.CopyFrom(model)
    if base_dir is not None:
        onnx.external_data_helper.load_external_data_for_model(proto, str(base_dir))
    return proto
