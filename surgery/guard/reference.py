"""What the original computes, on inputs drawn from its own types: the reference a fixed model is compared with.

Outputs that depend on random operators are not compared, and the report names them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from surgery.guard.inputs import edge_cases, growth, has_specials, input_sets, is_empty, takes_sizes
from surgery.guard.partial_run import Agreement, PartialRun
from surgery.guard.runnable import runnable_copy
from surgery.guard.traits import allowed_seconds, is_light, random_outputs, threads_for, uses_half
from verify.errors import SurgeonError
from verify.inputs.draw import load_npz
from verify.run.known_faults import ends_process, onnxruntime_fault
from verify.run.saturation import may_saturate, saturates_here
from verify.run.session import Halt, Session, open_session

RECURRENT = {"LSTM", "GRU", "RNN"}
ENOUGH = 4.0  # seconds for all runs of the original; if the first takes longer, it is the only one
SETS = 3
MORE_SETS = 3  # tried where the original gives NaN on some
WAY_OUT = "give real inputs with --check-inputs FILE.npz, or sizes with --input-shape"
EDGE_SECONDS = 2.0  # for edge cases, which only small models are run on
EDGE_WEIGHTS, EDGE_NODES = 1 << 20, 500

Values = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """What the original gives.

    sets           pairs of inputs and outputs, both by name; none where `reason` says why it cannot be run
    backend        "onnxruntime" or "onnx.reference"
    fault          why onnxruntime was not used although it can run the model
    random         outputs that depend on random operators
    half           whether the model computes in half precision somewhere
    saturates      whether onnxruntime gives other eight-bit products on this processor than ONNX defines; both models
                   run without that
    recurrent      whether it has LSTM, GRU or RNN: onnxruntime packs their weights where those are constant, and then
                   sums in another order
    seconds        of its longest run
    short          whether sets were left out because they would have taken too long
    with_nan       how many sets were left out because the original gives NaN on them
    edge_cases     how many of the sets, the last ones, are at the edge of what the model takes
    shared_memory  whether it took working memory from the arena that sessions share
    agreement      how the changed nodes of a fixed model compare, where they ran beside it
    rerun          runs the whole original, where its short forms ran: the outputs in `sets` are not its own then
    """

    sets: tuple[tuple[Values, Values], ...] = ()
    backend: str = ""
    fault: str = ""
    reason: str = ""
    random: tuple[str, ...] = ()
    half: bool = False
    saturates: bool = False
    recurrent: bool = False
    seconds: float = 0.0
    short: bool = False
    with_nan: int = 0
    edge_cases: int = 0
    shared_memory: bool = False
    agreement: Agreement | None = None
    rerun: Callable[[], Reference] | None = None


def run_original(
    model: onnx.ModelProto,
    runnable: Any,
    folder: str | None = None,
    given: Values | str | Path | None = None,
    partial: PartialRun | None = None,
    halt: Halt | None = None,
) -> Reference:
    """Run the original, with the changed nodes of the fixed model where they are given and can run there.

    Args:
        model: its structure; weights may be missing.
        runnable: the same model as the runner takes it (a path for external data).
        folder: of external data where `runnable` is not a path.
        given: inputs, or an .npz file with them, to use instead of drawn ones.
        partial: the changed nodes of the fixed model. On drawn inputs the original runs in its short forms then.
        halt: ends the run from another thread; the result is worth nothing then.
    """
    halt = halt or Halt()
    given = load_npz(given) if given is not None and not isinstance(given, dict) else given
    if partial is not None and not onnxruntime_fault(model):
        short = given is None and bool(partial.short)
        found = _run(model, runnable, folder, given, partial, halt, short)
        if found.sets or halt.asked:
            again = cache(lambda: run_original(model, runnable, folder)) if short else None
            return replace(found, rerun=again)
    return _run(model, runnable, folder, given, None, halt)


def _run(
    model: onnx.ModelProto,
    runnable: Any,
    folder: str | None,
    given: Values | None,
    partial: Any,
    halt: Halt,
    short: bool = False,
) -> Reference:
    started = time.perf_counter()
    random = random_outputs(model)
    if len(random) == len(model.graph.output):
        return Reference(reason="every output depends on random operators", random=random)
    if why := ends_process(model):
        return Reference(reason=f"the original cannot be run: {why}", random=random)
    shared = is_light(model)
    fault = onnxruntime_fault(model)
    source, backend = runnable_copy(model, runnable), "reference" if fault else "auto"
    threads, in_order = threads_for(model), partial is not None
    if partial is not None:
        source, backend, folder = partial.model(source, short), "onnxruntime", None
    session = open_session(
        source, backend=backend, threads=threads, base_dir=folder, shared_memory=shared, in_order=in_order
    )
    if session.error:
        return Reference(reason=f"the original cannot be run here: {session.error}")
    half, recurrent = uses_half(model), any(node.op_type in RECURRENT for node in model.graph.node)
    base = Reference(
        backend=session.backend,
        fault=fault,
        random=random,
        half=half,
        saturates=may_saturate(model) and saturates_here(),
        recurrent=recurrent,
        shared_memory=shared,
    )
    try:
        sets = input_sets(model) if given is None else [dict(given)]
        found = _collect(base, session, sets, started + allowed_seconds(model), partial, halt)
        if found.reason and given is not None:
            found = replace(found, reason=found.reason.replace("drawn inputs", "the inputs it was given", 1))
        if given is None:
            found = _with_edge_cases(found, session, model, partial, halt)
    except (SurgeonError, MemoryError) as error:
        return replace(base, reason=str(error) or "inputs do not fit in memory")
    return replace(found, short=found.short and given is None)


def _collect(
    base: Reference,
    session: Session,
    input_sets: Iterable[Values],
    deadline: float,
    partial: PartialRun | None,
    halt: Halt,
) -> Reference:
    """`base` with what the original gives for the first sets of inputs it accepts, within the time allowed.

    A set on which the original gives NaN, for example by a mask that is all zero, is not used if another gives none.
    """
    ran: list[_Ran] = []
    error, spent, longest, short = "", 0.0, 0.0, False
    for inputs in input_sets:
        if ran and spent + longest * growth(ran[-1].inputs, inputs) > ENOUGH:
            short = True
            break
        left = deadline - time.perf_counter()
        run = session.run(inputs, timeout=max(left, 1.0), halt=halt)
        spent += run.seconds
        if run.error:
            error = run.error
        else:
            ran.append(_ran(inputs, run.outputs, partial))
            longest = max(longest, run.seconds)
        without_nan = sum(not one.has_nan for one in ran)
        if without_nan >= SETS or len(ran) >= SETS + MORE_SETS or (len(ran) >= SETS and not without_nan):
            break
        if left <= 0 or halt.asked:
            break
        if ran and spent + longest > ENOUGH:  # known before the next set is drawn
            short = True
            break
    used = [one for one in ran if not one.has_nan][:SETS] or ran[:SETS]
    return replace(
        base,
        sets=tuple((one.inputs, one.outputs) for one in used),
        reason="" if used else f"the original does not run on drawn inputs ({error}); {WAY_OUT}",
        seconds=longest,
        short=short,
        with_nan=sum(one.has_nan for one in ran) if not used or not used[0].has_nan else 0,
        agreement=_together(used),
    )


def _with_edge_cases(
    found: Reference, session: Session, model: onnx.ModelProto, partial: PartialRun | None, halt: Halt
) -> Reference:
    """`found` with sets of inputs at the edge of what the model takes, if the model is small."""
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    small = weights <= EDGE_WEIGHTS and len(model.graph.node) <= EDGE_NODES
    if not found.sets or not small or found.seconds > EDGE_SECONDS / 10:
        return found
    ran: list[_Ran] = []
    started = time.perf_counter()
    for inputs in edge_cases(model, found.sets[0][0]):
        if time.perf_counter() - started > EDGE_SECONDS or halt.asked:
            break
        if partial is not None and has_specials(inputs):
            continue  # sums of differences say nothing of NaN
        if is_empty(inputs) and not takes_sizes(model, inputs):
            continue
        run = session.run(inputs, timeout=1.0, halt=halt)
        if run.error:
            continue
        one = _ran(inputs, run.outputs, partial)
        if not one.has_nan or has_specials(inputs):
            ran.append(one)
    sets = (*found.sets, *((one.inputs, one.outputs) for one in ran))
    agreement = found.agreement and found.agreement.and_then(_together(ran) or Agreement())
    return replace(found, sets=sets, edge_cases=len(ran), agreement=agreement)


@dataclass(frozen=True)
class _Ran:
    """One run of the original."""

    inputs: Values
    outputs: Values
    has_nan: bool
    agreement: Agreement | None


def _ran(inputs: Values, outputs: Values, partial: PartialRun | None) -> _Ran:
    agreement = partial.compare(inputs, outputs) if partial is not None else None
    outputs = partial.original_outputs(outputs) if partial is not None else outputs
    has_nan = any(np.isnan(value).any() for value in outputs.values() if _is_float(value))
    return _Ran(inputs, outputs, has_nan, agreement)


def _together(ran: Iterable[_Ran]) -> Agreement | None:
    found = [one.agreement for one in ran if one.agreement is not None]
    return reduce(Agreement.and_then, found) if found else None


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype in (np.float16, np.float32, np.float64)
