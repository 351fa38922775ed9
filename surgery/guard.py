"""The condition for writing: the fixed model gives what the original gives, on inputs drawn from its own types.

Exact passes must leave integers, booleans, text and the places of NaN as they are, and floats within `EXACT`: kernels
of onnxruntime round the last bit by where a buffer lies. After others, and in models with half precision, floats may
differ by `CLOSE` times the RMS of the original output plus as much of the value itself. Outputs that depend on random
operators are left out, and said.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from surgery.model import tensors
from surgery.told import as_declared, told
from verify.errors import SurgeonError
from verify.inputs import draw_inputs, free_dims
from verify.recognise import recognise
from verify.report import Check
from verify.runner import Session, open_session

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
CLOSE = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 1e-3, "float64": 1e-6, "complex64": 1e-3, "complex128": 1e-6}
EXACT = {"float64": 1e-14, "complex128": 1e-14}
EXACT_FLOAT32 = 1e-6
SECONDS = 12.0  # for all runs of the original, and more for each MB of weights and each node
PER_MEGABYTE = 2.0
PER_NODE = 0.002
ENOUGH = 3.0  # seconds of one run above which one set of inputs must do
MORE_SEEDS = range(100, 160)
SIZES = ((1, 1), (2, 1), (3, 2), (8, 8))


@dataclass
class Reference:
    """What the original gives: sets of inputs with its outputs, or why there are none (`reason`)."""

    sets: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    backend: str = ""
    reason: str = ""
    left_out: tuple[str, ...] = ()
    half: bool = False
    seconds: float = 0.0


def allowed(model: onnx.ModelProto) -> float:
    """Seconds that running the original may take: small models that take long hang, large ones just take long."""
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return SECONDS + PER_MEGABYTE * float(weights) * 4 / 1e6 + PER_NODE * len(model.graph.node)


def reference(
    model: onnx.ModelProto,
    source: Any,
    given: Mapping[str, Any] | None = None,
    fixed_inputs: Mapping[str, Any] | None = None,
    base_dir: str | os.PathLike[str] | None = None,
    trust_declared_shapes: bool = False,
) -> Reference:
    """Run the original.

    Args:
        model: its structure; weights may be missing.
        source: the same model as the runner takes it (a path for external data).
        given: real inputs to use instead of drawn ones.
        fixed_inputs: values that `--set-input` gives, which the original still takes as inputs.
        trust_declared_shapes: draw sizes that give the output shapes the model declares, for those it will only get.
    """
    started = time.perf_counter()
    source = without_holes(model, source)
    session = open_session(source, threads=os.cpu_count() or 1, base_dir=base_dir)
    if session.error:
        return Reference(reason=f"the original cannot be run here: {session.error}")
    left_out = random_outputs(model)
    if len(left_out) == len(model.graph.output):
        return Reference(reason="every output depends on random operators", left_out=left_out)
    found = Reference(backend=session.backend, left_out=left_out, half=uses_half(model))
    try:
        plans: Iterable[dict[str, Any]] | None = [dict(given)] if given is not None else None
        if plans is None and trust_declared_shapes:
            plans = (told(model, inputs) for inputs in _many_plans(model))
        _collect(found, session, model, plans, dict(fixed_inputs or {}), started, trust_declared_shapes)
    except (SurgeonError, MemoryError) as error:
        found.reason = str(error) or "inputs do not fit in memory"
    return found


def without_holes(model: onnx.ModelProto, source: Any) -> Any:
    """`source`, or a copy with a name for every output left out in the middle: onnxruntime 1.32 dies of those."""
    if not any("" in list(node.output)[:-1] for node in model.graph.node):
        return source
    copy = onnx.ModelProto()
    copy.CopyFrom(source if isinstance(source, onnx.ModelProto) else onnx.load(source))
    for place, node in enumerate(copy.graph.node):
        for index, name in enumerate(node.output[:-1]):
            node.output[index] = name or f"left out {place} {index}"
    return copy


def _collect(
    found: Reference,
    session: Session,
    model: onnx.ModelProto,
    plans: Iterable[dict[str, Any]] | None,
    fixed: dict[str, Any],
    started: float,
    trust: bool,
) -> None:
    last = ""
    for inputs in plans if plans is not None else _plans(model):
        left = allowed(model) - (time.perf_counter() - started)
        run = session.run({**inputs, **fixed}, timeout=max(left, 1.0))
        if run.error:
            last = run.error
        elif trust and not as_declared(model, run.outputs):
            last = "an output has another shape than the model declares"
        else:
            found.sets.append(({**inputs, **fixed}, run.outputs))
            found.seconds = max(found.seconds, run.seconds)
        if len(found.sets) >= 3 or left <= 0 or run.seconds > ENOUGH:
            break
    if not found.sets:
        found.reason = f"the original does not run on drawn inputs: {last}"


def _plans(model: onnx.ModelProto) -> Any:
    """Sets of inputs, the likeliest to run first; each is drawn when it is asked for."""
    keys = free_dims(model)
    spec = recognise(model)
    if spec is not None and keys:
        for point in range(2):
            shapes = spec.shapes(**{name: min(spec.ranges[name][point], 2) for name in spec.symbols()})
            sizes = {f"{name}:{axis}": size for name, shape in shapes.items() for axis, size in enumerate(shape)}
            yield draw_inputs(model, sizes=sizes, seed=point)
        return
    yield draw_inputs(model, default_size=2)
    if not keys:
        yield draw_inputs(model, style="edge", seed=1)
        yield draw_inputs(model, seed=2)
        return
    for first, step in SIZES:
        sizes = {key: first + step * place for place, key in enumerate(keys)} if first != 8 else dict.fromkeys(keys, 8)
        yield draw_inputs(model, sizes=sizes, seed=first, style="edge" if first == 3 else "random")
    for size in (16, 32, 64, 224):
        yield draw_inputs(model, default_size=size, seed=size)


def _many_plans(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
    """Those of `_plans`, and more for models that rarely give the shapes they declare."""
    yield from _plans(model)
    for seed in MORE_SEEDS:
        yield draw_inputs(model, default_size=2, seed=seed)


def random_outputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Graph outputs that depend on a random operator, also one inside a graph of a node or a function."""
    functions = {(f.domain, f.name) for f in model.functions if any(_random(node) for node in f.node)}
    tainted: set[str] = set()
    for node in model.graph.node:
        if _random(node) or (node.domain, node.op_type) in functions or tainted.intersection(_reads(node)):
            tainted.update(node.output)
    return tuple(info.name for info in model.graph.output if info.name in tainted)


def uses_half(model: onnx.ModelProto) -> bool:
    """Whether some tensor is in half precision.

    onnxruntime computes runs of such nodes in float32 and rounds where they end, so that taking out one node moves the
    rounding: bits then differ though each node computes the same.
    """
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    infos = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    if any(info.type.tensor_type.elem_type in halves for info in infos):
        return True
    return any(tensor.data_type in halves for tensor in tensors(model)) or any(
        attribute.name == "to" and attribute.i in halves for node in model.graph.node for attribute in node.attribute
    )


def _random(node: onnx.NodeProto) -> bool:
    if node.op_type in RANDOM:
        return True
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        return True
    return any(_random(inner) for attribute in node.attribute for inner in attribute.g.node)


def _reads(node: onnx.NodeProto) -> set[str]:
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _reads(inner)
    return names


def compare(
    found: Reference,
    fixed: Any,
    *,
    exact: bool,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    dropped: Sequence[str] = (),
    base_dir: str | os.PathLike[str] | None = None,
) -> Check:
    """Run the fixed model on the same inputs.

    Args:
        found: what `reference` gave; it must hold at least one set.
        fixed: the fixed model as the runner takes it.
        exact: whether every bit must agree.
        inputs, outputs: new names by old ones, where the passes renamed them.
        dropped: inputs the fixed model no longer has.

    Returns:
        A check named "parity" that passes, or fails and names the tensor in `figures["tensor"]`.
    """
    exact = exact and not found.half
    backend = "onnxruntime" if found.backend == "onnxruntime" else "auto"
    session = open_session(fixed, backend=backend, threads=os.cpu_count() or 1, base_dir=base_dir)
    close = CLOSE["float16" if found.half else "float32"]
    limit = EXACT_FLOAT32 if exact else close
    worst = 0.0
    for values, expected in found.sets:
        feeds = {(inputs or {}).get(name, name): value for name, value in values.items() if name not in dropped}
        run = session.run(feeds, timeout=2 * found.seconds + SECONDS)
        if run.error:
            return Check("parity", "fail", f"the fixed model does not run: {run.error}", {"tensor": ""})
        for name, wanted in expected.items():
            new = (outputs or {}).get(name, name)
            if name in found.left_out or new not in run.outputs:
                continue
            trouble, error = difference(wanted, run.outputs[new], exact, found.half)
            worst = max(worst, error)
            if trouble:
                return Check("parity", "fail", f"output '{new}' {trouble}", {"tensor": new, "error": error})
    equal = "bit for bit" if worst == 0 else f"within {worst:.1g} of the RMS (allowed {limit:g})"
    message = f"equal {equal} on {len(found.sets)} sets of inputs ({found.backend})"
    if found.left_out:
        message += f"; not compared, since random: {', '.join(found.left_out)}"
    return Check("parity", "pass", message, {"sets": len(found.sets), "error": worst, "backend": found.backend})


def difference(wanted: Any, got: Any, exact: bool, half: bool = False) -> tuple[str, float]:
    """What differs ("" for nothing) and the largest float difference relative to the RMS of `wanted`."""
    if isinstance(wanted, (list, tuple)) or wanted is None or got is None:
        if not isinstance(wanted, (list, tuple)) or not isinstance(got, (list, tuple)):
            return ("" if wanted is None and got is None else "is present in one of the two only"), 0.0
        if len(wanted) != len(got):
            return f"has {len(got)} elements, not {len(wanted)}", 0.0
        parts = [difference(one, other, exact, half) for one, other in zip(wanted, got, strict=True)]
        return next((text for text, _ in parts if text), ""), max((error for _, error in parts), default=0.0)
    if isinstance(wanted, dict):
        return ("" if wanted == got else "differs"), 0.0
    wanted, got = np.asarray(wanted), np.asarray(got)
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        return f"is {got.dtype}{list(got.shape)}, not {wanted.dtype}{list(wanted.shape)}", 0.0
    if wanted.dtype.kind != "O" and wanted.tobytes() == got.tobytes():
        return "", 0.0
    rtol = CLOSE.get(wanted.dtype.name)
    if rtol is None:
        return ("" if np.array_equal(wanted, got) else "differs"), 0.0
    return _floats(
        wanted,
        got,
        EXACT.get(wanted.dtype.name, EXACT_FLOAT32) if exact else max(rtol, CLOSE["float16"]) if half else rtol,
    )


def _floats(wanted: Any, got: Any, rtol: float) -> tuple[str, float]:
    if wanted.dtype.kind == "c":
        parts = [_floats(getattr(wanted, part), getattr(got, part), rtol) for part in ("real", "imag")]
        return next((text for text, _ in parts if text), ""), max(error for _, error in parts)
    left, right = wanted.astype(np.float64), got.astype(np.float64)
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return "has NaN in other places", np.inf
    sure = np.isfinite(left)
    if not np.array_equal(left[~sure], right[~sure], equal_nan=True):
        return "has infinities in other places", np.inf
    left, right = left[sure], right[sure]
    if not left.size:
        return "", 0.0
    rms = float(np.sqrt(np.mean(left * left))) or 1.0
    gap = np.abs(left - right)
    error = float(gap.max() / rms)
    if np.any(gap > rtol * (rms + np.abs(left))):
        return f"differs by {error:.2g} of its RMS (allowed {rtol:g})", error
    return "", error
