"""What is left of a large tensor shows a change of 1% in any 1% of it, and does not mistake noise for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from verify.compare.tolerance import derive, exceeded
from verify.goldens.compact import PROBES, WHOLE, block_size, block_sums, pack, probe_places, statistics, weights

Array = Any
SHAPE = (1, 64, 32, 48)
TRIALS = 40


def tensor(seed: int = 0) -> Array:
    """Features whose channels differ tenfold in size, half of them far from zero mean."""
    random = np.random.Generator(np.random.Philox(seed))
    scale = np.geomspace(0.3, 3.0, SHAPE[1]).reshape(1, -1, 1, 1)
    return (scale * (random.standard_normal(SHAPE) + (np.arange(SHAPE[1]) % 2).reshape(1, -1, 1, 1))).astype(np.float32)


def noisy(array: Array, seed: int) -> Array:
    """Differences of the size that runs of SAM2 show among each other: 1e-5 of RMS, in part shared by a channel."""
    random = np.random.Generator(np.random.Philox(seed))
    shared = random.standard_normal((1, SHAPE[1], 1, 1))
    size = 1e-5 * np.sqrt(np.mean(np.square(array, dtype=np.float64)))
    return (array + size * (random.standard_normal(SHAPE) + 0.1 * shared)).astype(np.float32)


EXPECTED = tensor()
PACKED = pack(EXPECTED)
TOLERANCE = derive({str(s): statistics(noisy(EXPECTED, s), SHAPE, "float32", PACKED) for s in range(1, 6)}, "float32")


def caught(changed: Array) -> bool:
    return bool(exceeded(statistics(changed.astype(np.float32), SHAPE, "float32", PACKED), TOLERANCE))


def scattered(random: Any, count: int) -> Array:
    return random.choice(EXPECTED.size, count, replace=False)


def contiguous(random: Any, count: int) -> Array:
    start = int(random.integers(0, EXPECTED.size - count))
    return np.arange(start, start + count)


def one_channel(random: Any, count: int) -> Array:
    size = EXPECTED.size // SHAPE[1]
    return int(random.integers(0, SHAPE[1])) * size + np.arange(size)[:count]


def one_column(random: Any, count: int) -> Array:
    """The same places in every channel: as a changed pixel shows."""
    size = EXPECTED.size // SHAPE[1]
    pixels = random.choice(size, count // SHAPE[1], replace=False)
    return (np.arange(SHAPE[1])[:, None] * size + pixels).reshape(-1)


def between_probes(random: Any, count: int) -> Array:
    places = random.choice(EXPECTED.size, count, replace=False)
    return places[~np.isin(places, probe_places(EXPECTED.size))]


def of_rms(random: Any, values: Array) -> Array:
    return np.full(values.size, 0.01 * np.sqrt(np.mean(np.square(EXPECTED))))


def of_rms_balanced(random: Any, values: Array) -> Array:
    """Adds up to zero: neither the sum nor the mean of the tensor moves."""
    signs = np.where(np.arange(values.size) % 2, -1.0, 1.0)
    return of_rms(random, values) * signs


def of_own_value(random: Any, values: Array) -> Array:
    return 0.01 * values


def of_own_value_either_way(random: Any, values: Array) -> Array:
    return 0.01 * values * random.choice([-1.0, 1.0], values.size)


@pytest.mark.parametrize("change", [of_rms, of_rms_balanced, of_own_value, of_own_value_either_way])
@pytest.mark.parametrize("subset", [scattered, contiguous, one_channel, one_column, between_probes])
def test_one_percent_of_one_percent_is_caught(subset: Callable[..., Array], change: Callable[..., Array]) -> None:
    random = np.random.Generator(np.random.Philox(99))
    for trial in range(TRIALS):
        changed = noisy(EXPECTED, 1000 + trial).reshape(-1).astype(np.float64)
        places = subset(random, EXPECTED.size // 100)
        changed[places] += change(random, changed[places])
        assert caught(changed.reshape(SHAPE)), f"trial {trial}"


def test_noise_is_not_taken_for_a_change() -> None:
    assert not any(caught(noisy(EXPECTED, 5000 + trial)) for trial in range(200))


def test_values_moved_to_other_places_are_caught() -> None:
    flat = EXPECTED.reshape(-1).copy()
    flat[:983] = flat[:983][::-1]
    assert caught(flat.reshape(SHAPE))
    assert caught(EXPECTED[:, ::-1])
    assert caught(EXPECTED[..., ::-1])


def test_transposed_and_retyped_tensors_say_so() -> None:
    turned = statistics(np.swapaxes(EXPECTED, 2, 3), SHAPE, "float32", PACKED)
    assert exceeded(turned, TOLERANCE) == ["shape [1, 64, 48, 32] instead of [1, 64, 32, 48]: transposed?"]
    wide = statistics(EXPECTED.astype(np.float64), SHAPE, "float32", PACKED)
    assert exceeded(wide, TOLERANCE) == ["dtype float64 instead of float32"]


def test_estimates_are_close_to_the_whole_tensor() -> None:
    random = np.random.Generator(np.random.Philox(4))
    changed = (EXPECTED + 0.003 * random.standard_normal(SHAPE)).astype(np.float32)
    found = statistics(changed, SHAPE, "float32", PACKED)
    difference = changed.astype(np.float64) - EXPECTED
    rms = np.sqrt(np.mean(np.square(EXPECTED, dtype=np.float64)))
    assert found["rms"] == pytest.approx(rms)
    assert found["rms_rel"] == pytest.approx(np.sqrt(np.mean(difference**2)) / rms, rel=0.2)
    cosine = np.sum(changed * EXPECTED.astype(np.float64)) / np.linalg.norm(changed) / np.linalg.norm(EXPECTED)
    assert 1 - found["cosine"] == pytest.approx(1 - cosine, rel=0.5)


def test_worst_block_is_named() -> None:
    changed = EXPECTED.copy()
    changed[0, 17, 20:24] += 0.05
    (message,) = exceeded(statistics(changed, SHAPE, "float32", PACKED), TOLERANCE)[-1:]
    assert "worst at [0, 17, " in message


def test_small_tensors_are_kept_whole() -> None:
    small = np.arange(WHOLE, dtype=np.float32)
    packed = pack(small)
    assert list(packed) == ["whole"]
    moved = small.copy()
    moved[7] += 0.1
    assert statistics(moved, small.shape, "float32", packed)["worst"] == [7]


def test_masks_are_kept_whole_and_single_flips_allowed() -> None:
    random = np.random.Generator(np.random.Philox(8))
    mask = np.where(random.standard_normal((1, 1, 256, 256)) > 0, 10.0, -10.0).astype(np.float32)
    packed = pack(mask)
    assert set(packed) == {"levels", "codes"}
    same = statistics(mask, mask.shape, "float32", packed)
    tolerance = derive({"a second run": same}, "float32")
    assert exceeded(same, tolerance) == []
    assert tolerance["flips"] == 1
    one = mask.copy()
    one[0, 0, 5, 5] *= -1
    assert exceeded(statistics(one, mask.shape, "float32", packed), tolerance) == []
    for _ in range(20):
        places = random.choice(mask.size, mask.size // 100, replace=False)
        moved = mask.reshape(-1).copy()
        moved[places] *= 1.01
        assert exceeded(statistics(moved.reshape(mask.shape), mask.shape, "float32", packed), tolerance)
        flipped = mask.reshape(-1).copy()
        flipped[places] *= -1
        (message,) = exceeded(statistics(flipped.reshape(mask.shape), mask.shape, "float32", packed), tolerance)
        assert message == "1.00% of elements flipped to another value, allowed 1 in all"


def test_nan_and_infinity_are_counted() -> None:
    broken = EXPECTED.copy()
    broken[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    found = statistics(broken, SHAPE, "float32", PACKED)
    assert (found["nan_mismatch"], found["inf_mismatch"]) == (1, 2)
    assert statistics(broken, SHAPE, "float32", pack(broken))["rms_rel"] == 0.0
    assert exceeded(found, TOLERANCE)


def test_cosine_of_a_tensor_that_is_zero() -> None:
    """NaN keeps it from being stored as a few levels; what is left counts as zero."""
    zeros = np.zeros(5000, np.float32)
    zeros[0] = np.nan
    packed, ones = pack(zeros), np.where(np.isnan(zeros), zeros, np.float32(1))
    assert set(packed) == {"probes", "sums", "special"}
    assert statistics(zeros, zeros.shape, "float32", packed)["cosine"] == 1.0
    assert statistics(ones, zeros.shape, "float32", packed)["cosine"] == 0.0
    assert statistics(zeros, zeros.shape, "float32", pack(ones))["cosine"] == 0.0
    assert statistics(-ones, zeros.shape, "float32", pack(ones))["cosine"] < -0.7  # an estimate, and the sign is right


@pytest.mark.parametrize(("count", "form"), [(WHOLE, {"whole"}), (WHOLE + 1, {"probes", "sums", "special"})])
def test_size_from_which_a_tensor_is_cut_down(count: int, form: set[str]) -> None:
    assert set(pack(np.arange(count, dtype=np.float32))) == form


@pytest.mark.parametrize(("levels", "kept"), [(16, True), (17, False)])
def test_number_of_levels_that_are_kept_whole(levels: int, kept: bool) -> None:
    array = (np.arange(20_000) % levels).astype(np.float32)
    packed = pack(array)
    assert ("levels" in packed) is kept
    if kept:
        assert np.array_equal(packed["levels"][packed["codes"]], array)


def test_pieces() -> None:
    assert [block_size(n) for n in (1, 5000, 65536, 1 << 20, 1 << 30)] == [64, 64, 256, 4096, 16384]
    assert block_sums(np.ones(100)).shape == (2, 5)
    pair = weights(4096)
    assert abs(pair.mean()) < 0.05
    assert np.square(pair).mean() == pytest.approx(1.0, rel=0.05)
    places = probe_places(10_000)
    assert len(places) == PROBES
    assert (np.diff(places) > 0).all()
