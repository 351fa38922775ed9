"""Output types and shapes of onnxruntime's own operators, which ONNX's inference does not know.

A copy of the graph that is made for inference gets these nodes in a domain of its own, for which this module registers
the rules. The user's graph keeps its domains, and no check of the user's model sees the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import onnx
from onnx import helper

from surgery.graph.schemas import schema
from verify.model.walk import dims_of, walk_nodes

DOMAIN = "surgeon.contrib"
PREFIX = "Contrib"  # onnx.reference fails where two domains have an operator of one name
FOREIGN = "com.microsoft"
BLOCKED = "com.microsoft.nchwc"  # operators on channels in blocks; shapes are those without blocks
MOST = 12  # outputs of one node
Dims = list[Any] | None  # a dim is a number, a name or None
Kind = tuple[int, Dims]  # ONNX element type, dims
Rule = Callable[[list["Kind | None"], dict[str, Any]], "list[Kind | None]"]


def adopt(model: onnx.ModelProto) -> None:
    """Move the nodes that this module has rules for to the domain in which they are registered."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for node in walk_nodes(model.graph.node):
        name = f"Blocked{node.op_type}" if node.domain == BLOCKED else node.op_type
        foreign = node.domain in (FOREIGN, BLOCKED)
        plain = node.domain in ("", "ai.onnx") and node.op_type in EARLY
        if (foreign and name in RULES) or (plain and schema(node.op_type, "", versions.get("", 1)) is None):
            _register()
            node.domain, node.op_type = DOMAIN, PREFIX + name
            if DOMAIN not in versions:
                versions[DOMAIN] = 1
                model.opset_import.add(domain=DOMAIN, version=1)


@cache
def _register() -> None:
    formal = onnx.defs.OpSchema.FormalParameter
    many = onnx.defs.OpSchema.FormalParameterOption.Variadic
    kinds = [f"tensor({onnx.TensorProto.DataType.Name(kind).lower()})" for kind in helper.get_all_tensor_dtypes()]
    for op in RULES:
        made = onnx.defs.OpSchema(
            PREFIX + op,
            DOMAIN,
            1,
            inputs=[formal("x", "T", param_option=many, is_homogeneous=False, min_arity=0)],
            outputs=[formal("y", "T", param_option=many, is_homogeneous=False, min_arity=0)],
            type_constraints=[("T", [kind for kind in kinds if kind != "tensor(undefined)"], "")],
        )
        made.set_type_and_shape_inference_function(_inference(op, RULES[op]))
        onnx.defs.register_schema(made)


def _inference(op: str, rule: Rule) -> Callable[[Any], None]:
    def infer(context: Any) -> None:
        inputs = [_kind(context.get_input_type(place)) for place in range(context.get_num_inputs())]
        attributes = {}
        for name in ATTRIBUTES:
            found = context.get_attribute(name)
            if found is not None:
                attributes[name] = helper.get_attribute_value(found)
        try:
            outputs = rule(inputs, attributes)
        except (IndexError, KeyError, TypeError):  # an input that the rule needs is missing or has no known type
            return
        for place, kind in enumerate(outputs[: context.get_num_outputs()]):
            if kind is not None and kind[0]:
                context.set_output_type(place, helper.make_tensor_type_proto(*kind))

    return infer


def _kind(proto: onnx.TypeProto | None) -> Kind | None:
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.elem_type:
        return None
    return proto.tensor_type.elem_type, dims_of(proto.tensor_type)


def _product(left: Dims, right: Dims, flip_left: bool = False, flip_right: bool = False) -> Dims:
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    rows, columns = left[-1 if flip_left else -2], right[-2 if flip_right else -1]
    return [*(broadcast(left[:-2], right[:-2]) or []), rows, columns]


def broadcast(left: Dims, right: Dims) -> Dims:
    """Dims of the sum of two tensors; None for a dim that is not known."""
    if left is None or right is None:
        return None
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    padded = [1] * (len(longer) - len(shorter)) + list(shorter)
    pairs = zip(longer, padded, strict=True)
    return [a if a == b or b == 1 else b if a == 1 else a if isinstance(a, int) else b for a, b in pairs]


def _same(inputs: list[Kind | None], attributes: dict[str, Any]) -> list[Kind | None]:
    return [inputs[0]]


def _normalized(inputs: list[Kind | None], attributes: dict[str, Any]) -> list[Kind | None]:
    return [inputs[0], None, None, inputs[0]]


def _matmul(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    dims = _product(inputs[0][1], inputs[1][1], bool(attributes.get("transA")), bool(attributes.get("transB")))
    return [(inputs[0][0], dims)]


def _integer_matmul(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    return [(inputs[2][0], _product(inputs[0][1], inputs[1][1]))]


def _quantized_gemm(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    dims = _product(inputs[0][1], inputs[3][1], bool(attributes.get("transA")), bool(attributes.get("transB")))
    return [(inputs[8][0] if len(inputs) > 8 and inputs[8] else inputs[1][0], dims)]


def _packed_matmul(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    return [(kind, None if dims is None else [*dims[:-1], attributes["N"]])]


def _convolved(last: bool, weights: int, like: int) -> Rule:
    def rule(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
        dims, filters = inputs[0][1], inputs[weights][1]
        if dims is None:
            return [(inputs[like][0], None)]
        free, made = [None] * (len(dims) - 2), filters[0] if filters else None
        channels_last = last or attributes.get("channels_last")
        return [(inputs[like][0], [dims[0], *free, made] if channels_last else [dims[0], made, *free])]

    return rule


def _pooled(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    if dims is None:
        return [(kind, None)]
    free = [None] * (len(dims) - 2)
    return [(kind, [dims[0], *free, dims[-1]] if attributes.get("channels_last") else [*dims[:2], *free])]


def _globally_pooled(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    ones = [1] * (len(dims) - 2)
    return [(kind, [dims[0], *ones, dims[-1]] if attributes.get("channels_last") else [*dims[:2], *ones])]


def _reordered(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    if dims is None:
        return [(kind, None)]
    picture = [dims[0], None, *(dims[1:-1] if attributes.get("channels_last") else dims[2:])]
    return [(kind, picture)]  # channels are filled up to whole blocks


def _put_back(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    if dims is None:
        return [(kind, None)]
    batch, _, *picture = dims
    channels = attributes["channels"]
    return [(kind, [batch, *picture, channels] if attributes.get("channels_last") else [batch, channels, *picture])]


def _attention(like: int) -> Rule:
    def rule(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
        dims, weights, sizes = inputs[0][1], inputs[1][1], attributes.get("qkv_hidden_sizes")
        width = sizes[2] if sizes else weights[1] // 3 if weights and isinstance(weights[1], int) else None
        kind = inputs[like][0]
        return [(kind, [*dims[:2], width]), (kind, [2, dims[0], attributes["num_heads"], None, None])]

    return rule


def _many_headed(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    (kind, dims), heads = inputs[0], attributes["num_heads"]
    value = inputs[2][1] if len(inputs) > 2 and inputs[2] else None
    if len(dims) == 5:
        width = dims[2] * dims[4]
    elif value is None:
        width = dims[2]
    else:
        width = value[2] if len(value) == 3 else value[1] * value[3]
    return [(kind, [*dims[:2], width]), *[(kind, [dims[0], heads, None, None])] * 2]


def _grouped(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    (kind, dims), heads, groups = inputs[0], attributes["num_heads"], attributes["kv_num_heads"]
    packed = inputs[1] is None
    width = dims[2] * heads // (heads + 2 * groups) if packed else dims[2]
    return [(kind, [*dims[:2], width]), *[(kind, [dims[0], groups, None, width // heads])] * 2]


def _embedded(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    ids, (kind, table) = inputs[0][1], inputs[2]
    made = (kind, [*ids, table[1]])
    return [made, (onnx.TensorProto.INT32, [ids[0]]), made]


def _halved(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    kind, dims = inputs[0]
    return [(kind, [*dims[:-1], dims[-1] // 2 if isinstance(dims[-1], int) else None])]


def _elementwise(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    return [(inputs[0][0], broadcast(inputs[0][1], inputs[3][1]))]


def _joined(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    dims = list(inputs[2][1])
    dims[attributes["axis"]] = None
    return [(inputs[1][0], dims)]


def _recurrent(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    (kind, dims), width = inputs[0], attributes["hidden_size"]
    ways = 2 if attributes.get("direction") == b"bidirectional" else 1
    state = (kind, [ways, dims[1], width])
    return [(kind, [dims[0], ways, dims[1], width]), state, state]


def _dequantized(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    return [(inputs[1][0], inputs[0][1])]


def _quantized(inputs: list[Any], attributes: dict[str, Any]) -> list[Kind | None]:
    return [(inputs[2][0] if len(inputs) > 2 and inputs[2] else onnx.TensorProto.UINT8, inputs[0][1])]


EARLY = ("LayerNormalization", "SimplifiedLayerNormalization")  # onnxruntime has them in ONNX's domain at any opset
ATTRIBUTES = (
    "transA", "transB", "N", "channels_last", "qkv_hidden_sizes", "num_heads", "kv_num_heads", "axis", "hidden_size",
    "direction", "channels",
)  # fmt: skip
EIGHT_BIT = ("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax")
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (*EARLY, "BiasGelu", "FastGelu", "QuickGelu", "Gelu", "BiasAdd", "RotaryEmbedding", *EIGHT_BIT),
        _same,
    ),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _normalized),
    **dict.fromkeys(("FusedMatMul", "TransposeMatMul", "FusedGemm", "DynamicQuantizeMatMul"), _matmul),
    "MatMulIntegerToFloat": _integer_matmul,
    "QGemm": _quantized_gemm,
    "MatMulNBits": _packed_matmul,
    "FusedConv": _convolved(last=False, weights=1, like=0),
    **dict.fromkeys(("NhwcConv", "NhwcFusedConv"), _convolved(last=True, weights=1, like=0)),
    "QLinearConv": _convolved(last=False, weights=3, like=7),
    "QLinearAveragePool": _pooled,
    "QLinearGlobalAveragePool": _globally_pooled,
    "BlockedConv": _convolved(last=False, weights=1, like=0),
    **dict.fromkeys(("BlockedMaxPool", "BlockedAveragePool", "BlockedUpsample"), _pooled),
    **dict.fromkeys(("BlockedGlobalMaxPool", "BlockedGlobalAveragePool"), _globally_pooled),
    "BlockedReorderInput": _reordered,
    "BlockedReorderOutput": _put_back,
    "Attention": _attention(0),
    "QAttention": _attention(3),
    "MultiHeadAttention": _many_headed,
    "GroupQueryAttention": _grouped,
    "EmbedLayerNormalization": _embedded,
    "BiasSplitGelu": _halved,
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), _elementwise),
    "QLinearConcat": _joined,
    "DynamicQuantizeLSTM": _recurrent,
    "DequantizeLinear": _dequantized,
    "QuantizeLinear": _quantized,
}
