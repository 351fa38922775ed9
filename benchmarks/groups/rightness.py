"""Whether a file computes what the original computes, on several inputs and sizes, and has its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from verify.run.saturation import may_saturate, without_saturation

CLOSE = 1e-3  # of the RMS of an output: what the guard allows after passes that round
SMALLEST_RMS = 1e-3  # a picture without text gives probabilities of 1e-7, which rounding alone changes
FLIPS = 1e-5  # of the elements of an output: a mask cut at 0 turns where the logit is 0 within rounding
SIZES = (0.5, 2.0)  # of every free dim, one after the other
NUDGES = (1 - 1e-6, 1 + 1e-6)  # of the inputs of a quantized model, which may round a value to the next step
ROUNDING = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "QLinearConv")

NOT_RUN = "the original does not run"

Feeds = Mapping[str, Any]


def compare(source: Path, target: Path, feeds: Feeds) -> dict[str, Any]:
    """The largest error over all inputs and outputs relative to the RMS, how many sets were compared, or what is wrong.

    The sets are `feeds`, other numbers in their place, and `feeds` with each free dim halved and doubled. A set that
    the original cannot run says nothing and is left out. What a quantized model may differ by is twice what the
    original differs by when its inputs change by a millionth, if that is more than what others may.
    """
    changed = _interface_change(source, target)
    if changed:
        return {"wrong": changed}
    worst, compared, sets = 0.0, 0, 0
    run: Run | None = None
    for name, given, wanted, close in _wanted(source, _Key(feeds)):
        try:
            run = run or runner(target)
            got = run(given)
        except Exception as error:
            said = str(error).replace(f"{target.parent}/", "")
            return {"wrong": f"does not run ({name}): {said[:120]}"}
        found = _difference(wanted, got, close)
        if "wrong" in found:
            return found | {"wrong": f"{found['wrong']} ({name})"}
        worst, sets = max(worst, found["difference"]), sets + 1
        compared += sum(int(value.size) for value in wanted.values())
    return {"difference": worst, "compared": compared, "sets": sets} if sets else {"wrong": NOT_RUN}


class _Key:
    """Inputs as an argument that can be kept: the same object is the same key."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds, self.bytes = feeds, b"".join(np.asarray(feeds[name]).tobytes() for name in sorted(feeds))

    def __hash__(self) -> int:
        return hash(self.bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.bytes == other.bytes


@lru_cache(maxsize=1)
def _wanted(source: Path, key: _Key) -> list[tuple[str, Feeds, dict[str, Any], float]]:
    """The sets of inputs that the original runs, its outputs, and what a file may differ from them by."""
    kept: list[tuple[str, Feeds, dict[str, Any], float]] = []
    rounds = _rounds(source)
    try:
        run = runner(source)
    except Exception:
        return kept
    for name, feeds in variants(source, key.feeds):
        try:
            wanted = run(feeds)
            own = [_difference(wanted, run(_times(feeds, factor)), np.inf) for factor in NUDGES if rounds]
            kept.append((name, feeds, wanted, max([CLOSE, *(2 * found.get("difference", 0.0) for found in own)])))
        except Exception:
            if name == "as given":
                break
    return kept


def _rounds(source: Path) -> bool:
    import onnx

    return any(node.op_type in ROUNDING for node in onnx.load(source, load_external_data=False).graph.node)


def _times(feeds: Feeds, factor: float) -> Feeds:
    floats = {name: value for name, value in feeds.items() if np.asarray(value).dtype.kind == "f"}
    return {**feeds, **{name: np.asarray(value * factor, np.asarray(value).dtype) for name, value in floats.items()}}


def variants(source: Path, feeds: Feeds) -> Iterator[tuple[str, Feeds]]:
    """Sets of inputs by name: as given, other numbers, and other sizes of the free dims."""
    yield "as given", feeds
    chance = np.random.default_rng(0)
    yield "other numbers", {name: _redrawn(np.asarray(value), chance) for name, value in feeds.items()}
    for dim, places in _free_dims(source, feeds).items():
        for factor in SIZES:
            old = np.asarray(feeds[places[0][0]]).shape[places[0][1]]
            size = max(1, int(old * factor))
            if size != old:
                yield f"{dim} = {size}", _resized(feeds, places, size)


def _redrawn(value: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Floats of the same mean and spread; integers in another order."""
    if value.dtype.kind == "f":
        spread = max(float(value.std()), 0.1) if value.size > 1 else 0.0
        return np.asarray(chance.standard_normal(value.shape) * spread + value.mean(), value.dtype)
    return chance.permutation(value.ravel()).reshape(value.shape) if value.size > 1 else value


def _resized(feeds: Feeds, places: list[tuple[str, int]], size: int) -> Feeds:
    """The inputs with these dims cut or repeated."""
    sized = dict(feeds)
    for name, axis in places:
        value = np.asarray(sized[name])
        sized[name] = np.take(value, np.arange(size) % value.shape[axis], axis)
    return sized


def _free_dims(source: Path, feeds: Feeds) -> dict[str, list[tuple[str, int]]]:
    """Free dims by name, each with the inputs and axes that have it."""
    import onnx

    found: dict[str, list[tuple[str, int]]] = {}
    for value in onnx.load(source, load_external_data=False).graph.input:
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            free = not dim.HasField("dim_value") or dim.dim_value <= 0
            if free and value.name in feeds and np.asarray(feeds[value.name]).size:
                found.setdefault(dim.dim_param or f"{value.name}[{axis}]", []).append((value.name, axis))
    return found


def _interface_change(source: Path, target: Path) -> str:
    """The first input or output that is gone, new, or of another type or shape; "" where all are the same."""
    import onnx

    was, now = (onnx.load(path, load_external_data=False).graph for path in (source, target))
    for what, old, new in (("input", was.input, now.input), ("output", was.output, now.output)):
        missing = {value.name for value in old} ^ {value.name for value in new}
        if missing:
            return f"{what} '{min(missing)}' is gone or new"
    given = {value.name: _kind(value) for value in was.input}
    other = next((value.name for value in now.input if _kind(value) != given[value.name]), "")
    return f"input '{other}' has another type or shape" if other else ""


def _kind(value: Any) -> tuple[Any, ...]:
    kind = value.type.tensor_type
    return kind.elem_type, [dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim]


def _difference(wanted: dict[str, Any], got: dict[str, Any], close: float) -> dict[str, Any]:
    worst = 0.0
    for name, right in wanted.items():
        value = got.get(name)
        if value is None or value.shape != right.shape or value.dtype != right.dtype:
            return {"wrong": f"output '{name}' is missing or has another shape or type"}
        if right.dtype.kind != "f":
            if not np.array_equal(right, value):
                return {"wrong": f"output '{name}' differs"}
        elif right.size and right.tobytes() != value.tobytes():
            if not np.array_equal(np.isnan(right), np.isnan(value)):
                return {"wrong": f"output '{name}' has NaN in other places"}
            numbers = np.nan_to_num(right.astype(np.float64))
            rms = max(float(np.sqrt(np.mean(numbers**2))), SMALLEST_RMS)
            error = np.abs(np.nan_to_num(value.astype(np.float64)) - numbers) / rms
            far = error > close
            if far.sum() > FLIPS * far.size:
                return {"difference": float(error.max()), "wrong": f"differs by {error.max():.1g} of the RMS"}
            worst = max(worst, float(error[~far].max(initial=0)))
    return {"difference": worst}


Run = Callable[[Feeds], dict[str, Any]]


def runner(path: Path) -> Run:
    """What gives the outputs in onnxruntime, each node as it stands: fused kernels of quantized models round otherwise.

    Products of bytes whose sums overflow 16 bits on processors without VNNI are computed without that overflow.
    """
    import onnx
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = onnx.load(path, load_external_data=False)
    file = without_saturation(model).SerializeToString() if may_saturate(model) else str(path)
    session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    taken = [value.name for value in session.get_inputs()]
    return lambda feeds: dict(zip(names, session.run(None, {name: feeds[name] for name in taken}), strict=True))
