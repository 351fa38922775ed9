"""Pairs of models of which a golden of the first must let the second not pass, and goldens that could tell nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.verify.goldens.judging import golden, passes, random, write
from verify import record_golden, verify_model
from verify.errors import SurgeonError


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_layer_normalization_over_another_axis() -> None:
    """onnxruntime's optimiser fuses Add and LayerNormalization and forgets the axis."""
    text = (
        '<ir_version: 9, opset_import: ["" : 17]> g (float[2,6,8] x, float[2,6,8] z) => (float[2,6,8] y) '
        "{ a = Add(x, z)  y = LayerNormalization<axis = -1>(a, s, b) }"
    )
    weights = {"s": np.arange(8, dtype=np.float32), "b": np.arange(8, dtype=np.float32)}
    record_golden(write(text, **weights))
    assert passes()
    write(text.replace("-1", "-2"), **weights)
    assert not passes()


@pytest.mark.parametrize(
    ("good", "bad", "shape"),
    [
        ("y = ArgMax<axis = 1>(c)", "y = ArgMin<axis = 1>(c)", "int64[1,1,128,128] y"),
        ("m = Greater(c, zero) y = Cast<to = 1>(m)", "m = Less(c, zero) y = Cast<to = 1>(m)", "float[1,5,128,128] y"),
    ],
)
def test_flips_count_under_given_limits_too(good: str, bad: str, shape: str) -> None:
    from verify.compare.statistics import Limits
    from verify.rejudge import rejudge

    text = f"g (float[1,8,128,128] x) => ({shape}) {{ zero = Constant<value_float = 0.0>() c = Conv(x, w) {good} }}"
    weight = random(5, 8, 1, 1)
    limits = Limits(rms_rel=1e-3, cosine=0.9999)
    record_golden(write(text, w=weight))
    report = verify_model("m.onnx", spec=None, goldens=["golden"], tensorrt=False)
    assert rejudge(report, limits).exit_code == 0
    write(text.replace(good, bad), w=weight)
    report = verify_model("m.onnx", spec=None, goldens=["golden"], tensorrt=False)
    assert rejudge(report, limits).exit_code == 1


def test_a_case_that_does_not_run_counts_under_given_limits_too() -> None:
    from verify.compare.statistics import Limits
    from verify.rejudge import rejudge

    text = "g (float[N,4] x) => (float[N,4] y) { y = Neg(x) }"
    record_golden(write(text))
    write("g (float[N,4] x) => (float[N,4] y) { a = Reshape(x, s)  y = Neg(a) }", s=np.array([3, 4]))
    report = verify_model("m.onnx", spec=None, goldens=["golden"], tensorrt=False)
    assert rejudge(report, Limits(rms_rel=10.0, max_rel=10.0)).exit_code == 1


def test_inputs_of_attention_are_not_one_constant() -> None:
    text = (
        '<ir_version: 11, opset_import: ["" : 23]> g (float[1,2,6,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => '
        "(float[1,2,6,8] y) { y = Attention(q, k, v) }"
    )
    record_golden(write(text))
    assert passes()
    write(text.replace("Attention(", "Attention<scale = 3.0, is_causal = 1>("))
    assert not passes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("g (float[N,4] x) => (float[N,4] y) { a = Mul(x, z) y = Div(a, z) }", "output 'y' is not finite"),
        ("g (float[N,4] x) => (float[N,4] y) { a = Mul(x, z) y = Add(a, z) }", "output 'y' is always 0.0"),
        (
            "g (float[N,4] x) => (float[N,4] y) { r = RandomNormalLike<scale = 0.001>(x) y = Add(x, r) }",
            "RandomNormalLike 'node_of_r' draws random numbers",
        ),
    ],
)
def test_a_golden_that_could_tell_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(SurgeonError, match=said):
        record_golden(write(text, z=np.float32(0.0)))
    assert not Path("golden").exists()


def test_an_output_that_tells_nothing_is_noted() -> None:
    made = record_golden(write("g (float[N,4] x) => (float[N,4] y, float[N,4] z) { y = Neg(x) z = Sub(x, x) }"))
    assert made.golden.notes == ("output 'z' is always 0.0 for all inputs that were drawn",)
    assert json.loads(Path("golden/index.json").read_text())["goldens"][0]["notes"] == list(made.golden.notes)


def test_a_random_operator_that_was_not_there_is_a_failure() -> None:
    record_golden(write("g (float[N,4] x) => (float[N,4] y) { y = Neg(x) }"))
    write("g (float[N,4] x) => (float[N,4] y) { r = RandomNormalLike<scale = 0.0>(x) a = Add(x, r) y = Neg(a) }")
    assert "draws random numbers, which the recorded model did not" in golden()[0].message


@pytest.mark.parametrize("rows", [40, 4000])  # stored whole, and as sums
def test_large_channels_do_not_hide_small_ones(rows: int) -> None:
    """Boxes in pixels beside scores: an error of the scores is nothing beside the boxes."""
    text = f"g (float[{rows},6] x) => (float[{rows},6] y) {{ a = Sigmoid(x) y = Mul(a, scale) }}"
    scale = np.array([640, 640, 640, 640, 1e-3, 1e-3], np.float32)
    record_golden(write(text, scale=scale))
    assert passes()
    write(text, scale=scale * np.array([1, 1, 1, 1, 1, 1.01], np.float32))
    (check,) = golden()
    assert check.status == "fail"
    assert "y (normal): axis 1, index 5 off by 0.0" in check.message


@pytest.mark.parametrize("fill", [-3.4028234663852886e38, -1e9, -10000.0, -np.inf])
@pytest.mark.parametrize("rows", [8, 2000])
def test_the_fill_of_a_mask_hides_nothing(rows: int, fill: float) -> None:
    text = (
        f"g (float[{rows},8] x, bool[{rows},8] keep) => (float[{rows},8] y) "
        "{ a = Tanh(x) b = Mul(a, w) y = Where(keep, b, f) }"
    )
    weight = random(8)
    record_golden(write(text, w=weight, f=np.float32(fill)))
    assert passes()
    write(text, w=weight * np.float32(1.0001), f=np.float32(fill))
    assert not passes()
    write(text.replace("Where(keep, b, f)", "Where(keep, f, b)"), w=weight, f=np.float32(fill))
    assert not passes()
    assert any("on one side only" in check.message for check in golden())


def test_a_tiny_bounded_output_is_not_refused() -> None:
    """Values near zero: their rounding errors are large beside themselves and nothing beside the bound."""
    text = "g (float[4,64] x) => (float[4,64] y) { a = Mul(x, tiny) b = Add(a, one) c = Sub(b, one) y = Tanh(c) }"
    weights = {"tiny": np.float32(1e-6), "one": np.float32(1.0), "more": np.float32(1e-4)}
    record_golden(write(text, **weights), inputs={"x": random(4, 64)})
    assert passes()
    write(text.replace("y = Tanh(c)", "d = Add(c, more) y = Tanh(d)"), **weights)
    assert not passes()


def test_a_free_dim_that_was_frozen_is_a_failure() -> None:
    record_golden(write("g (float[N,4] x) => (float[N,4] y) { y = Neg(x) }"))
    write("g (float[3,4] x) => (float[3,4] y) { y = Neg(x) }")
    (check,) = golden()
    assert (check.status, check.message) == ("fail", "input x is [3, 4]; the golden was recorded with [1, 4]")


def test_every_row_of_a_table_is_read() -> None:
    text = "g (int64[N,T] ids) => (float[N,T,4] y) { y = Gather(table, ids) }"
    table = random(2000, 4)
    record_golden(write(text, table=table))
    assert passes()
    for row in (0, 777, 1999):
        changed = table.copy()
        changed[row] *= 2
        write(text, table=changed)
        assert not passes()


def test_on_another_processor_the_tight_verdict_is_a_warning() -> None:
    text = "g (float[N,8] x) => (float[N,8] y) { a = MatMul(x, w) y = Neg(a) }"
    record_golden(write(text, w=random(8, 8)))
    index = Path("golden/index.json")
    content = json.loads(index.read_text())
    for case in content["goldens"][0]["cases"]:
        for output in case["outputs"]:
            output["tight"] |= {"rms_rel": 1e-9, "max_rel": 1e-9}
    index.write_text(json.dumps(content))
    write(text, w=random(8, 8) * np.float32(1 + 2e-7))
    assert [check.status for check in golden()] == ["fail"]
    content["goldens"][0]["made_by"]["cpu"] = "another one"
    index.write_text(json.dumps(content))
    main, tight = golden()
    assert (main.status, tight.status) == ("pass", "skip")
    assert tight.message.endswith("but the golden was recorded with cpu another one")
    write(text, w=random(8, 8) * 2)
    assert golden()[0].status == "fail"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("z = Identity(x)", "m = Less(x, four) z = Where(m, bad, x)"),
        ("z = Identity(x)", "z = Min(x, big)"),
        ("z = Identity(x)", "m = Equal(x, zero) z = Where(m, big, x)"),
        ("z = Identity(x)", "s = Abs(x) m = Less(s, small) z = Where(m, small, x)"),
    ],
    ids=["below -4", "above 4", "at zero", "near zero"],
)
def test_faults_at_some_values_only_are_seen(old: str, new: str) -> None:
    text = "g (float[N,8] x) => (float[N,8] y) { z = Identity(x) y = Tanh(z) }"
    values = {"four": -4.0, "bad": np.nan, "big": 4.0, "zero": 0.0, "small": 1e-3}
    weights = {name: np.float32(value) for name, value in values.items()}
    text = text.replace("Tanh(z)", "Atan(z)")
    record_golden(write(text, **weights))
    assert passes()
    write(text.replace(old, new), **weights)
    assert not passes()


def test_faults_that_only_close_values_show_are_seen_in_what_is_selected() -> None:
    """A wrong score moves the largest only where two are close, so that a model that selects gets more cases."""
    scores = np.random.default_rng(3).standard_normal((3, 6)).astype(np.float32)
    text = "g (float[1,3] x) => (int64[1] y) { s = MatMul(x, w) y = ArgMax<axis = 1, keepdims = 0>(s) }"
    golden_of = record_golden(write(text, w=scores)).golden
    assert sum(case.name.startswith("selection") for case in golden_of.cases) == 9
    assert passes()
    write(text, w=scores * np.float32(1.5))
    assert passes()  # the same order
    scores[2, 1] *= 1.5
    write(text, w=scores)
    assert not passes()
    plain = record_golden(write("g (float[1,3] x) => (float[1,6] y) { y = MatMul(x, w) }", w=scores)).golden
    assert not [case.name for case in plain.cases if case.name.startswith("selection")]
