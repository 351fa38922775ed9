"""Prepares onnxruntime for one model: session options, a time limit, and number types that NumPy lacks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from verify.errors import MissingBackend
from verify.run.timeouts import Halt, run_within


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


def ready(
    model: Any,
    optimize: bool,
    threads: int,
    providers: Sequence[str],
    base_dir: str | os.PathLike[str] | None,
    shared_memory: bool,
    in_order: bool,
) -> Any:
    """The function that runs the model; arguments as those of `open_session`, errors as onnxruntime raises them.

    Raises:
        MissingBackend: a provider is not there, or cannot run here (CUDA without a GPU).
    """
    import onnxruntime as ort

    shared = shared_memory and _arena()
    options = _session_options(optimize, threads, shared)
    if in_order:
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    if base_dir is not None and not isinstance(model, (str, Path)):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(base_dir))
    source = model if isinstance(model, bytes) else str(model) if isinstance(model, (str, Path)) else None
    _require(providers, ort.get_available_providers())
    session = ort.InferenceSession(source or model.SerializeToString(), options, providers=list(providers))
    _require(providers, session.get_providers())
    types = {value.name: value.type for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    exotic = any(_bits(value.type) for value in (*session.get_inputs(), *session.get_outputs()))

    def call(inputs: Mapping[str, Any], timeout: float | None, halt: Halt, last: bool) -> dict[str, Any]:
        limits = ort.RunOptions()
        limits.log_severity_level = 4
        halt.watch(limits)
        if last and shared:
            limits.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return run_within(timeout, lambda: run(inputs, limits), lambda: setattr(limits, "terminate", True))

    def run(inputs: Mapping[str, Any], limits: Any) -> dict[str, Any]:
        if not exotic:
            return dict(zip(names, session.run(names, dict(inputs), limits), strict=True))
        feeds = {name: _to_ort(value, types.get(name, "")) for name, value in inputs.items()}
        return dict(zip(names, map(_from_ort, session.run_with_ort_values(names, feeds, limits)), strict=True))

    return call


def _require(providers: Sequence[str], present: Sequence[str]) -> None:
    """Raise MissingBackend where a provider is absent: onnxruntime would silently run everything on the CPU."""
    for name in providers:
        if name not in present:
            raise MissingBackend(f"onnxruntime has no {name} here; it has {', '.join(present)}")


def _session_options(optimize: bool, threads: int, shared: bool) -> Any:
    """Session options: one operator at a time, no log output, and with `shared` the memory of the common arena."""
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
        raise TypeError("onnxruntime does not return 4-bit outputs")
    memory = (ctypes.c_char * value.tensor_size_in_bytes()).from_address(value.data_ptr())
    return np.frombuffer(bytes(memory), np.dtype(getattr(ml_dtypes, kind))).reshape(value.shape())
