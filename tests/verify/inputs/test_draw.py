"""Values of drawn inputs: what each type and each use allows, in each style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from verify.errors import SurgeonError
from verify.inputs.draw import draw_inputs, free_dims, load_npz
from verify.inputs.ranges import Range, input_ranges
from verify.model.walk import fed_inputs

HEADER = '<ir_version: 11, opset_import: ["" : 23]>'


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEADER + text)


def typed(kind: str, size: int = 4000) -> onnx.ModelProto:
    found = model(f"g (bool[{size}] x) => (float y) {{ y = Cast<to=1>(x) }}")
    found.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind.upper())
    return found


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("int2", -2, 1), ("uint2", 0, 3), ("int4", -8, 7), ("uint4", 0, 15), ("uint8", 0, 255), ("int8", 0, 9),
     ("uint16", 0, 9), ("int32", 0, 9), ("bool", 0, 1)],
)  # fmt: skip
def test_whole_numbers_of_each_type(kind: str, low: int, high: int) -> None:
    """Every value from end to end comes up; zeros are the low end, edges are both ends."""
    drawn = {style: draw_inputs(typed(kind), style=style)["x"].astype(int) for style in ("random", "zeros", "edge")}
    assert sorted(set(drawn["random"].tolist())) == list(range(low, high + 1))
    assert set(drawn["zeros"].tolist()) == {low}
    assert set(drawn["edge"].tolist()) == {low, high}


def test_fractions_of_each_style() -> None:
    drawn = {style: draw_inputs(typed("float"), style=style)["x"] for style in ("random", "zeros", "edge")}
    assert abs(drawn["random"].mean()) < 0.1
    assert abs(drawn["random"].std() - 1) < 0.1
    assert not drawn["zeros"].any()
    assert {0.0, 1.0, -1.0, 1000.0, -1000.0, 3.5} <= set(drawn["edge"].tolist())
    signs = np.signbit(drawn["edge"][drawn["edge"] == 0])
    assert signs.any()
    assert not signs.all()
    given = draw_inputs(typed("float"), ranges={"x": Range(2.0, 3.0)})["x"]
    assert 2 <= given.min() < 2.01
    assert 2.99 < given.max() <= 3


def test_free_dims_and_their_sizes() -> None:
    made = model("g (float[N,0,3,M] x) => (float y) { y = Neg(x) }")
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -1
    assert free_dims(made) == ["N", "x:2", "M"]
    assert draw_inputs(made)["x"].shape == (1, 0, 1, 1)
    sizes = {"N": 2, "x:2": 5, "x:3": 7, "M": 4}
    assert draw_inputs(made, sizes=sizes, default_size=9)["x"].shape == (2, 0, 5, 7)
    assert draw_inputs(made, default_size=2)["x"].shape == (2, 0, 2, 2)


@pytest.mark.parametrize(("size", "fits"), [(1 << 26, True), ((1 << 26) + 1, False)])
def test_largest_input(size: int, fits: bool) -> None:
    made = typed("bool", size)
    if fits:
        assert draw_inputs(made, style="zeros")["x"].size == size
    else:
        with pytest.raises(SurgeonError, match="would be of shape"):
            draw_inputs(made, style="zeros")


def test_initializers_are_no_inputs_and_sequences_are_lists() -> None:
    made = model("g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    made.graph.input.append(onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, [3]))
    assert [value.name for value in fed_inputs(made.graph)] == ["x", "s"]
    drawn = draw_inputs(made)
    assert [part.shape for part in drawn["s"]] == [(3,), (3,)]


@pytest.mark.parametrize(
    ("ports", "body", "wanted"),
    [
        ("float[7,3] t, int64[2] x", "y = Gather(t, x)", Range(0, 6)),
        ("float[7,3] t, int64[2] x", "y = Gather<axis=-1>(t, x)", Range(0, 2)),
        ("float[7,3] t, int64[2] x", "y = Gather<axis=2>(t, x)", Range(0, 0)),
        ("float[N,3] t, int64[2] x", "y = Gather(t, x)", Range(0, 0)),
        ("float t, int64[2] x", "y = Gather(t, x)", Range(0, 0)),
        ("float[7,3] t, int64[2] x", "c = Identity(x) d = Cast<to=7>(c) y = Gather(t, d)", Range(0, 6)),
        ("float[7,3] t, int64[2] x", "y = Gather(t, x) z = Gather<axis=1>(t, x)", Range(0, 2)),
        ("int64[2] x", "t = Constant<value = float[5] {1,2,3,4,5}>() y = Gather(t, x)", Range(0, 4)),
        ("float[7,3] t, int64[2] x, int64[2] z", "c = Concat<axis=0>(z, x) y = Gather(t, c)", Range(0, 6)),
        ("float[2,3] t, int64[2] x", "y = Reshape(t, x)", Range(1, 4)),
        ("float[2,3] t, int64[4] x", "y = Pad(t, x)", Range(0, 1)),
        ("float[2,3] t, int64[1] x", "y = ReduceSum(t, x)", Range(0, 0, distinct=True)),
        ("float[2,3] t, int64[1] x", "y = Unsqueeze(t, x)", Range(0, 0, distinct=True)),
        ("float[4,9] t, int64[4] x", "y = SoftmaxCrossEntropyLoss(t, x)", Range(0, 8)),
        ("float[4,N] t, int64[4] x", "y = NegativeLogLikelihoodLoss(t, x)", Range(0, 0)),
        ("float[4] t, int64[4] x", "y = NegativeLogLikelihoodLoss(t, x)", Range(0, 0)),
        ("int64[4] x", "t = Constant<value = float {1}>() y = NegativeLogLikelihoodLoss(t, x)", Range(0, 0)),
        ("float[1,2,4,8] x, float[1,2,4,8] k", "y = Attention(x, k, k)", Range(-4.0, 4.0)),
        ("float[3] t, float x", "y = QuantizeLinear(t, x)", Range(0.01, 1.0)),
        ("uint8[3] t, float x", "y = DequantizeLinear(t, x)", Range(0.01, 1.0)),
        ("float[3] t, float[3] x", "y = Add(t, x)", None),
        ("float[7,3] t, int64[2] x", "n = Neg(x) y = Gather(t, n)", None),
        (
            "float[7,2,3] t, float[1,4,3] w, float[1,4,4] r, int32[2] x",
            "y = RNN<hidden_size=4>(t, w, r, , x)",
            Range(1, 7),
        ),
        (
            "float[T,2,3] t, float[1,4,3] w, float[1,4,4] r, int32[2] x",
            "y = RNN<hidden_size=4>(t, w, r, , x)",
            Range(1, 1),
        ),
        ("float[2] t, int64 x", "s = SequenceConstruct(t) y = SequenceAt(s, x)", Range(-1, 0)),
    ],
)
def test_uses_confine_an_input(ports: str, body: str, wanted: Range | None) -> None:
    assert input_ranges(model(f"g ({ports}) => (float y) {{ {body} }}")).get("x") == wanted


def test_ids_of_an_embedding_of_onnxruntime_stay_inside_its_tables() -> None:
    made = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (int32[B,4] ids, int32[B,4] kinds, int32[B,4] places, float[9,8] words, float[6,8] positions,
          float[2,8] types, float[8] scale, float[8] bias) => (float y, int32 m) {
          y, m = com.microsoft.EmbedLayerNormalization(ids, kinds, words, positions, types, scale, bias, , places) }"""
    )
    assert input_ranges(made) == {"ids": Range(0, 8), "kinds": Range(0, 1), "places": Range(0, 5)}


@pytest.mark.parametrize(("operator", "places"), [("QLinearMatMul", (1, 4, 6)), ("QLinearConv", (1, 4, 6))])
def test_scales_of_quantized_products(operator: str, places: tuple[int, ...]) -> None:
    names = [f"i{place}" for place in range(8)]
    made = model(
        f"g ({', '.join(f'float {name}' for name in names)}) => (float y) {{ y = {operator}({', '.join(names)}) }}"
    )
    confined = {name: span for name, span in input_ranges(made).items() if span == Range(0.01, 1.0)}
    assert list(confined) == [f"i{place}" for place in places]


def test_ends_and_meeting_of_ranges() -> None:
    assert Range().ends(2, 5) == (2, 5)
    assert Range(3, None).ends(2, 5) == (3, 5)
    assert Range(None, 4).ends(2, 5) == (2, 4)
    assert Range(7, None).ends(2, 5) == (7, 7)
    assert Range(1, 9).meet(Range(2, None)) == Range(2, 9)
    assert Range(None, 3).meet(Range(None, 2, distinct=True)) == Range(None, 2, distinct=True)
    assert Range().meet(Range()) == Range()


def test_axes_are_drawn_apart() -> None:
    made = model("g (float[2,3,4] t, int64[2] x) => (float y) { y = ReduceSum(t, x) }")
    assert draw_inputs(made)["x"].tolist() == [0, 1]


def test_limit_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(3))
    unpacked = 128 + 24
    assert load_npz(path, unpacked)["x"].tolist() == [1, 1, 1]
    with pytest.raises(SurgeonError, match=f"unpacks to {unpacked} bytes, above the limit of {unpacked - 1}"):
        load_npz(path, unpacked - 1)


@pytest.mark.parametrize("kind", ["map", "nothing"])
def test_what_cannot_be_drawn_is_said(kind: str) -> None:
    made: Any = model("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    if kind == "map":
        made.graph.input[0].type.map_type.key_type = 1
    else:
        made.graph.input[0].type.tensor_type.elem_type = 0
    with pytest.raises(SurgeonError, match=r"input 'x' .*give --check-inputs"):
        draw_inputs(made)
