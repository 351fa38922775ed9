"""TensorRT's own ONNX parser and builder, without a GPU: one small interface over `tensorrt_rtx` and `tensorrt`.

The library runs in a process of its own (`verify/tensorrt/worker.py`), started at the first call and kept for the
next ones. A crash or a hang there becomes a message here.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.errors import MissingBackend, SurgeonError, no_file
from verify.tensorrt import process
from verify.tensorrt.process import Ended, Unusable, ask

BACKENDS = {"tensorrt_rtx": "tensorrt-rtx", "tensorrt": "tensorrt"}
PRODUCTS = {"tensorrt_rtx": "TensorRT-RTX", "tensorrt": "TensorRT"}
INSTALL = "pip install tensorrt-rtx"
PARSE_LIMIT = 300.0
BUILD_LIMIT = 1200.0

Shapes = tuple[Sequence[int], Sequence[int], Sequence[int]]
Profiles = Mapping[str, Shapes]


@dataclass(frozen=True)
class Refusal:
    """One error of TensorRT's ONNX parser.

    code      e.g. "UNSUPPORTED_NODE", "INVALID_GRAPH" (trt.ErrorCode), or "CRASH", "TIMEOUT" of the library
    node      index in `graph.node` of the main graph, of the node that holds the refused one; -1 when it is no node
    node_name, op   of the refused node itself, which may sit in a branch of `node` or in a local function
    message   TensorRT's words without CUDA noise; sometimes just "false"
    stack     local functions from the outside in
    function  the C++ function that refused
    tensor    the graph input or initializer the error is about, when it is about one
    """

    code: str
    node: int = -1
    node_name: str = ""
    op: str = ""
    message: str = ""
    stack: tuple[str, ...] = ()
    function: str = ""
    tensor: str = ""


@dataclass(frozen=True)
class Port:
    """An input or output of the network: `side` is one of these words, `dtype` TensorRT's name, free dims are -1.

    `dims` is None where TensorRT does not know the rank.
    """

    side: str
    name: str
    dtype: str
    dims: tuple[int, ...] | None


@dataclass(frozen=True)
class BuildResult:
    """What parser and builder said.

    ok            an engine was built
    parsed        the parser accepted the file; False also where the library ended before it answered
    refusals      the parser's errors; the builder did not run when there are any
    messages      the builder's errors, cleaned; empty when ok
    warnings      of both
    seconds       parse and build, without starting the library
    engine_bytes  size of the serialized engine
    profiles      {input: (min, opt, max)} that was built, or refused; empty for a model with static shapes
    derived       the profile was guessed here, not given by the caller
    log           every log line, when `detailed`
    ports         the inputs and outputs as the parser understood them
    """

    ok: bool
    refusals: tuple[Refusal, ...] = ()
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    engine_bytes: int = 0
    profiles: Mapping[str, Shapes] = field(default_factory=dict)
    derived: bool = False
    log: tuple[str, ...] = field(default=(), repr=False)
    parsed: bool = True
    ports: tuple[Port, ...] = ()


def backend() -> str:
    """Name of the module in use: `tensorrt_rtx` where it is installed, because it needs no GPU, else `tensorrt`.

    The environment variable SURGEON_TENSORRT picks one of the two. Imports nothing.

    Raises:
        MissingBackend: neither is installed, or not the one asked for.
    """
    wanted = os.environ.get("SURGEON_TENSORRT")
    for name in [wanted] if wanted else BACKENDS:
        if name in BACKENDS and importlib.util.find_spec(name) is not None:
            return name
    what = wanted if wanted in BACKENDS else "TensorRT"
    install = "pip install tensorrt, on a machine with a GPU" if wanted == "tensorrt" else INSTALL
    raise MissingBackend(f"{what} is not installed, so nothing was parsed or built; install it with: {install}")


def available() -> bool:
    """Whether TensorRT is installed. Starts nothing; `unusable` also says whether it can run here."""
    try:
        backend()
    except MissingBackend:
        return False
    return True


def start() -> None:
    """Let TensorRT load, where it is installed, while this process does something else before it asks."""
    with suppress(MissingBackend, OSError):  # whoever asks is told
        process.start(backend())


def unusable(limit: float = PARSE_LIMIT) -> str:
    """Why `parse` and `build` cannot run here, e.g. no GPU for full TensorRT; empty where they can.

    Starts the library, which is kept for the calls that follow.
    """
    try:
        _ask(backend(), {}, limit)
    except MissingBackend as error:
        return str(error)
    except Ended as error:
        return f"{version()} cannot run here: {error}"
    return ""


def _ask(name: str, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
    try:
        return ask(name, request, limit)
    except Unusable as error:
        raise MissingBackend(f"{version()} is installed but cannot run here: {error}") from None


def version() -> str:
    """Module and version, e.g. "tensorrt_rtx 1.7.1". Reads package metadata only. MissingBackend as `backend`."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    name = backend()
    for distribution in (BACKENDS[name], f"{BACKENDS[name]}-cu13", f"{BACKENDS[name]}-cu12"):
        try:
            return f"{name} {installed(distribution)}"
        except PackageNotFoundError:
            continue
    return name


def product(text: str = "") -> str:
    """Name and version as people write them, "TensorRT-RTX 1.7.1.116", of `version()` or of a text that it gave."""
    module, _, number = (text or version()).partition(" ")
    return f"{PRODUCTS.get(module, module)} {number}".strip()


def parse(path: str | Path, *, limit: float = PARSE_LIMIT) -> list[Refusal]:
    """Every error TensorRT's parser has with the ONNX file at `path`; an empty list when it accepts the file.

    External data is read from beside the file. `limit` is in seconds.

    Raises:
        MissingBackend: TensorRT is not installed or cannot run here.
        SurgeonError: there is no such file.
    """
    try:
        return list(_refusals(_ask(backend(), _request(path, build=False), limit)))
    except Ended as error:
        return [Refusal(error.kind, message=str(error))]


def build(
    path: str | Path,
    profiles: Profiles | None = None,
    compute_capability: str = "SM89",
    detailed: bool = False,
    *,
    values: Mapping[str, Sequence[int]] | None = None,
    engine: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    limit: float = BUILD_LIMIT,
) -> BuildResult:
    """Parse the ONNX file at `path` and build an engine from it.

    Args:
        profiles: {input: (min, opt, max)}, shapes, or values for an input that holds a shape. Inputs that are static
            may be left in. None derives one, trying a few sizes for dims that are free.
        values: what an input that holds a shape is built for, by name, instead of its points in `profiles`.
        compute_capability: GPU to build for, "SM75" "SM80" "SM86" "SM89" "SM120" "SM121" (RTX only).
        detailed: log every line and ask for detailed profiling, from which kernels can be read.
        engine: file to write the engine to.
        settings: of `verify.tensorrt.settings.build_settings`, for full TensorRT; TensorRT-RTX has none of them.
        limit: seconds.

    Raises:
        MissingBackend: TensorRT is not installed or cannot run here.
        SurgeonError: there is no such file, or `engine` cannot be written.
    """
    request = _request(path, build=True, detailed=detailed) | {
        "profiles": None
        if profiles is None
        else {name: [list(p) for p in points] for name, points in profiles.items()},
        "values": {name: list(value) for name, value in (values or {}).items()},
        "capability": compute_capability,
        **({"settings": dict(settings)} if settings and backend() == "tensorrt" else {}),
        "engine": None if engine is None else str(Path(engine).absolute()),
    }
    try:
        answer = _ask(backend(), request, limit)
    except Ended as error:
        return BuildResult(
            False, messages=(str(error),), seconds=error.seconds, profiles=dict(profiles or {}), parsed=False
        )
    if "unwritten" in answer:
        raise SurgeonError(answer["unwritten"])
    return _build_result(answer, derived=profiles is None)


def _build_result(answer: Mapping[str, Any], derived: bool) -> BuildResult:
    """The worker's answer to a build request; steps that were not reached keep their defaults."""
    return BuildResult(
        ok=answer.get("ok", False),
        refusals=_refusals(answer),
        messages=tuple(answer.get("messages", ())),
        warnings=tuple(answer["warnings"]),
        seconds=answer["seconds"],
        engine_bytes=answer.get("engine_bytes", 0),
        profiles={
            name: (tuple(low), tuple(usual), tuple(high))
            for name, (low, usual, high) in (answer.get("profiles") or {}).items()
        },
        derived=derived,
        log=tuple(answer["log"]),
        parsed=bool(answer["parsed"]),
        ports=tuple(
            Port(side, name, dtype, None if dims is None else tuple(dims))
            for side, name, dtype, dims in answer.get("ports", ())
        ),
    )


def _request(path: str | Path, *, build: bool, detailed: bool = False) -> dict[str, Any]:
    file = Path(path).absolute()
    if not file.is_file():
        raise no_file(path)
    return {"path": str(file), "build": build, "detailed": detailed}


def _refusals(answer: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """The parser's errors without repeats (it reports some twice, and every node of a broken graph once more)."""
    found = [Refusal(**{**entry, "stack": tuple(entry.get("stack", ()))}) for entry in answer["refusals"]]
    if not found and not answer["parsed"]:
        found = [Refusal("INVALID_GRAPH", message="; ".join(answer["messages"]))]
    return tuple(dict.fromkeys(found))
