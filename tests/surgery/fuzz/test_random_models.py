"""Random models compute the same after the passes, without the help of the guard.

A few run always. Many: `SURGEON_FUZZ_MODELS=5000 SURGEON_FUZZ_SEED=70000 pytest -m slow tests/surgery/fuzz`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest

import surgery
from surgery.passes import all_passes
from tests.surgery.fuzz import contrib
from tests.surgery.fuzz.generator import Draft, draft
from tests.surgery.fuzz.pieces import PIECES
from tests.surgery.passes.comparing import run

EXACT = {rule.code for rule in all_passes() if rule.exact}
TARGETS = ("tensorrt-rtx", "onnxruntime")


def valid(model: onnx.ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:  # several kinds
        return False
    return True


def difference(one: Any, other: Any, kind: str, exact: bool) -> str:
    """What differs by more than rounding.

    After passes that round, "special" inputs tell the shape alone, and "large" ones what is finite on both sides.
    """
    if one.dtype != other.dtype or one.shape != other.shape:
        return f"{other.dtype}{list(other.shape)} instead of {one.dtype}{list(one.shape)}"
    if kind == "special" and not exact:
        return ""
    if one.dtype.kind != "f":
        return "" if np.array_equal(one, other) else "other values"
    finite = np.isfinite(one) & np.isfinite(other)
    if (kind != "large" or exact) and not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return "NaN or infinities in other places"
    scale = np.abs(one[finite]).max(initial=1.0)
    return "" if np.allclose(one[finite], other[finite], rtol=1e-4, atol=1e-4 * scale) else "other values"


def faults(made: Draft) -> list[str]:
    """Everything that is wrong with the fixed model."""
    model, found = made.finished(), []
    references = []
    for kind, inputs in made.sets():
        try:
            references.append((kind, inputs, run(model, inputs)))
        except Exception:  # the original does not take these
            continue
    for target in TARGETS:
        fixed, report = surgery.fix_model(model, guard=False, target=target)
        codes = {finding.code for finding in report.findings}
        found += [f"{target}: {check.message}" for check in report.checks if "failed while fixing" in check.message]
        found += [f"{target}: {check.message}" for check in report.checks if "could not look" in check.message]
        if list(fixed.graph.output) != list(model.graph.output) or list(fixed.graph.input) != list(model.graph.input):
            found.append(f"{target}: inputs or outputs are declared otherwise")
        if valid(model) and not valid(fixed):
            found.append(f"{target}: no longer valid")
        for kind, inputs, wanted in references:
            try:
                got = run(fixed, inputs)
            except Exception as error:
                found.append(f"{target}, {kind} inputs: does not run: {str(error)[:200]}")
                continue
            pairs = zip(wanted, got, strict=True)
            parts = (difference(one, other, kind, codes <= EXACT) for one, other in pairs)
            found += [f"{target}, {kind} inputs: {part} ({', '.join(sorted(codes))})" for part in parts if part][:1]
        again, second = surgery.fix_model(fixed, guard=False, target=target)
        if again is not fixed:
            found.append(f"{target}: changes again: {[finding.code for finding in second.findings]}")
    return found


@pytest.mark.parametrize("block", range(4))
def test_a_few_random_models(block: int) -> None:
    wrong = {seed: faults(draft(seed, PIECES)) for seed in range(10 * block, 10 * block + 10)}
    assert {seed: found for seed, found in wrong.items() if found} == {}


@pytest.mark.parametrize("piece", contrib.PIECES, ids=lambda piece: piece.__name__)
def test_models_with_operators_that_are_rewritten_as_a_whole(piece: Any) -> None:
    drafts = {seed: draft(seed, [piece, *PIECES[:2]], most=3) for seed in range(8)}
    assert {seed: found for seed, made in drafts.items() if (found := faults(made))} == {}
    reports = (surgery.fix_model(made.finished(), guard=False)[1] for made in drafts.values())
    assert {finding.code for report in reports for finding in report.findings} >= contrib.PIECES[piece]


@pytest.mark.slow
def test_many_random_models() -> None:
    first, count = (
        int(os.environ.get(f"SURGEON_FUZZ_{name}", default)) for name, default in (("SEED", 1000), ("MODELS", 500))
    )
    pieces = (*PIECES, *contrib.PIECES)
    wrong = {seed: faults(draft(seed, pieces)) for seed in range(first, first + count)}
    assert {seed: found for seed, found in wrong.items() if found} == {}


@pytest.mark.parametrize("piece", dict.fromkeys((*PIECES, *contrib.PIECES)), ids=lambda piece: piece.__name__)
def test_every_piece_is_drawn(piece: Any) -> None:
    assert any(len(draft(seed, [piece], most=2).nodes) > 1 for seed in range(30))
