"""Opens the files in onnxruntime on the CPU, with CUDA or with TensorRT; never silently with another provider."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from verify.errors import MissingBackend, SurgeonError

CPU = "CPUExecutionProvider"
# By the name of the option, what onnxruntime is given. A later one runs the operators that an earlier one has not got.
PROVIDERS = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider", CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", CPU),
}


def open_session(path: Path, threads: int, provider: str = "cpu") -> Any:
    """An onnxruntime session; `threads` 0 leaves their number to onnxruntime.

    Raises SurgeonError when onnxruntime cannot read the file; MissingBackend when it has not got the provider, or when
    the provider does not start, for example because there is no GPU.
    """
    import onnxruntime

    providers = PROVIDERS[provider]
    available = onnxruntime.get_available_providers()
    if providers[0] not in available:
        raise MissingBackend(
            f"--provider {provider}: this onnxruntime has no {providers[0]} (it has {', '.join(available)}); "
            "pip install onnxruntime-gpu in place of onnxruntime"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # The memory bank grows for 16 frames; memory plans cached for each of these shapes would never be freed.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = provider == "cpu"
    if options.enable_cpu_mem_arena:
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads that wait in a loop take a tenth of the processor time of a frame and do not make it shorter.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
    except Exception as error:
        reason = str(error).splitlines()[0]
        if provider == "cpu":
            raise SurgeonError(f"{path}: onnxruntime cannot open it: {reason}") from error
        raise MissingBackend(f"{path}: cannot be opened with --provider {provider}: {reason}") from error
    if session.get_providers()[0] != providers[0]:
        raise MissingBackend(
            f"--provider {provider}: {providers[0]} does not start here, and onnxruntime went on with "
            f"{session.get_providers()[0]}; check the GPU driver and the versions of CUDA, cuDNN and TensorRT"
        )
    return session


@cache
def _share_memory() -> None:
    """One arena for the CPU sessions of this process, which run in turns.

    A module then works in memory that the module before has freed. Tensors of 100 MB that are allocated and freed in
    every call would take a fifth of the image encoder's processor time: the system clears each of their pages.
    """
    import onnxruntime

    kind, use = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, use), None)
