"""SG147: loops that collect while a counter is below a number."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG147"
REWRITES = [
    Case(
        "while below a number",
        """g (int32 n, float[2] x) => (float[k,2] y) <int32 s = {0}, int32 one = {1}, bool on = {1}> {
          e, y = Loop("", on, s)<body = b (int64 i, bool p, int32 v) => (bool q, int32 w, float[2] u) {
            w = Add(v, one)
            q = Less(w, n)
            u = Neg(x)
          }>
        }""",
        after="""g (int32 n, float[2] x) => (float[k,2] y)
        <int32 s = {0}, int32 one = {1}, bool on = {1}, int64 t0 = {0}, int64 t1 = {1}> {
          t2 = Cast<to = 7>(n)
          t3 = Sub(t2, t0)
          t4 = Max(t3, t1)
          e, y = Loop(t4, on, s)<body = b (int64 i, bool p, int32 v) => (bool q, int32 w, float[2] u) {
            w = Add(v, one)
            q = Less(w, n)
            u = Neg(x)
          }>
        }""",
        inputs={"n": 3},
    ),
]


TEXT = (
    "g (int32 n, int32 s, float[2] x) => (int32 last, float[k,2] all)"
    " <int32 by = {{{step}}}, int32 nine = {{9}}, float seven = {{7}}, float part = {{7.5}}, bool yes = {{1}}> {{"
    ' on = {first} last, end, all = Loop("", on, s, n) <body ='
    " b (int64 i, bool before, int32 v, int32 m) => (bool after, int32 w, int32 same, float[2] u)"
    " {{ w = Add(v, by) same = Identity(m) {after} f = Cast<to = 1>(w) u = Mul(x, f) }}> }}"
)
STARTS = "Less(s, n)"
FLOATS = "p = Cast<to = 1>(w) q = Cast<to = 1>(m) after = Less(p, q)"


def text(first: str = STARTS, after: str = "after = Less(w, m)", step: int = 1) -> str:
    return TEXT.format(first=first, after=after, step=step)


def inputs(n: int, start: int) -> dict[str, np.ndarray]:
    return {"n": np.array(n, np.int32), "s": np.array(start, np.int32), "x": np.array([1.5, -2], np.float32)}


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize(
    ("first", "after"),
    [
        (STARTS, "after = Less(w, m)"),
        (STARTS, "after = Greater(m, w)"),
        ("Less(s, n)", "after = Less(w, n)"),
        ("Identity(yes)", FLOATS),
        ("LessOrEqual(s, n)", "after = LessOrEqual(w, m)"),
        ("Identity(yes)", "after = LessOrEqual(w, nine)"),
        ("Identity(yes)", "p = Cast<to = 1>(w) after = Less(p, seven)"),
    ],
)
def test_it_is_told_how_often_it_runs(first: str, after: str, step: int) -> None:
    """The count itself is right, not only what the loop gives: TensorRT takes its length from it."""
    sets = [inputs(*ends) for ends in ((7, 0), (8, 2), (1, 0), (5, 5), (2, 6), (9, 8), (6, 5))]
    fixed = same(text(first, after, step), 17, "SG147", sets, exact=True)
    assert "Loop" in operators(fixed)
    loop = next(node for node in fixed.graph.node if node.op_type == "Loop")
    assert loop.input[0]
    fixed.graph.output.append(onnx.helper.make_tensor_value_info(loop.input[0], 7, None))
    session = onnxruntime.InferenceSession(fixed.SerializeToString(), providers=["CPUExecutionProvider"])
    for feeds in sets:
        _, collected, turns = session.run(None, feeds)
        assert np.ravel(turns) == [len(collected)]


@pytest.mark.parametrize(
    "model",
    [
        text(step=-1),
        text(first="Less(n, s)"),
        text(first="Greater(x, x)").replace("on = Greater(x, x)", "o = Less(s, nine) on = Not(o)"),
        text(after="after = Less(v, m)"),
        text(after="after = Not(before)"),
        text(after="m2 = Add(m, by) after = Less(w, m2)"),
        text().replace("same = Identity(m)", "same = Add(m, by)"),
        text(after=FLOATS.replace("Less", "LessOrEqual")),
        text(first="Identity(yes)", after="p = Cast<to = 1>(w) after = Less(p, part)"),
        text().replace('Loop("",', "Loop(turns,").replace("on = ", "turns = Cast<to = 7>(n) on = "),
    ],
    ids=[
        "down",
        "other start",
        "other test",
        "old value",
        "no test",
        "moving end",
        "moving state",
        "rounded",
        "part",
        "told",
    ],
)
def test_left_alone(model: str) -> None:
    left_alone(model, 17, "SG147")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
