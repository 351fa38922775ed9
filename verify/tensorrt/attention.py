"""Finds each attention of an ONNX graph: MatMul, Softmax, MatMul with small nodes between, or the operator Attention.

`obstacle` says what keeps TensorRT from running one as a single kernel. The rules were found by building small
models (tests/verify/tensorrt/test_attention.py holds the probes) with TensorRT-RTX 1.7.1 for SM75, 80, 86, 89, 120 and
121.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verify.model.walk import domain_of, node_name, subgraphs

if TYPE_CHECKING:
    import onnx

PRODUCTS = frozenset({"MatMul", "Einsum"})
# Operators that exporters write between the scores and the softmax, or between the softmax and the second product.
BEFORE = frozenset(
    {"Mul", "Div", "Add", "Sub", "Where", "Cast", "Reshape", "Identity", "Transpose", "Tanh", "Clip", "Min", "Max"}
)
AFTER = frozenset({"Cast", "Dropout", "Identity", "Where", "Mul", "Reshape", "Transpose", "Squeeze", "Unsqueeze"})
UNFUSABLE = frozenset({"Tanh", "Clip", "Min", "Max", "Transpose"})
SHORT = {"FLOAT": "fp32", "DOUBLE": "fp64"}
HALVES = frozenset({"FLOAT16", "BFLOAT16"})
SMALLEST_WIDTH, LARGEST_WIDTH = 16, 256
ONE_HEAD_QUERIES = 4096
# A softmax in smaller operators is still recognised where all keys fit one block of a second, smaller kernel.
ONE_BLOCK_KEYS = 256
WRITTEN_OUT = "its softmax is written out in smaller operators"


@dataclass(frozen=True)
class Attention:
    """One attention of the main graph or of a branch.

    nodes      every node of it, scores first and output last, by the name TensorRT uses
    path       the branch it stands in, "" for the main graph
    types      ONNX types of the tensors it multiplies: query, key, weights, value; "" where unknown
    heads      batch times heads; 0 where unknown, as with the other sizes
    queries, keys, key_width, value_width   sizes
    between    operators between the scores and the output other than the softmax
    notes      obstacles that are plain from the graph
    """

    nodes: tuple[str, ...]
    path: str
    types: tuple[str, ...]
    heads: int
    queries: int
    keys: int
    key_width: int
    value_width: int
    notes: tuple[str, ...] = ()


class Graph:
    """Producers and consumers of the tensors of one graph, with what shape inference knew of them."""

    def __init__(self, graph: onnx.GraphProto, path: str, known: Mapping[str, Any]) -> None:
        self.path = path
        self.nodes = list(graph.node)
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}
        values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
        self.values = {**known, **values, **{tensor.name: tensor for tensor in graph.initializer}}

    def dims(self, name: str) -> list[int]:
        """Sizes of a tensor, 0 for an unknown dim; empty where nothing is known."""
        value = self.values.get(name)
        if value is None:
            return []
        if hasattr(value, "data_type"):
            return list(value.dims)
        return [dim.dim_value for dim in value.type.tensor_type.shape.dim]

    def type(self, name: str) -> str:
        """ONNX type of a tensor ("FLOAT16"), "" where unknown."""
        import onnx

        value = self.values.get(name)
        number = 0 if value is None else getattr(value, "data_type", None) or value.type.tensor_type.elem_type
        return onnx.TensorProto.DataType.Name(number) if number else ""


def find_attentions(model: onnx.ModelProto) -> list[Attention]:
    """Every attention of the model in graph order; give a model whose shapes were inferred to learn sizes and types."""
    return [found for graph in _graphs(model.graph) for found in _find(graph)]


def _graphs(graph: onnx.GraphProto, path: str = "", known: Mapping[str, Any] | None = None) -> Iterator[Graph]:
    here = Graph(graph, path, known or {})
    yield here
    for node in graph.node:
        for attribute, inner in subgraphs(node):
            yield from _graphs(inner, f"{path}{node_name(node)}/{attribute}/", here.values)


def _find(graph: Graph) -> Iterator[Attention]:
    for node in graph.nodes:
        if node.op_type == "Attention" and not domain_of(node.domain):
            yield _operator(graph, node)
        elif node.op_type in ("Softmax", "LogSoftmax") or _written_out(graph, node):
            found = _around(graph, node)
            if found:
                yield found


def _written_out(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether the node is the Div of exp(x) / sum(exp(x))."""
    if node.op_type != "Div":
        return False
    top, bottom = (graph.makers.get(name) for name in node.input)
    return (
        top is not None
        and bottom is not None
        and (top.op_type, bottom.op_type) == ("Exp", "ReduceSum")
        and bottom.input[0] == top.output[0]
    )


def _operator(graph: Graph, node: onnx.NodeProto) -> Attention:
    query, key, value = ([*graph.dims(name), 0, 0, 0, 0][:4] for name in node.input[:3])
    flat = len(graph.dims(node.input[0])) == 3
    counts = {attribute.name: attribute.i for attribute in node.attribute}
    heads = counts.get("q_num_heads", 1) if flat else query[1]
    shared = max(counts.get("kv_num_heads", heads), 1)
    sizes = (query[1], key[1], key[2] // shared, value[2] // shared) if flat else (query[2], key[2], key[3], value[3])
    types = tuple(graph.type(node.input[i]) for i in (0, 1, 1, 2))
    return Attention((node_name(node),), graph.path, types, query[0] * heads, *sizes)


def _around(graph: Graph, softmax: onnx.NodeProto) -> Attention | None:
    """The attention whose weights `softmax` makes, or None if there are not products on both sides."""
    start = softmax
    notes: list[str] = []
    if softmax.op_type == "Div":
        notes.append(WRITTEN_OUT)
        start = _before_exponential(graph, softmax)
    if softmax.op_type == "LogSoftmax":
        notes.append("its softmax is written as the exponential of LogSoftmax")
    up = _walk_up(graph, start.input[0])
    after = AFTER | {"Exp"} if softmax.op_type == "LogSoftmax" else AFTER
    down = _walk_down(graph, softmax.output[0], after)
    if up is None or down is None:
        return None
    scores, output = up[-1], down[-1]
    between = [node.op_type for node in (*up[:-1], *down[:-1])]
    notes += [f"{op} stands between its products" for op in dict.fromkeys(between) if op in UNFUSABLE]
    notes += list(_shared(graph, [*up, start, softmax, *down[:-1]]))
    weights = next(
        name for name in output.input if name in {down[-2].output[0] if len(down) > 1 else softmax.output[0]}
    )
    value = next((name for name in output.input if name != weights), weights)
    types = tuple(graph.type(name) for name in (*scores.input[:2], weights, value))
    sizes = _sizes(graph, scores, output, value)
    if not _last_axis(graph, softmax):
        notes.append("its softmax runs over an axis that is not the last")
    if _broadcasts(graph, scores):
        notes.append("one key serves several heads by broadcasting")
    nodes = tuple(dict.fromkeys(node_name(node) for node in (*reversed(up), softmax, *down)))
    return Attention(nodes, graph.path, types, *sizes, tuple(dict.fromkeys(notes)))


def _before_exponential(graph: Graph, div: onnx.NodeProto) -> onnx.NodeProto:
    exp = graph.makers[div.input[0]]
    sub = graph.makers.get(exp.input[0])
    return sub if sub is not None and sub.op_type == "Sub" else exp


def _walk_up(graph: Graph, name: str) -> list[onnx.NodeProto] | None:
    """Nodes from the one that makes `name` up to a product, through the nodes in BEFORE."""
    node = graph.makers.get(name)
    if node is None:
        return None
    if node.op_type in PRODUCTS:
        return [node]
    if node.op_type not in BEFORE:
        return None
    for source in node.input:
        rest = _walk_up(graph, source)
        if rest is not None:
            return [node, *rest]
    return None


def _walk_down(graph: Graph, name: str, through: frozenset[str]) -> list[onnx.NodeProto] | None:
    """Nodes from a reader of `name` down to a product, through the nodes in `through`."""
    for node in graph.readers.get(name, []):
        if node.op_type in PRODUCTS:
            return [node]
    for node in graph.readers.get(name, []):
        if node.op_type in through:
            rest = _walk_down(graph, node.output[0], through)
            if rest is not None:
                return [node, *rest]
    return None


def _shared(graph: Graph, nodes: list[onnx.NodeProto]) -> Iterator[str]:
    """Tensors inside the attention that something outside reads as well."""
    inside = {id(node) for node in nodes}
    for node in nodes[:-1] if len(nodes) > 1 else nodes:
        readers = [r for r in graph.readers.get(node.output[0], []) if r.op_type not in ("IsNaN", "ReduceMax", "Exp")]
        outside = [r for r in readers if id(r) not in inside and r.op_type not in PRODUCTS]
        if node.output[0] in graph.outputs:
            yield f"'{node.output[0]}' is a graph output"
        elif len(readers) > 1 and outside:
            yield f"'{node.output[0]}' is also read by {outside[0].op_type} '{node_name(outside[0])}'"


def _sizes(graph: Graph, scores: onnx.NodeProto, output: onnx.NodeProto, value: str) -> tuple[int, int, int, int, int]:
    product = graph.dims(scores.output[0])
    if len(product) < 2:
        return (0, 0, 0, 0, 0)
    heads = 1
    for dim in product[:-2]:
        heads *= dim
    if scores.op_type == "Einsum":
        return (heads, product[-2], product[-1], 0, 0)
    left, right = graph.dims(scores.input[0]), graph.dims(value)
    value_width = right[-1] if output.op_type == "MatMul" and right else 0
    return (heads, product[-2], product[-1], left[-1] if left else 0, value_width)


def _last_axis(graph: Graph, softmax: onnx.NodeProto) -> bool:
    if softmax.op_type == "Div":
        return True
    axis = next((attribute.i for attribute in softmax.attribute if attribute.name == "axis"), -1)
    rank = len(graph.dims(softmax.input[0]))
    return axis == -1 or not rank or axis == rank - 1


def _broadcasts(graph: Graph, scores: onnx.NodeProto) -> bool:
    left, right = (graph.dims(name)[:-2] for name in scores.input[:2])
    return scores.op_type == "MatMul" and bool(left or right) and left != right and 0 not in (*left, *right)


def obstacle(attention: Attention) -> str:
    """What keeps TensorRT from fusing it, in words; "" when nothing known does."""
    for name, kind in zip(("query", "key", "weights", "value"), attention.types, strict=True):
        if kind and kind not in HALVES:
            return f"it multiplies its {name} in {SHORT.get(kind, kind.lower())}; only fp16 and bf16 are fused"
    small = 0 < attention.keys <= ONE_BLOCK_KEYS
    notes = [note for note in attention.notes if not (small and note == WRITTEN_OUT)]
    if notes:
        return notes[0]
    width, value_width = attention.key_width, attention.value_width
    if width and value_width and width != value_width:
        return f"keys are {width} wide and values {value_width}; only equal widths are fused"
    if width and not SMALLEST_WIDTH <= width <= LARGEST_WIDTH:
        return f"a head is {width} wide; only {SMALLEST_WIDTH} to {LARGEST_WIDTH} are fused"
    if attention.heads == 1 and attention.queries and attention.queries < ONE_HEAD_QUERIES:
        return f"one head and {attention.queries} queries are too few for the fused kernel"
    return ""
