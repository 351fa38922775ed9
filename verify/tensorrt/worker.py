"""The process that holds TensorRT: JSON requests on stdin, one JSON answer a line on stdout.

It is started by `verify.tensorrt.engine`, never imported there, so that a crash or a hang in the library ends this
process and not surgeon. It serves many requests, because importing TensorRT costs more than parsing most models.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verify.atomic_write import write_whole
from verify.errors import SurgeonError

# Every TensorRT call on a machine without a GPU logs this; it is not about the model.
CUDA_NOISE = re.compile(r"\n?[^\n]*catchCudaError[^\n]*")
SOURCE_PLACE = re.compile(r"\s*In \w+ at /_src/[^\s)]+")
# What dynamic dims of a model without a spec are tried at: (min, opt, max) of image sides, then of all others.
GUESSES = (((32, 224, 512), (1, 4, 16)), ((224, 224, 224), (1, 1, 1)), ((64, 64, 64), (16, 16, 16)))


def clean(text: str) -> str:
    """A TensorRT message without CUDA's complaints and without source paths of the machine that built the library."""
    text = SOURCE_PLACE.sub("", CUDA_NOISE.sub("", text))
    return text.replace(". )", ")").replace(" )", ")").strip()


def main() -> None:
    """Serve requests until stdin closes. Whatever TensorRT prints by itself goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        trt = __import__(sys.argv[1])
        logger, lines = _logger(trt)
        builder = _builder(trt, logger, lines)
        if sys.argv[1] == "tensorrt":
            trt.init_libnvinfer_plugins(logger, "")
    except Exception as error:  # whatever the library raises: without it no request can be served
        problem = {"unusable": clean(" ".join(f"{type(error).__name__}: {error}".split()))}
        for _ in sys.stdin:
            _say(answers, problem)
        return
    for line in sys.stdin:
        lines.clear()
        request = json.loads(line)
        _say(answers, _answer(trt, builder, logger, lines, request) if "path" in request else {})


def _say(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer | {"peak_kb": _peak_kb()}) + "\n")
    answers.flush()


def _builder(trt: Any, logger: Any, lines: list[tuple[str, str]]) -> Any:
    """TensorRT's builder. Full TensorRT has none without a GPU: it raises or, in some versions, gives None."""
    try:
        builder = trt.Builder(logger)
    except Exception as error:
        raise RuntimeError("; ".join([str(error), *(text for _, text in lines)])) from None
    if builder is None:
        raise RuntimeError("; ".join(["it gives no builder", *(text for _, text in lines)]))
    return builder


def _logger(trt: Any) -> tuple[Any, list[tuple[str, str]]]:
    lines: list[tuple[str, str]] = []

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            lines.append((severity.name, message))

    return Logger(), lines


def _peak_kb() -> int:
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _answer(
    trt: Any, builder: Any, logger: Any, lines: list[tuple[str, str]], request: dict[str, Any]
) -> dict[str, Any]:
    started = time.perf_counter()
    network = builder.create_network(_network_flags(trt, request.get("settings") or {}))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse_from_file(request["path"])
    refusals = [_refusal(parser.get_error(i)) for i in range(parser.num_errors)]
    if parsed and not network.num_outputs:  # the parser takes some broken files for empty graphs
        parsed, refusals = False, [{"code": "MODEL_DESERIALIZE_FAILED", "message": "no graph with outputs in the file"}]
    answer: dict[str, Any] = {"parsed": parsed, "refusals": refusals}
    if parsed:
        answer["ports"] = _ports(network)
    if not parsed and not refusals:
        answer["messages"] = _texts(lines, "ERROR", "INTERNAL_ERROR") or ["TensorRT gave no reason"]
    if parsed and request["build"]:
        answer |= _build(trt, builder, network, lines, request)
    answer["warnings"] = _texts(lines, "WARNING")
    answer["log"] = [text for _, text in lines] if request["detailed"] else []
    return answer | {"seconds": time.perf_counter() - started}


def _ports(network: Any) -> list[list[Any]]:
    """Side, name, TensorRT's name of the type, and dims (-1 where free, none for an unknown rank) of each port."""
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    sides = [("input", tensor) for tensor in _inputs(network)] + [("output", tensor) for tensor in outputs]
    return [[side, tensor.name, tensor.dtype.name, _dims(tensor)] for side, tensor in sides]


def _dims(tensor: Any) -> list[int] | None:
    """The dims; None where TensorRT does not know the rank: the length is negative then and Python raises."""
    try:
        return list(tensor.shape)
    except ValueError:
        return None


def _network_flags(trt: Any, settings: dict[str, Any]) -> int:
    """Explicit batch before 10.0; strongly typed from 11.0 on, and for a file with half precision."""
    major = _major(trt)
    flags: Any = getattr(trt, "NetworkDefinitionCreationFlag", None)
    if major < 10 and hasattr(flags, "EXPLICIT_BATCH"):
        return 1 << int(flags.EXPLICIT_BATCH)
    if (settings.get("typed") or (settings and major >= 11)) and hasattr(flags, "STRONGLY_TYPED"):
        return 1 << int(flags.STRONGLY_TYPED)
    return 0


def _major(trt: Any) -> int:
    return int(str(getattr(trt, "__version__", "10")).partition(".")[0])


def _texts(lines: list[tuple[str, str]], *severities: str) -> list[str]:
    texts = (clean(text) for severity, text in lines if severity in severities)
    return list(dict.fromkeys(text for text in texts if text))


def _refusal(error: Any) -> dict[str, Any]:
    return {
        "code": error.code().name,
        "node": error.node(),
        "node_name": error.node_name(),
        "op": error.node_operator(),
        "message": clean(error.desc()),
        "stack": list(error.local_function_stack()),
        "function": error.func(),
        # importInput and its kind put the name of the tensor where the source file would stand
        "tensor": "" if error.file().endswith((".cpp", ".hpp", ".h")) else error.file(),
    }


def _build(
    trt: Any, builder: Any, network: Any, lines: list[tuple[str, str]], request: dict[str, Any]
) -> dict[str, Any]:
    """Build with the profile asked for, or else with guessed ones until one is accepted; reports on the first."""
    given = request["profiles"]
    candidates = [given] if given is not None else list(_guess_profiles(network))
    first: dict[str, Any] | None = None
    for profiles in candidates:
        start = len(lines)
        try:
            engine = _serialize(trt, builder, network, profiles, request)
        except (RuntimeError, TypeError, ValueError) as error:  # a profile whose points are out of order or rank
            engine = None
            lines.append(("ERROR", f"profile refused: {error}"))
        result = {
            "ok": engine is not None,
            "profiles": profiles,
            "messages": [] if engine is not None else _texts(lines[start:], "ERROR", "INTERNAL_ERROR"),
            "engine_bytes": 0 if engine is None else engine.nbytes,
        }
        if engine is not None:
            return result | (_write(engine, Path(request["engine"])) if request["engine"] else {})
        first = first or result
    return first or {}


def _write(engine: Any, path: Path) -> dict[str, Any]:
    """Write the engine; the answer says why it could not be written."""
    try:
        write_whole(path, engine)
    except SurgeonError as error:
        return {"unwritten": str(error)}
    return {}


def _serialize(trt: Any, builder: Any, network: Any, profiles: dict[str, Any], request: dict[str, Any]) -> Any:
    config = builder.create_builder_config()
    if request["capability"] and hasattr(config, "num_compute_capabilities"):
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, request["capability"]), 0)
    if request["detailed"]:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    _apply(trt, config, request.get("settings") or {})
    if profiles:
        config.add_optimization_profile(_profile(builder, network, profiles, request["values"]))
    return builder.build_serialized_network(network, config)


def _apply(trt: Any, config: Any, settings: dict[str, Any]) -> None:
    """Set what `verify.tensorrt.settings` says; FP16 is a flag up to 10.x, and the file's own business since."""
    if settings.get("fp16") and _major(trt) < 11:
        config.set_flag(trt.BuilderFlag.FP16)
    if "workspace" in settings:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings["workspace"] << 20)
    if "level" in settings:
        config.builder_optimization_level = settings["level"]


def _profile(builder: Any, network: Any, profiles: dict[str, Any], values: dict[str, Any]) -> Any:
    profile = builder.create_optimization_profile()
    for tensor in _inputs(network):
        if tensor.is_shape_tensor and tensor.name in values:
            profile.set_shape_input(tensor.name, *[values[tensor.name]] * 3)
        elif tensor.name in profiles and (tensor.is_shape_tensor or -1 in tuple(tensor.shape)):
            put = profile.set_shape_input if tensor.is_shape_tensor else profile.set_shape
            put(tensor.name, *profiles[tensor.name])
    return profile


def _inputs(network: Any) -> list[Any]:
    return [network.get_input(index) for index in range(network.num_inputs)]


def _guess_profiles(network: Any) -> Iterator[dict[str, Any]]:
    """Profiles for the dynamic inputs; dims that share a name get one size. One empty profile when none is dynamic."""
    open_inputs = [t for t in _inputs(network) if t.is_shape_tensor or -1 in tuple(t.shape)]
    if not open_inputs:
        yield {}
        return
    for side, other in GUESSES:
        sizes: dict[str, tuple[int, int, int]] = {}
        yield {tensor.name: _guess(tensor, side, other, sizes) for tensor in open_inputs}


def _guess(
    tensor: Any, side: tuple[int, int, int], other: tuple[int, int, int], sizes: dict[str, tuple[int, int, int]]
) -> list[list[int]]:
    shape = tuple(tensor.shape)
    if tensor.is_shape_tensor:
        count = shape[0] if shape else 1
        return [[value] * max(count, 1) for value in other]
    spans = []
    for axis, dim in enumerate(shape):
        span = side if len(shape) >= 4 and axis >= 2 else other
        name = tensor.get_dimension_name(axis)
        spans.append((dim,) * 3 if dim >= 0 else sizes.setdefault(name, span) if name else span)
    return [[span[point] for span in spans] for point in range(3)]


if __name__ == "__main__":
    main()
