"""Error statistics against values worked out by hand, and limits applied to saved statistics."""

from __future__ import annotations

import json
import math

import ml_dtypes
import numpy as np
import pytest

from verify.compare.statistics import Limits, judge, share_above, tensor_statistics


def test_figures_of_a_small_tensor_by_hand() -> None:
    expected = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    actual = np.array([[3.0, 4.5], [0.0, 0.0]], np.float32)
    found = tensor_statistics(actual, expected)
    assert found["max_abs"] == 0.5
    assert found["mean_abs"] == 0.125
    assert found["worst"] == [0, 1]
    assert found["rms"] == 2.5
    assert found["max_rel"] == pytest.approx(0.2)
    assert found["rms_rel"] == pytest.approx(0.1)
    assert found["cosine"] == pytest.approx((9 + 18) / (5 * math.hypot(3, 4.5)))
    assert share_above(found, 0.1) == 0.25
    assert sum(found["histogram"]["counts"]) == 4


def test_no_element_is_above_where_the_largest_error_is_not() -> None:
    same = np.array([True, False])
    assert share_above(tensor_statistics(same, same), 0.0) == 0.0
    one = np.array([1.0, 1.0], np.float32)
    found = tensor_statistics(np.array([1.0, 1.25], np.float32), one)
    assert share_above(found, 0.25) == 0.0
    assert share_above(found, 0.2) == 0.5


def test_nan_and_infinity_count_where_only_one_side_has_them() -> None:
    expected = np.array([np.nan, np.nan, np.inf, np.inf, 1.0])
    actual = np.array([np.nan, 0.0, np.inf, -np.inf, 1.0])
    found = tensor_statistics(actual, expected)
    assert (found["nan_mismatch"], found["inf_mismatch"], found["max_abs"]) == (1, 1, 0.0)
    assert len(judge(found, Limits())) == 2
    assert judge(tensor_statistics(expected, expected), Limits(max_abs=0.0)) == []


def test_another_shape_or_dtype_is_a_problem() -> None:
    one = np.ones(3, np.float32)
    assert judge(tensor_statistics(one, one), Limits()) == []
    assert judge(tensor_statistics(one, one[:2]), Limits()) == ["shape [3] instead of [2]"]
    assert judge(tensor_statistics(one, one.astype(int)), Limits()) == ["dtype float32 instead of int64"]


def test_bool_integers_halves_and_strings_compare() -> None:
    assert tensor_statistics(np.array([True, False]), np.array([True, True]))["max_abs"] == 1.0
    half = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    assert tensor_statistics(half, half)["max_abs"] == 0.0
    words = np.array(["a", "b"], object)
    assert judge(tensor_statistics(words, np.array(["a", "c"], object)), Limits()) == ["1 strings differ"]


def test_empty_and_zero_tensors() -> None:
    assert tensor_statistics(np.zeros((0, 3)), np.zeros((0, 3)))["max_abs"] == 0.0
    found = tensor_statistics(np.array([1e-3]), np.array([0.0]))
    assert found["max_rel"] == found["max_abs"] == 1e-3
    assert found["cosine"] == 0.0


def test_limits_apply_again_to_saved_statistics() -> None:
    generator = np.random.Generator(np.random.Philox(1))
    expected = generator.standard_normal(4000)
    actual = expected + 1e-4 * generator.standard_normal(4000)
    saved = json.loads(json.dumps(tensor_statistics(actual, expected)))
    assert judge(saved, Limits(max_rel=1e-3, rms_rel=2e-4, cosine=0.999, share_above=(1e-3, 0.0))) == []
    assert len(judge(saved, Limits(max_rel=1e-5, rms_rel=1e-6, max_abs=1e-9, mean_abs=1e-9, cosine=1.1))) == 5
    true_share = float(np.mean(np.abs(actual - expected) > 1e-4 * saved["rms"]))
    assert share_above(saved, 1e-4) == pytest.approx(true_share, abs=0.02)
    assert judge(saved, Limits(share_above=(1e-4, 0.1)))[0].endswith("allowed 10.00%")
