"""Builds the nodes that replace a refused one, with their names, types, shapes, position and provenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect, replace_uses
from surgery.graph.infer import infer_node
from surgery.graph.nodes import Constant, Node, Variable, dtype_of, number_of
from surgery.graph.schemas import first_opset, misfit
from surgery.graph.walk import producer
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Declined
from verify.model.walk import dims_of

SMALL = 4096  # constants up to this many elements are computed at once instead of by a node
AXES_AS_INPUT = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}  # all other reductions take axes as an input since 18


class Build:
    """Collects new nodes in front of `node`, then `replace` puts them in its place.

    Call it with an operator, its inputs and attributes; it gives back the output tensor, or a tuple of them when
    `outputs` is above 1. An input may be a tensor, an array (becomes a constant), a Python number (becomes a scalar
    constant of the type of the first tensor input, of a branch in Where) or None (an optional input left out). Output
    types and shapes come from ONNX's own inference for the operator. A node that the model's opset does not have makes
    it raise `Declined`, which the pipeline takes for "not here": collect all nodes before you change anything else.
    """

    def __init__(self, graph: gs.Graph, node: gs.Node, context: Context, code: str) -> None:
        self.graph, self.node, self.context, self.code = graph, node, context, code
        self.nodes: list[gs.Node] = []
        self.opset = context.opset_of(graph)
        self.base = next((out.name for out in node.outputs if out.name), node.name or node.op)

    def name(self, what: str) -> str:
        """A new tensor name, made from the replaced node, the code of the pass and `what`."""
        return self.context.fresh(f"{self.base}/{self.code}/{what}")

    def constant(self, value: Any, dtype: Any = None) -> gs.Constant:
        """A constant tensor of the given value (any array or number) and NumPy dtype."""
        return Constant(self.name("constant"), np.array(value, dtype=dtype))

    def ints(self, values: Sequence[int] | int) -> gs.Constant:
        """An int64 constant, as operators take shapes, axes and indices."""
        return self.constant(values, np.int64)

    def __call__(self, op: str, *inputs: Any, outputs: int = 1, domain: str = "", **attrs: Any) -> Any:
        operands = inputs[1:] if op == "Where" else inputs
        like = next(
            (value.dtype for value in operands if isinstance(value, gs.Tensor) and value.dtype is not None), None
        )
        tensors = [self._input(value, like) for value in inputs]
        while tensors and tensors[-1].is_empty():
            tensors.pop()
        self.demand(op, domain, tensors, attrs, outputs)
        made = [Variable(self.name(op)) for _ in range(outputs)]
        node = Node(op, name=made[0].name, attrs=attrs, inputs=tensors, outputs=made, domain=domain or None)
        _set_types(node, self.context)
        self.nodes.append(node)
        return made[0] if outputs == 1 else tuple(made)

    def demand(self, op: str, domain: str, inputs: Sequence[gs.Tensor], attrs: Iterable[str], outputs: int) -> None:
        """Give up the rewrite, with the graph unchanged, if the model's opset does not allow such a node.

        Raises:
            Declined: the opset does not allow it.
        """
        kinds = [0 if tensor.is_empty() else number_of(tensor.dtype) for tensor in inputs]
        version = self.opset if domain in ("", "ai.onnx") else self.context.opsets.get(domain, 1)
        reason = misfit(op, domain, version, kinds, attrs, outputs)
        if reason:
            for node in self.nodes:
                disconnect(self.graph, node)
            raise Declined(reason, first_opset(op, domain, kinds, attrs, outputs) if domain in ("", "ai.onnx") else 0)

    def _input(self, value: Any, like: Any) -> gs.Tensor:
        if value is None:
            return Variable("")
        if isinstance(value, gs.Tensor):
            return value
        if isinstance(value, (np.ndarray, np.generic)):
            return self.constant(value, value.dtype)
        return self.constant(value, like if like is not None else np.float32)

    def cast(self, tensor: gs.Tensor, dtype: Any) -> gs.Tensor:
        """`tensor` as this NumPy dtype; itself where it already is."""
        wanted = np.dtype(dtype)
        if tensor.dtype is not None and np.dtype(tensor.dtype) == wanted:
            return tensor
        if isinstance(tensor, gs.Constant) and np.prod(tensor.shape, dtype=np.int64) <= SMALL:
            return self.constant(np.asarray(tensor.values).astype(wanted))
        return self("Cast", tensor, to=number_of(wanted))

    def axes(self, op: str, tensor: gs.Tensor, axes: Sequence[int], **attrs: Any) -> gs.Tensor:
        """A reduction, Squeeze or Unsqueeze, with `axes` where this opset has them: an input or an attribute."""
        if self.opset >= AXES_AS_INPUT.get(op, 18):
            return self(op, tensor, self.ints(list(axes)), **attrs)
        return self(op, tensor, axes=[int(axis) for axis in axes], **attrs)

    def unsqueeze(self, tensor: gs.Tensor, *axes: int) -> gs.Tensor:
        """`tensor` with dims of size one put in."""
        return self.axes("Unsqueeze", tensor, axes)

    def squeeze(self, tensor: gs.Tensor, *axes: int) -> gs.Tensor:
        """`tensor` without these dims of size one."""
        return self.axes("Squeeze", tensor, axes)

    def slice(
        self,
        tensor: gs.Tensor,
        axes: Sequence[int],
        starts: Sequence[int],
        ends: Sequence[int],
        steps: Sequence[int] = (),
    ) -> gs.Tensor:
        """A slice with constant bounds; steps need opset 10."""
        if self.opset < 10:
            return self("Slice", tensor, axes=list(axes), starts=list(starts), ends=list(ends))
        operands = [self.ints(list(starts)), self.ints(list(ends)), self.ints(list(axes))]
        return self("Slice", tensor, *operands, *([self.ints(list(steps))] if steps else []))

    def reshape(self, tensor: gs.Tensor, shape: Sequence[int]) -> gs.Tensor:
        """`tensor` with a constant new shape."""
        return self("Reshape", tensor, self.ints([int(dim) for dim in shape]))

    def shape(self, tensor: gs.Tensor) -> gs.Tensor:
        """The shape as an int64 tensor: a constant where every dim is known."""
        static = self.context.static_shape(tensor)
        return self("Shape", tensor) if static is None else self.ints(list(static))

    def graft(self, inner: gs.Graph, inputs: Sequence[gs.Tensor]) -> list[gs.Tensor]:
        """Add all nodes of another graph, fed from `inputs`; gives back the tensors that were its outputs."""
        for node in inner.nodes:
            node.name = self.context.fresh(f"{self.base}/{self.code}/{node.name or node.op}")
            for tensor in node.outputs:
                tensor.name = tensor.name and self.name(tensor.name)
        results = list(inner.outputs)
        for formal, actual in zip(inner.inputs, inputs, strict=True):
            replace_uses(formal, actual)
            results = [actual if tensor is formal else tensor for tensor in results]
        self.nodes += inner.nodes
        for node in inner.nodes:
            self.demand(node.op, node.domain or "", node.inputs, node.attrs, len(node.outputs))
        return results

    def insert(self) -> None:
        """Put the new nodes in front of the old one, which stays."""
        position = _position(self.graph, self.node)
        self.graph.nodes[position:position] = self.nodes
        for node in self.nodes:
            self.context.made(node, self.code, self.node)

    def replace(self, *results: gs.Tensor | None) -> None:
        """Put the new nodes where the old one is; `results` take over its outputs, which keep names and readers."""
        outputs = list(self.node.outputs)
        position = _position(self.graph, self.node)
        disconnect(self.graph, self.node)
        for result, output in zip(results, outputs, strict=False):
            if result is not None and output.name:
                self._take_over_output(result, output)
        self.graph.nodes[position:position] = self.nodes
        for node in self.nodes:
            self.context.made(node, self.code, self.node)

    def _take_over_output(self, result: gs.Tensor, output: gs.Tensor) -> None:
        maker = producer(result)
        if maker is None or not any(maker is node for node in self.nodes) or _is_output_of(result, self.node):
            maker = Node("Identity", name=self.name("Identity"), inputs=[result], outputs=[output])
            self.nodes.append(maker)
        else:
            index = next(place for place, tensor in enumerate(maker.outputs) if tensor is result)
            replace_uses(result, output)
            maker.outputs[index] = output
        _set_missing_type(output, result)


def _position(graph: gs.Graph, node: gs.Node) -> int:
    """Position of the node in the list. The search starts where the last one ended, since fixes go front to back."""
    nodes, start = graph.nodes, vars(graph).get("last_place", 0)
    places = chain(range(start, len(nodes)), range(min(start, len(nodes))))
    graph.last_place = next(place for place in places if nodes[place] is node)
    return int(graph.last_place)


def _is_output_of(tensor: gs.Tensor, node: gs.Node) -> bool:
    return any(tensor is output for output in node.outputs)


def _set_missing_type(output: gs.Tensor, result: gs.Tensor) -> None:
    """Give `output` the type and shape of `result` where it has none of its own."""
    if isinstance(output, gs.Variable):
        output.dtype = output.dtype if output.dtype is not None else result.dtype
        output.shape = output.shape if output.shape is not None else result.shape


def _set_types(node: gs.Node, context: Context) -> None:
    """Set dtype and shape of a node's outputs by ONNX's own inference, as far as the inputs allow."""
    data = {
        place: np.asarray(tensor.values)
        for place, tensor in enumerate(node.inputs)
        if isinstance(tensor, gs.Constant) and np.asarray(tensor.values).size <= SMALL
    }
    for tensor, kind in zip(node.outputs, infer_node(node, context.opsets, data), strict=True):
        if kind is not None and kind.HasField("tensor_type") and kind.tensor_type.elem_type:
            tensor.dtype = dtype_of(kind.tensor_type.elem_type)
            if kind.tensor_type.HasField("shape"):
                tensor.shape = dims_of(kind.tensor_type)
