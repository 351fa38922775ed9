"""Runs a model to check that its outputs have the documented dims and types, whatever the file declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verify.inputs.seeded import draw
from verify.interface.spec import Spec
from verify.report import Check, Status

POINTS = ("smallest", "usual")
# onnxruntime's messages for operators that it does not know or has no CPU kernel for (bfloat16).
NO_KERNEL = ("no implementation of ", "no operator ")  # as `verify.run.messages.one_line` words them


def check_run(path: Path, spec: Spec) -> Check:
    """Run the model at the smallest and the usual sizes of its spec, and compare dims and types of its outputs."""
    from verify.run.session import open_session

    session = open_session(path, backend="onnxruntime")
    if session.error:
        here = any(reason in session.error for reason in NO_KERNEL)
        status: Status = "skip" if here else "fail"
        return Check("interface run", status, f"onnxruntime cannot load the model: {session.error}")
    done: list[Mapping[str, int]] = []
    for point, name in enumerate(POINTS):
        symbols = {symbol: spec.ranges[symbol][point] for symbol in spec.symbols()}
        if symbols in done:
            continue
        done.append(symbols)
        shapes = spec.shapes(**symbols)
        chosen = ", ".join(f"{key}={size}" for key, size in symbols.items())
        at = f"at {name} sizes ({chosen})" if symbols else "when run"
        run = session.run(_inputs(spec, shapes))
        if run.error:
            return Check("interface run", "fail", f"does not run {at}: {run.error}")
        wrong = list(_wrong(spec, shapes, run.outputs))
        if wrong:
            return Check("interface run", "fail", f"{'; '.join(wrong)} {at}")
    return Check("interface run", "pass", f"outputs as documented at {' and '.join(POINTS[: len(done)])} sizes")


def _inputs(spec: Spec, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    found = {}
    for port in spec.inputs:
        whole = "int" in port.dtype or port.dtype == "bool"
        kind = "integers" if whole and port.values == "normal" else port.values
        found[port.name] = draw(kind, shapes[port.name], port.dtype, f"interface/{port.name}")
    return found


def _wrong(spec: Spec, shapes: Mapping[str, tuple[int, ...]], outputs: Mapping[str, Any]) -> Iterator[str]:
    for port in spec.outputs:
        value = outputs.get(port.name)
        if value is None:
            continue  # the check of names has reported it
        if tuple(value.shape) != shapes[port.name]:
            moved = sorted(value.shape) == sorted(shapes[port.name])
            yield (
                f"output {port.name} is {list(value.shape)}, the spec says {list(shapes[port.name])}"
                f"{': transposed?' * moved}"
            )
        elif str(value.dtype) != port.dtype:
            yield f"output {port.name} is {value.dtype}, the spec says {port.dtype}"
