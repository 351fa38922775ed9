"""Tolerances to the digit, and saved reports judged by other limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verify.compare.statistics import Limits, histogram, judge, share_above, tensor_statistics
from verify.compare.tolerance import derive, exceeded
from verify.errors import SurgeonError
from verify.rejudge import load_reports, rejudge, with_limits
from verify.render.data import to_json
from verify.report import Check, Finding, Report

RUNS = {
    "a second run": {"max_rel": 0.0, "rms_rel": 0.0},
    "2 threads": {"max_rel": 0.02, "rms_rel": 0.001, "block": 0.005},
    "optimisations": {"max_rel": 0.01, "rms_rel": 0.002, "block": 0.004},
}


def test_eight_times_what_was_measured() -> None:
    found = derive(RUNS, "int64")
    assert (found["max_rel"], found["rms_rel"], found["block"]) == pytest.approx((0.16, 0.016, 0.04))
    assert found["noise"] == {"max_rel": 0.02, "rms_rel": 0.002, "block": 0.005}
    assert found["reason"] == (
        "8 times the largest difference among a second run, 2 threads, optimisations (most from: optimisations)"
    )
    assert "flips" not in found


@pytest.mark.parametrize(
    ("dtype", "step"), [("float64", 2**-52), ("float32", 2**-23), ("float16", 2**-10), ("bfloat16", 2**-7), ("int8", 0)]
)
def test_rounding_steps_of_the_type_are_always_allowed(dtype: str, step: float) -> None:
    still = {"a second run": {"max_rel": 0.0, "rms_rel": 0.0}}
    for peak, factor in ((0.5, 1.0), (1.0, 1.0), (20.0, 20.0)):
        found = derive(still, dtype, peak)
        assert (found["max_rel"], found["rms_rel"], found["block"]) == (8 * step * factor, 8 * step, 8 * step)
    steps = f"; at least 8 rounding steps of {dtype}" if step else ""
    assert found["reason"] == f"8 times the largest difference among a second run (none){steps}"


@pytest.mark.parametrize(("elements", "flips", "allowed"), [(100_000, 0, 1), (100_001, 0, 2), (100_000, 2, 16)])
def test_flips_that_are_allowed(elements: int, flips: int, allowed: int) -> None:
    runs = {"1": {"elements": elements, "flips": 0}, "2": {"elements": elements, "flips": flips}}
    found = derive(runs, "float32")
    assert (found["flips"], found["noise"]["flips"]) == (allowed, flips)
    assert found["reason"].endswith("; 1e-05 of the elements may be on the edge between two values")


TOLERANCE = {"max_rel": 0.1, "rms_rel": 0.01, "block": 0.2, "flips": 2}


@pytest.mark.parametrize(
    ("figures", "scale", "wrong"),
    [
        ({"max_rel": 0.1, "rms_rel": 0.01, "block": 0.2, "flips": 2}, 1.0, []),
        ({"max_rel": 0.11}, 1.0, ["largest error / RMS 0.11, allowed 0.1; worst at [4]"]),
        ({"max_rel": 0.11}, 2.0, []),
        ({"rms_rel": 0.03}, 2.0, ["RMS error / RMS 0.03, allowed 0.02; worst at [4]"]),
        ({"block": 0.21}, 1.0, ["sums over a block off by 0.21, allowed 0.2; worst at [4]"]),
        ({"block": 0.41}, 2.0, ["sums over a block off by 0.41, allowed 0.4; worst at [4]"]),
        ({"block": float("nan")}, 1.0, ["sums over a block off by nan, allowed 0.2; worst at [4]"]),
        ({"max_rel": 0.2, "block": 9.0}, 1.0, ["largest error / RMS 0.2, allowed 0.1; worst at [4]"]),
        ({"flips": 3}, 1.0, ["3.00% of elements flipped to another value, allowed 2 in all"]),
        ({"flips": 3}, 2.0, []),
        ({"problem": "shape"}, 1.0, ["shape"]),
    ],
)
def test_what_exceeds_a_tolerance(figures: dict[str, Any], scale: float, wrong: list[str]) -> None:
    given = {"max_rel": 0.0, "rms_rel": 0.0, "worst": [4], "elements": 100, **figures}
    assert exceeded(given, TOLERANCE, scale) == wrong


def test_worst_place_may_be_a_range_or_unknown() -> None:
    figures = {"max_rel": 1.0, "rms_rel": 0.0}
    assert exceeded({**figures, "worst": "[0, 1:3]"}, TOLERANCE)[0].endswith("; worst at [0, 1:3]")
    assert exceeded(figures, TOLERANCE) == ["largest error / RMS 1, allowed 0.1"]


LIMITS = Limits(1.0, 2.0, 3.0, 4.0, 0.5, (0.5, 0.25))
AT_THE_LIMIT = {"max_abs": 1.0, "mean_abs": 2.0, "max_rel": 3.0, "rms_rel": 4.0, "cosine": 0.5}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_abs": 1.1}, "largest error 1.1, allowed 1"),
        ({"mean_abs": 2.1}, "mean error 2.1, allowed 2"),
        ({"max_rel": 3.1}, "largest error / RMS 3.1, allowed 3"),
        ({"rms_rel": 4.1}, "RMS error / RMS 4.1, allowed 4"),
        ({"rms_rel": float("nan")}, "RMS error / RMS nan, allowed 4"),
        ({"cosine": 0.4}, "cosine 0.400000, at least 0.500000 asked"),
        ({"nan_mismatch": 2}, "2 elements are NaN on one side only"),
        ({"inf_mismatch": 3}, "3 elements are infinite on one side only"),
        ({"histogram": {"edges": [0, 0.5, 1, 2], "counts": [5, 1, 2]}},
         "37.50% of elements off by more than 0.5 RMS, allowed 25.00%"),
    ],
)  # fmt: skip
def test_each_limit(change: dict[str, Any], said: str) -> None:
    assert judge(AT_THE_LIMIT, LIMITS) == []
    assert judge({}, LIMITS) == []
    assert judge({**AT_THE_LIMIT, **change}, LIMITS) == [said]


def test_shares_and_bins() -> None:
    bins = histogram(np.array([0.0, 0.0, 0.01, 5.0, 1e9, np.inf]))
    assert sum(bins["counts"]) == 6
    assert bins["edges"][0] == 0.0
    assert bins["edges"][-1] == 1000.0
    assert (bins["counts"][0], bins["counts"][-1]) == (2, 2)
    assert share_above({"histogram": bins}, 0.5) == 0.5
    assert share_above({"histogram": bins}, 999.0) == pytest.approx(2 / 6)
    assert share_above({"histogram": bins}, 1000.0) == 0.0
    assert share_above({"histogram": {"edges": [0.0, 1.0], "counts": [0]}}, 0.5) == 0.0
    narrow = histogram(np.array([0.011, 0.012, 0.5]))
    assert narrow["counts"][0] == 2
    assert narrow["edges"][0] <= 0.011
    assert len(narrow["edges"]) == len(narrow["counts"]) + 1


def test_elements_without_a_number_are_left_out_on_both_sides() -> None:
    expected, actual = np.array([3.0, np.nan, 4.0, 1.0]), np.array([3.0, 7.0, 5.0, np.inf])
    found = tensor_statistics(actual, expected)
    assert (found["max_abs"], found["mean_abs"], found["worst"]) == (1.0, 0.5, [2])
    assert found["rms"] == pytest.approx(np.sqrt(12.5))
    assert found["cosine"] == pytest.approx((9 + 20) / 5 / np.hypot(3, 5))
    assert (found["nan_mismatch"], found["inf_mismatch"], found["elements"]) == (1, 1, 4)


def report(*errors: float) -> Report:
    tensors = {f"t{i}": {**AT_THE_LIMIT, "max_abs": error} for i, error in enumerate(errors)}
    checks = [Check("golden", "fail", "old", {"tensors": tensors}), Check("onnx", "fail", "kept")]
    return Report("m.onnx", checks, [Finding("SG001", "odd", node="n", details={"says": "s"})])


@pytest.mark.parametrize(
    ("errors", "status", "said"),
    [
        ((0.5, 1.0), "pass", "2 outputs within the limits given"),
        ((0.5, 1.5), "fail", "t1: largest error 1.5, allowed 1"),
        ((1.5, 0.5, 2.0, 3.0), "fail", "t0: largest error 1.5, allowed 1 (and 2 more)"),
    ],
)
def test_saved_reports_are_judged_again(tmp_path: Path, errors: Any, status: str, said: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(to_json([report(*errors)]))
    (loaded,) = load_reports(path)
    assert loaded == report(*errors)
    golden, onnx = rejudge(loaded, Limits(max_abs=1.0)).checks
    assert (golden.status, golden.message) == (status, said)
    assert (onnx.status, onnx.message) == ("fail", "kept")
    assert with_limits([loaded], Limits()) == [loaded]
    assert with_limits([loaded], Limits(max_abs=1.0))[0].checks == [golden, onnx]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("{", "JSONDecodeError"),
        ("{}", "KeyError"),
        ("[]", "TypeError"),
        (json.dumps({"reports": [{"model": "m", "checks": [{}], "findings": []}]}), "KeyError"),
        (json.dumps({"reports": [{"model": "m", "checks": [], "findings": [{"odd": 1}]}]}), "TypeError"),
        (json.dumps({"reports": [{"model": "m", "checks": [], "findings": [3]}]}), "AttributeError"),
        ("[" * 100_000, "RecursionError"),
        (None, "No such file"),
    ],
)
def test_file_that_holds_no_reports(tmp_path: Path, content: str | None, kind: str) -> None:
    path = tmp_path / "saved.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SurgeonError, match=kind) as caught:
        load_reports(path)
    assert str(caught.value).startswith(f"{path}: ")
