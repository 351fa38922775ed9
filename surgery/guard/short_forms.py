"""Short forms of the nodes that take long: less work for values of the same shape that are like those of the model.

The comparison of changed nodes with what they replace needs values in front of them, and not exactly those of the
model. So nodes that both models have can run in a short form:

- Of a product (MatMul, Gemm, Conv), the sum of eight terms at equal distances in place of the sum of all. It is
  multiplied by the root of their distance, and so as large as the whole sum would be if its terms were independent.
- A cubic Resize as a linear one.

A MatMul of few terms keeps them: onnxruntime computes many small products quicker as elementwise ones and their sum.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

TERMS = 8
LEAST = 4 * TERMS  # terms of a product that gets a short form
FEW = 4  # terms of a MatMul that becomes elementwise products
WORTH_IT = 2e10  # operations of all nodes that have a short form: 0.3 seconds on two processors
CUBIC = 64  # operations for an element of a cubic Resize
END = np.iinfo(np.int64).max  # of a Slice that goes to the end of an axis

Constants = Mapping[str, onnx.TensorProto]
Shapes = Mapping[str, Sequence[Any]]
Nodes = list[onnx.NodeProto]


def short_forms(
    nodes: Iterable[onnx.NodeProto], kept: Container[str], constants: Constants, shapes: Shapes, prefix: str
) -> dict[str, Nodes]:
    """What runs in place of nodes that take long, by their first output; nothing if all together take little time.

    Args:
        nodes: whose outputs are float32, in the default domain's opset 11 or later.
        kept: first outputs of the nodes that both models have.
        constants: by name.
        shapes: by name, as far as they are known; a dim that is no int is free.
        prefix: of the names of added tensors.
    """
    known = {**shapes, **{name: tuple(tensor.dims) for name, tensor in constants.items()}}
    forms: dict[str, Nodes] = {}
    work = 0.0
    for node in nodes:
        output = node.output[0]
        stem = f"{prefix}short {output} "
        elements = math.prod(size for size in known.get(output, ()) if isinstance(size, int))
        product = _product(node, known)
        if product is not None and product.is_small():
            forms[output] = list(_elementwise(product, stem))
        elif product is not None and product.is_long() and output in kept:
            forms[output] = list(_short(product, constants, stem))
        elif _is_cubic(node) and output in kept:
            forms[output] = [_linear(node)]
            work += CUBIC * elements
        else:
            continue
        work += 2.0 * elements * product.known_terms(known) if product is not None else 0.0
    return forms if work >= WORTH_IT else {}


@dataclass(frozen=True)
class _Product:
    """A node that sums products of its first two inputs.

    axes   of both inputs along which it sums; of a Conv over channels only
    terms  how many there are along these; None where that depends on the inputs of the model
    """

    node: onnx.NodeProto
    axes: tuple[int, int]
    terms: int | None

    def is_long(self) -> bool:
        return self.terms is None or self.terms >= LEAST

    def is_small(self) -> bool:
        return self.node.op_type == "MatMul" and self.terms is not None and 0 < self.terms <= FEW

    def known_terms(self, shapes: Shapes) -> int:
        """How many it sums for an element of the result, at least."""
        kernel = shapes[self.node.input[1]][2:] if self.node.op_type == "Conv" else ()
        return math.prod(size for size in (self.terms, *kernel) if isinstance(size, int))


def _product(node: onnx.NodeProto, shapes: Shapes) -> _Product | None:
    """The node, if it is a product of inputs whose shapes are known and fit together."""
    first, second = [*node.input, "", ""][:2]
    if node.domain or first not in shapes or second not in shapes:
        return None
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "MatMul" and min(len(shapes[first]), len(shapes[second])) >= 2:
        axes = (-1, -2)
    elif node.op_type == "Gemm":
        axes = (0 if attributes.get("transA") else 1, 1 if attributes.get("transB") else 0)
    elif node.op_type == "Conv" and attributes.get("group", 1) == 1:
        axes = (1, 1)
    else:
        return None
    sizes = [shapes[name][axis] for name, axis in zip((first, second), axes, strict=True)]
    known = {size for size in sizes if isinstance(size, int)}
    return _Product(node, axes, next(iter(known), None)) if len(known) <= 1 else None


def _short(product: _Product, constants: Constants, stem: str) -> Iterator[onnx.NodeProto]:
    step, factor = stem + "step", stem + "factor"
    distance = -(-product.terms // TERMS) if product.terms is not None else None
    if distance is None:
        yield from _computed_distance(product.node.input[0], product.axes[0], stem)
    else:
        yield _constant(step, np.array([distance], np.int64))
        yield _constant(factor, np.array([math.sqrt(distance)], np.float32))
    for place, (name, axis) in enumerate(zip(product.node.input, product.axes, strict=False)):
        if name in constants:
            values = numpy_helper.to_array(constants[name])
            some = np.take(values, range(0, values.shape[axis], distance or 1), axis)
            yield _constant(f"{stem}{place}", np.ascontiguousarray(some))
        else:
            yield from _slice(name, f"{stem}{place}", axis, (0, END), step)
    yield make_node("Mul", [stem + "1", factor], [stem + "scaled"])
    short = onnx.NodeProto()
    short.CopyFrom(product.node)
    short.input[0], short.input[1] = stem + "0", stem + "scaled"
    yield short


def _computed_distance(name: str, axis: int, stem: str) -> Iterator[onnx.NodeProto]:
    """Nodes for the distance of the terms and its root, from the size of an axis."""
    for what, value in (("axis", axis), ("more", TERMS - 1), ("terms", TERMS)):
        yield _constant(stem + what, np.array([value], np.int64))
    yield make_node("Shape", [name], [stem + "shape"])
    yield make_node("Gather", [stem + "shape", stem + "axis"], [stem + "size"])
    yield make_node("Add", [stem + "size", stem + "more"], [stem + "size and more"])
    yield make_node("Div", [stem + "size and more", stem + "terms"], [stem + "step"])
    yield make_node("Cast", [stem + "step"], [stem + "distance"], to=onnx.TensorProto.FLOAT)
    yield make_node("Sqrt", [stem + "distance"], [stem + "factor"])


def _elementwise(product: _Product, stem: str) -> Iterator[onnx.NodeProto]:
    terms = product.terms or 0
    yield _constant(stem + "step", np.array([1], np.int64))
    for term in range(terms):
        for place, (name, axis) in enumerate(zip(product.node.input, product.axes, strict=True)):
            yield from _slice(name, f"{stem}{place} {term}", axis, (term, term + 1), stem + "step")
        yield make_node("Mul", [f"{stem}0 {term}", f"{stem}1 {term}"], [f"{stem}{term}"])
    yield make_node("Sum", [f"{stem}{term}" for term in range(terms)], list(product.node.output))


def _is_cubic(node: onnx.NodeProto) -> bool:
    return node.op_type == "Resize" and any(a.name == "mode" and a.s == b"cubic" for a in node.attribute)


def _linear(node: onnx.NodeProto) -> onnx.NodeProto:
    """A cubic Resize as a linear one, without the attributes that only a cubic one has."""
    linear = onnx.NodeProto()
    linear.CopyFrom(node)
    kept = [a for a in node.attribute if a.name not in ("mode", "cubic_coeff_a", "exclude_outside")]
    del linear.attribute[:]
    linear.attribute.extend([*kept, onnx.helper.make_attribute("mode", "linear")])
    return linear


def _slice(name: str, target: str, axis: int, bounds: tuple[int, int], step: str) -> Iterator[onnx.NodeProto]:
    for what, value in (("start", bounds[0]), ("end", bounds[1]), ("axes", axis)):
        yield _constant(f"{target} {what}", np.array([value], np.int64))
    yield make_node("Slice", [name, f"{target} start", f"{target} end", f"{target} axes", step], [target])


def _constant(name: str, values: np.ndarray[Any, Any]) -> onnx.NodeProto:
    return make_node("Constant", [], [name], value=numpy_helper.from_array(values))
