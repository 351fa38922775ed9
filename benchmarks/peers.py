"""Runs the peers on a file, each in the Python environment it is installed in, and surgeon in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

SCRIPTS = {
    "onnxsim": "import onnx, onnxsim; m, ok = onnxsim.simplify(onnx.load(src)); onnx.save(m, dst)",
    "onnxslim": "import onnx, onnxslim; onnx.save(onnxslim.slim(onnx.load(src)), dst)",
    "polygraphy": (
        "import onnx; from polygraphy.backend.onnx import fold_constants; "
        "onnx.save(fold_constants(onnx.load(src), allow_onnxruntime_shape_inference=True), dst)"
    ),
    "onnxscript": "import onnx, onnxscript.optimizer as o; onnx.save(o.optimize(onnx.load(src)), dst)",
    "onnxruntime": (
        "import onnxruntime as r; o = r.SessionOptions(); o.optimized_model_filepath = dst; "
        "o.graph_optimization_level = r.GraphOptimizationLevel.ORT_ENABLE_BASIC; "
        "r.InferenceSession(src, o, providers=['CPUExecutionProvider'])"
    ),
    "ort float16": (
        "import onnx; from onnxruntime.transformers.float16 import convert_float_to_float16 as c; "
        "onnx.save(c(onnx.load(src), keep_io_types=True), dst)"
    ),
    "modelopt autocast": (
        "import onnx; from modelopt.onnx.autocast import convert_to_mixed_precision as c; "
        "onnx.save(c(src, low_precision_type='fp16', keep_io_types=True), dst)"
    ),
}
# The same tools as their users run them; the words of a command are formatted one by one, since names have spaces.
COMMANDS = {
    "onnxsim": "{source} -- {target}",
    "onnxslim": "{source} {target}",
    "polygraphy": "surgeon sanitize {source} --fold-constants -o {target}",
}
# With the comparison that surgeon makes before it writes, and without it as the peers work.
OURS: dict[str, tuple[str, ...]] = {"surgeon": (), "surgeon --no-guard": ("--no-guard",)}
SIMPLIFIERS = ("onnxsim", "onnxslim", "polygraphy", "onnxscript", "onnxruntime")
CONVERTERS = ("ort float16", "modelopt autocast")
LIMIT = 600.0


def run_peer(python: Path, tool: str, source: Path, target: Path, limit: float = LIMIT) -> dict[str, Any]:
    """A call of the tool's functions: seconds, and an error message when it failed; the file is at `target` otherwise.

    `python` is the interpreter of the environment that has the tool.
    """
    code = "import sys; src, dst = sys.argv[1:]; " + SCRIPTS[tool]
    command = [str(python.absolute()), "-c", code, str(source.resolve()), str(target.resolve())]
    return _run(python, tool, target, command, limit)


def run_command(python: Path, tool: str, source: Path, target: Path, more: str = "") -> dict[str, Any]:
    """The tool's own command, with `more` words behind it, as `run_peer` otherwise."""
    places = {"source": source.resolve(), "target": target.resolve()}
    words = [word.format(**places) for word in f"{COMMANDS[tool]} {more}".split()]
    return _run(python, tool, target, [str(python.absolute().with_name(tool)), *words], LIMIT)


def _run(python: Path, tool: str, target: Path, command: list[str], limit: float) -> dict[str, Any]:
    """What `timed` finds of a tool's command, in a folder of its own: some leave files where they run."""
    if not works(python, tool):
        return {"seconds": 0.0, "error": "onnx-graphsurgeon is not installed there, without which nothing is folded"}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        return timed(command, limit, scratch)


@lru_cache
def works(python: Path, tool: str) -> bool:
    """False for polygraphy without onnx-graphsurgeon: it leaves a model as it is, and says so nowhere."""
    if tool != "polygraphy":
        return True
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('onnx_graphsurgeon') is None)"
    return subprocess.run([str(python.absolute()), "-c", code], check=False, capture_output=True).returncode == 0


def run_surgeon(source: Path, target: Path, options: tuple[str, ...] = (), limit: float = LIMIT) -> dict[str, Any]:
    """`surgeon fix` in a process of its own, like the peers."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return timed([sys.executable, "-m", "surgery", "fix", str(source), "-o", str(target), *options], limit)


def run_surgeon_at_once(sources: list[Path], folder: Path, limit: float = LIMIT) -> dict[str, Any]:
    """`surgeon fix` of many files in one process."""
    folder.mkdir(parents=True, exist_ok=True)
    return timed([sys.executable, "-m", "surgery", "fix", *map(str, sources), "-o", str(folder)], limit)


# A process begins with the peak memory of the one that made it, so a small one stands in between.
STAND_IN = (
    "import os, sys, time; started = time.perf_counter(); "
    "_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0); "
    "open(sys.argv[1], 'w').write(f'{time.perf_counter() - started} "
    "{usage.ru_maxrss} {usage.ru_utime + usage.ru_stime}'); "
    "sys.exit(os.waitstatus_to_exitcode(status))"
)


def timed(command: list[str], limit: float, folder: str | None = None) -> dict[str, Any]:
    """Seconds, seconds of all processors, the most memory taken (bytes), and an error message if there is one."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.NamedTemporaryFile("r") as note, tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", STAND_IN, note.name, *command],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return {"seconds": limit, "error": f"took longer than {limit:.0f} s"}
        seconds, memory, processors = [*note.read().split(), "0", "0", "0"][:3]
        said.seek(0)
        lines = [line for line in said if line.strip()]
    result: dict[str, Any] = {
        "seconds": float(seconds),
        "processor seconds": float(processors),
        "memory": int(memory) * 1024,
    }
    if process.returncode:
        result["error"] = lines[-1].strip()[:200] if lines else f"exit code {process.returncode}"
    return result


def runs(path: Path, shape: list[int]) -> bool:
    """Whether onnxruntime loads a model of one float input and runs it on one of this shape."""
    code = (
        "import sys, numpy, onnxruntime as r; s = r.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider']); "
        f"s.run(None, {{s.get_inputs()[0].name: numpy.full({shape}, 0.1, 'float32')}})"
    )
    return "error" not in timed([sys.executable, "-c", code, str(path)], LIMIT)


def nodes(path: Path) -> int:
    """Nodes of the main graph."""
    import onnx

    return len(onnx.load(path, load_external_data=False).graph.node)


def casts(path: Path) -> int:
    """Cast nodes of the main graph."""
    import onnx

    return sum(node.op_type == "Cast" for node in onnx.load(path, load_external_data=False).graph.node)
