"""SG179: GroupQueryAttention of com.microsoft."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, parse, stays
from tests.surgery.passes.contrib import accepted, builds, contrib, keeps_plain

CODE = "SG179"
PARTS = "float[B,S,64] q, float[B,S,32] k, float[B,S,32] v"
ONE_ROW, ONE_STEP = PARTS.replace("B,", "1,"), PARTS.replace("S,", "1,")
CACHE = "float[B,2,6,16] pk, float[B,2,6,16] pv"
ENDS = "int32[B] n, int32[1] t"
MADE = "(float[B,S,64] y, float[B,2,P,16] ok, float[B,2,P,16] ov)"


def grouped(name: str, inputs: str, arguments: str, attributes: str = "", tables: str = "", **values: object) -> Case:
    """Two heads of keys and values for four of queries, each 16 wide; three rows of three positions."""
    return contrib(
        name,
        f"""g ({inputs}, {ENDS}) => {MADE} {tables} {{ y, ok, ov = com.microsoft.GroupQueryAttention<num_heads = 4,
          kv_num_heads = 2{attributes}>({arguments}) }}""",
        **values,
    )


FIRST = {"n": [2, 2, 2], "t": [3]}
NEXT = {"q": [[[0.5] * 64]] * 3, "k": [[[0.25] * 32]] * 3, "v": [[[2.0] * 32]] * 3, "n": [6, 3, 4], "t": [7]}
REWRITES = [
    grouped("first positions", PARTS, "q, k, v, , , n, t", **FIRST),
    grouped("rows of several lengths", PARTS, "q, k, v, , , n, t", n=[2, 0, 1], t=[3]),
    grouped("packed", "float[B,S,128] q", "q, , , , , n, t", **FIRST),
    grouped("scale and softcap", PARTS, "q, k, v, , , n, t", ", scale = 0.3, softcap = 2.0", **FIRST),
    grouped("a window", ONE_ROW, "q, k, v, , , n, t", ", local_window_size = 2", n=[2], t=[3]),
    grouped("an empty cache", f"{PARTS}, {CACHE}", "q, k, v, pk, pv, n, t", **FIRST),
    grouped("the next position, with a window", f"{ONE_STEP}, {CACHE}", "q, k, v, pk, pv, n, t",
            ", local_window_size = 3", **NEXT),
    grouped("scores are given", f"{PARTS}, float[1,4,S,T] b", "q, k, v, , , n, t, , , , b", **FIRST),
]  # fmt: skip
LEFT_ALONE = [
    grouped("a window over rows that may be shorter", PARTS, "q, k, v, , , n, t", ", local_window_size = 2", **FIRST),
    grouped("a smooth softmax", PARTS, "q, k, v, , , n, t", ", smooth_softmax = 1"),
    grouped("not causal", PARTS, "q, k, v, , , n, t", ", causal = 0"),
    grouped("a sliding cache", f"{PARTS}, {CACHE}", "q, k, v, pk, pv, n, t", ", sliding_window_cache = 1"),
    grouped("positions are given", f"{PARTS}, int64[B,S] p", "q, k, v, , , n, t, , , p"),
    grouped("turned without tables", PARTS, "q, k, v, , , n, t", ", do_rotary = 1"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_plain(CODE, case)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("cached", [False, True])
def test_turns_by_position(interleaved: int, cached: bool) -> None:
    width = 8
    numbers = [round(0.1 * place, 1) for place in range(12 * width)]
    tables = "<" + ", ".join(f"float[12,{width}] {n} = {{{', '.join(map(str, numbers))}}}" for n in "cs") + ">"
    inputs, past = (f"{PARTS}, {CACHE}", "pk, pv") if cached else (PARTS, ",")
    attributes = f", do_rotary = 1, rotary_interleaved = {interleaved}"
    values = NEXT if cached else FIRST
    case = grouped("turned", inputs, f"q, k, v, {past}, n, t, c, s", attributes, tables, **values)
    keeps_plain(CODE, case, atol=1e-4)


@pytest.mark.parametrize("case", REWRITES[:5], ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


def test_a_model_whose_lengths_come_from_its_mask_is_built() -> None:
    text = f"""g ({PARTS}, float[B,2,L,16] pk, float[B,2,L,16] pv, int64[B,T] m) => {MADE}
        <int64[1] axis = {{1}}, int64[1] one = {{1}}>
        {{ seen = ReduceSum<keepdims = 0>(m, axis) last = Sub(seen, one) n = Cast<to = 6>(last)
           size = Shape<start = 1, end = 2>(m) t = Cast<to = 6>(size) y, ok, ov =
           com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 2>(q, k, v, pk, pv, n, t) }}"""
    numbers = np.random.default_rng(0)
    shapes = {"q": (2, 1, 64), "k": (2, 1, 32), "v": (2, 1, 32), "pk": (2, 2, 6, 16), "pv": (2, 2, 6, 16)}
    feeds = {name: numbers.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    feeds["m"] = np.ones((2, 7), np.int64)
    fixed, report = surgery.fix_model(parse(contrib("masked", text).text, 17), check_inputs=feeds)
    assert [check.message for check in report.checks if check.status != "pass"] == []
    assert {node.domain for node in fixed.graph.node} == {""}
    builds(fixed, feeds)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
