"""The condition for writing: the fixed model gives what the original gives, on inputs drawn from its own types.

How near is near enough says `surgery.guard.tolerances`. Outputs that depend on random operators are left out, and said.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from surgery.guard.inputs import growth, plans
from surgery.guard.partial_run import NEAR, Parts
from surgery.guard.tolerances import CLOSE, EXACT_FLOAT32, difference
from verify.errors import SurgeonError
from verify.model.walk import reads, tensors, walk_nodes
from verify.report import Check, counted
from verify.run.session import Halt, Session, open_session

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
SECONDS = 12.0  # for all runs of the original, and more for each MB of weights and each node
PER_MEGABYTE = 2.0
PER_NODE = 0.002
ENOUGH = 4.0  # seconds for all runs of the original; the first may take longer, and then one set of inputs must do
SETS = 3
SHARED = 512 << 20  # bytes of a file up to which both models take working memory from one arena


@dataclass
class Reference:
    """What the original gives: sets of inputs with its outputs, or why there are none (`reason`)."""

    sets: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    backend: str = ""
    reason: str = ""
    left_out: tuple[str, ...] = ()
    half: bool = False
    seconds: float = 0.0
    short: bool = False  # whether sets were left out because they would have taken too long
    shared: bool = False


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
    halt: Halt | None = None,
    parts: Parts | None = None,
) -> Reference:
    """Run the original.

    Args:
        model: its structure; weights may be missing.
        source: the same model as the runner takes it (a path for external data).
        given: real inputs to use instead of drawn ones.
        fixed_inputs: values that `--set-input` gives, which the original still takes as inputs.
        halt: ends it from another thread; what is found then is worth nothing.
        parts: where the fixed model differs, to be compared on the way.
    """
    started = time.perf_counter()
    source = without_holes(model, source)
    shared = weighs_little(model)
    session = _opened(source, base_dir, shared, parts)
    if session.error:
        return Reference(reason=f"the original cannot be run here: {session.error}")
    left_out = random_outputs(model)
    if len(left_out) == len(model.graph.output):
        return Reference(reason="every output depends on random operators", left_out=left_out)
    found = Reference(backend=session.backend, left_out=left_out, half=uses_half(model), shared=shared)
    try:
        sets = _sets(model, given, fixed_inputs or {})
        _collect(found, session, model, sets, started, halt or Halt(), parts)
        found.short = found.short and given is None
    except (SurgeonError, MemoryError) as error:
        found.reason = str(error) or "inputs do not fit in memory"
    return found


def _opened(source: Any, base_dir: str | os.PathLike[str] | None, shared: bool, parts: Parts | None) -> Session:
    """The original ready to run, with parts of the fixed model in it if there are any."""
    threads = os.cpu_count() or 1
    if parts is None:
        return open_session(source, threads=threads, base_dir=base_dir, shared_memory=shared)
    source = parts.watched(source)
    return open_session(source, backend="onnxruntime", threads=threads, shared_memory=shared, in_order=True)


def _sets(
    model: onnx.ModelProto, given: Mapping[str, Any] | None, fixed_inputs: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The sets of inputs to try, as `reference` describes them."""
    sets: Iterable[dict[str, Any]] = plans(model) if given is None else [dict(given)]
    return ({**inputs, **fixed_inputs} for inputs in sets)


def weighs_little(model: onnx.ModelProto) -> bool:
    """Whether both models may take working memory from one arena, which keeps it."""
    return bool(sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer) <= SHARED)


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
    sets: Iterable[dict[str, Any]],
    started: float,
    halt: Halt,
    parts: Parts | None,
) -> None:
    last, spent = "", 0.0
    for inputs in sets:
        before = found.sets[-1][0] if found.sets else None
        if before is not None and spent + found.seconds * growth(before, inputs) > ENOUGH:
            found.short = True
            break
        left = allowed(model) - (time.perf_counter() - started)
        run = session.run(inputs, timeout=max(left, 1.0), halt=halt)
        spent += run.seconds
        if run.error:
            last = run.error
        else:
            outputs = run.outputs if parts is None else parts.take(inputs, run.outputs)
            found.sets.append((inputs, outputs))
            found.seconds = max(found.seconds, run.seconds)
        if len(found.sets) >= SETS or left <= 0 or halt.asked:
            break
        if found.sets and spent + found.seconds > ENOUGH:  # known before the next set is drawn
            found.short = True
            break
    if not found.sets:
        found.reason = f"the original does not run on drawn inputs: {last}"


def random_outputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Graph outputs that depend on a random operator, also one inside a graph of a node or a function."""
    functions = {(f.domain, f.name) for f in model.functions if any(_random(node) for node in f.node)}
    tainted: set[str] = set()
    for node in model.graph.node:
        if _random(node) or (node.domain, node.op_type) in functions or tainted.intersection(reads(node)):
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
    return any(
        inner.op_type in RANDOM or (inner.op_type == "Dropout" and len(inner.input) > 2 and inner.input[2])
        for inner in walk_nodes([node])
    )


def open_fixed(fixed: Any, backend: str, shared: bool, base_dir: str | os.PathLike[str] | None = None) -> Session:
    """The fixed model, ready to run where the original ran (`backend`, `shared`: of the `Reference`)."""
    backend = "onnxruntime" if backend == "onnxruntime" else "auto"
    threads = os.cpu_count() or 1
    return open_session(fixed, backend=backend, threads=threads, base_dir=base_dir, shared_memory=shared)


def compare(
    found: Reference,
    session: Session,
    *,
    exact: bool,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    dropped: Sequence[str] = (),
    halt: Halt | None = None,
) -> Check:
    """Run the fixed model on the same inputs.

    Args:
        found: what `reference` gave; it must hold at least one set.
        session: the fixed model, ready to run.
        exact: whether every bit must agree.
        inputs, outputs: new names by old ones, where the passes renamed them.
        dropped: inputs the fixed model no longer has.
        halt: ends it from another thread.

    Returns:
        A check named "parity" that passes, or fails and names the tensor in `figures["tensor"]`.
    """
    exact = exact and not found.half
    worst = 0.0
    for values, expected in found.sets:
        last = values is found.sets[-1][0]
        run = session.run(fed(values, inputs, dropped), timeout=2 * found.seconds + SECONDS, halt=halt, last=last)
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
    return _passed(found, worst, EXACT_FLOAT32 if exact else CLOSE["float16" if found.half else "float32"])


def agreed(found: Reference, parts: Parts) -> Check:
    """The check that passed where the models part, as `parts` found it."""
    nodes = counted(parts.parting.same, "node")
    where = f" in the {counted(parts.tensors, 'tensor')} where it parts from the original ({nodes} shared)"
    return _passed(found, parts.error, EXACT_FLOAT32 if parts.exact else NEAR, where)


def fed(values: Mapping[str, Any], renamed: Mapping[str, str] | None, dropped: Sequence[str]) -> dict[str, Any]:
    """Inputs of the original as the fixed model takes them."""
    return {(renamed or {}).get(name, name): value for name, value in values.items() if name not in dropped}


def _passed(found: Reference, worst: float, limit: float, where: str = "") -> Check:
    """A comparison that passed, and what it says of itself."""
    equal = (
        "bit for bit" if worst == 0 else f"within {worst:.1g} of the RMS (allowed {limit:g} of it and of each value)"
    )
    sets = counted(len(found.sets), "set")
    message = f"equal {equal}{where} on {sets} of inputs ({found.backend})"
    if found.short:
        message += ", since more would take long"
    if found.left_out:
        message += f"; not compared, since random: {', '.join(found.left_out)}"
    return Check("parity", "pass", message, {"sets": len(found.sets), "error": worst, "backend": found.backend})
