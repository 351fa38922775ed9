"""What is read from each attention of a graph, and where each rule about its sizes begins and ends."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest
from onnx import parser

from verify.tensorrt.attention import WRITTEN_OUT, Attention, find_attentions, obstacle

PRODUCTS = "s = MatMul(q, k)  p = Softmax(s)  y = MatMul(p, v)"
PORTS = "(float16[3,2,64,32] q, float16[3,2,32,48] k, float[3,2,48,16] v) => (float16[3,2,64,16] y)"
GOOD = Attention(("a",), "", ("FLOAT16",) * 4, heads=8, queries=64, keys=512, key_width=32, value_width=32)


def found(body: str, ports: str = PORTS, opset: int = 18, infer: bool = True) -> Attention:
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]> g {ports} {{ {body} }}')
    (attention,) = find_attentions(onnx.shape_inference.infer_shapes(model) if infer else model)
    return attention


def sizes(attention: Attention) -> tuple[int, ...]:
    return attention.heads, attention.queries, attention.keys, attention.key_width, attention.value_width


def test_sizes_types_and_nodes() -> None:
    attention = found("[scores] s = MatMul(q, k)  p = Softmax(s)  [out] y = MatMul(p, v)")
    assert sizes(attention) == (6, 64, 48, 32, 16)
    assert attention.types == ("FLOAT16", "FLOAT16", "FLOAT16", "FLOAT")
    assert attention.nodes == ("scores", "node_of_p", "out")
    assert (attention.path, attention.notes) == ("", ())


@pytest.mark.parametrize(("front", "heads"), [("6,", 6), ("", 1), ("2,3,4,", 24)])
def test_any_number_of_axes_before_the_last_two(front: str, heads: int) -> None:
    ports = f"(float16[{front}64,32] q, float16[{front}32,48] k, float16[{front}48,32] v) => (float16[{front}64,32] y)"
    assert sizes(found(PRODUCTS, ports)) == (heads, 64, 48, 32, 32)


def test_unknown_shapes_are_zeros_and_no_obstacle() -> None:
    attention = found(PRODUCTS, "(float16 q, float16 k, float16 v) => (float16 y)", infer=False)
    assert sizes(attention) == (0, 0, 0, 0, 0)
    assert attention.types == ("FLOAT16", "FLOAT16", "", "FLOAT16")
    assert obstacle(attention) == ""


def test_einsum_of_three_operands_has_no_width() -> None:
    body = (
        's = Einsum<equation="bhnd,bhdm,h->bhnm">(q, k, c)  p = Softmax(s) y = Einsum<equation="bhnm,bhmd->bhnd">(p, v)'
    )
    ports = PORTS.replace("float[3,2,48,16] v", "float16[3,2,48,16] v, float16[2] c")
    assert sizes(found(body, ports)) == (6, 64, 48, 0, 0)


def test_first_output_of_a_node_between_is_followed() -> None:
    attention = found("s = MatMul(q, k)  p = Softmax(s)  d, mask = Dropout(p)  y = MatMul(d, v)")
    assert attention.nodes == ("node_of_s", "node_of_p", "node_of_d", "node_of_y")
    assert attention.types[2] == "FLOAT16"


@pytest.mark.parametrize(("axis", "noted"), [(-1, False), (3, False), (2, True), (-2, True)])
def test_softmax_over_the_last_axis_only(axis: int, noted: bool) -> None:
    attention = found(f"s = MatMul(q, k)  p = Softmax<axis={axis}>(s)  y = MatMul(p, v)")
    assert attention.notes == (("its softmax runs over an axis that is not the last",) if noted else ())


def test_logarithm_of_softmax_is_noted() -> None:
    attention = found("s = MatMul(q, k)  l = LogSoftmax(s)  p = Exp(l)  y = MatMul(p, v)")
    assert attention.notes == ("its softmax is written as the exponential of LogSoftmax",)


def test_attention_in_a_branch_is_found_by_its_path() -> None:
    branch = "s = MatMul(q, k)  p = Softmax(s)  o = MatMul(p, v)"
    ports = "(bool c, float16[2,8,4] q, float16[2,4,6] k, float16[2,6,4] v) => (float16[2,8,4] y)"
    attention = found(
        f"[choice] y = If(c) <then_branch = t () => (float16[2,8,4] o) {{ {branch} }}, "
        "else_branch = e () => (float16[2,8,4] r) { r = Identity(q) }>",
        ports,
    )
    assert attention.path == "choice/then_branch/"
    assert attention.types[:2] == ("FLOAT16", "FLOAT16")
    assert attention.nodes[-1] == "node_of_o"


def test_operator_with_flat_and_with_separate_heads() -> None:
    flat = found(
        "y = Attention<q_num_heads=4, kv_num_heads=2>(q, k, v)",
        "(float[2,64,128] q, float16[2,48,64] k, double[2,48,34] v) => (float[2,64,68] y)",
        23,
        infer=False,
    )
    assert sizes(flat) == (8, 64, 48, 32, 17)
    assert flat.types == ("FLOAT", "FLOAT16", "FLOAT16", "DOUBLE")
    ports = "(float[2,4,64,32] q, float[2,2,48,32] k, float[2,2,48,16] v) => (float[2,4,64,16] y)"
    assert sizes(found("[at] y = Attention(q, k, v)", ports, 23, infer=False)) == (8, 64, 48, 32, 16)
    one = found("y = Attention(q, k, v)", "(float[2,64,32] q, float[2,48,32] k, float[2,48,16] v) => (float y)", 23)
    assert sizes(one) == (2, 64, 48, 32, 16)
    unknown = found("y = Attention(q, k, v)", "(float q, float k, float v) => (float y)", 23, infer=False)
    assert sizes(unknown) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"heads": 1, "queries": 4095}, "one head and 4095 queries are too few for the fused kernel"),
        ({"heads": 1, "queries": 4096}, ""),
        ({"heads": 1, "queries": 0}, ""),
        ({"heads": 0, "queries": 64}, ""),
        ({"heads": 2, "queries": 64}, ""),
        ({"key_width": 15, "value_width": 15}, "a head is 15 wide; only 16 to 256 are fused"),
        ({"key_width": 16, "value_width": 16}, ""),
        ({"key_width": 256, "value_width": 256}, ""),
        ({"key_width": 257, "value_width": 257}, "a head is 257 wide; only 16 to 256 are fused"),
        ({"key_width": 0}, ""),
        ({"value_width": 0}, ""),
        ({"value_width": 31}, "keys are 32 wide and values 31; only equal widths are fused"),
        ({"notes": (WRITTEN_OUT,), "keys": 256}, ""),
        ({"notes": (WRITTEN_OUT,), "keys": 257}, WRITTEN_OUT),
        ({"notes": (WRITTEN_OUT,), "keys": 0}, WRITTEN_OUT),
        ({"notes": (WRITTEN_OUT, "another"), "keys": 9}, "another"),
        ({"types": ("BFLOAT16", "FLOAT16", "", "DOUBLE")},
         "it multiplies its value in fp64; only fp16 and bf16 are fused"),
        ({"types": ("", "INT8", "", "")}, "it multiplies its key in int8; only fp16 and bf16 are fused"),
    ],
)  # fmt: skip
def test_where_each_rule_begins(change: dict[str, object], reason: str) -> None:
    assert obstacle(replace(GOOD, **change)) == reason  # type: ignore[arg-type]
