"""Random models from small pieces, each of a kind that once went wrong, and inputs that hurt.

Each node is run by onnxruntime when it is added, so that what is generated runs on the ordinary inputs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.surgery.passes.comparing import run

OPSETS = (9, 10, 11, 13, 14, 16, 17, 18, 19, 20, 21, 23)
IR_VERSION = 8
SIZES = {"N": 2, "M": 3}
OTHER_SIZES = ({"N": 1, "M": 1}, {"N": 4, "M": 2}, {"N": 0, "M": 3}, {"N": 2, "M": 0}, {"N": 0, "M": 0})
LARGEST = 4096


class Refused(Exception):
    """onnxruntime does not run a node that was drawn, or the opset has none of its kind."""


class Draft:
    """A model under construction; `values` holds what every tensor is on the ordinary inputs."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.opset = self.chance.choice(OPSETS)
        self.values: dict[str, np.ndarray] = {}
        self.inputs: dict[str, tuple[list[Any], Any]] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.count = 0

    def name(self, base: str = "t") -> str:
        self.count += 1
        return f"{base}{self.count}"

    def input(self, dims: list[Any], value: np.ndarray) -> str:
        name = self.name("x")
        self.inputs[name] = (dims, value.dtype)
        self.values[name] = value
        return name

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """An initializer, or a Constant node."""
        name, array = self.name("c"), np.asarray(value, dtype)
        if self.chance.random() < 0.7:
            self.constants.append(numpy_helper.from_array(array, name))
        else:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        self.values[name] = array
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """The name of the output of a new node, or a list of names."""
        names = [self.name() for _ in range(outputs)]
        node = helper.make_node(op, inputs, names, domain=domain, **attributes)
        try:
            values = run(self.model([node], names, [name for name in inputs if name]), self.feeds(inputs))
        except Exception as error:  # onnxruntime raises several kinds
            raise Refused(str(error)) from None
        if any(value.size > LARGEST for value in values):
            raise Refused("too large")
        self.nodes.append(node)
        self.values.update(zip(names, values, strict=True))
        return names[0] if outputs == 1 else names

    def feeds(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        return {name: self.values[name] for name in names if name}

    def model(self, nodes: list[onnx.NodeProto], outputs: Sequence[str], inputs: Sequence[str]) -> onnx.ModelProto:
        infos = [self.info(name, list(self.values[name].shape)) for name in dict.fromkeys(inputs)]
        graph = helper.make_graph(nodes, "one", infos, [onnx.ValueInfoProto(name=name) for name in outputs])
        return self.whole(graph)

    def whole(self, graph: onnx.GraphProto) -> onnx.ModelProto:
        domains = {node.domain for node in graph.node} | {"own" for _ in self.functions}
        imports = [helper.make_opsetid("", self.opset)] + [
            helper.make_opsetid(name, 1) for name in sorted(domains - {""})
        ]
        return helper.make_model(graph, opset_imports=imports, functions=self.functions, ir_version=IR_VERSION)

    def info(self, name: str, dims: list[Any] | None) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(self.values[name].dtype)
        return helper.make_tensor_value_info(name, kind, dims)

    def pick(self, fits: Callable[[np.ndarray], bool] = lambda value: True) -> str:
        """The name of a float32 tensor."""
        names = [n for n, value in self.values.items() if value.dtype == np.float32 and value.size and fits(value)]
        if not names:
            raise Refused("nothing to pick")
        return self.chance.choice(names[-6:])

    def axes(self, op: str, tensor: str, axes: list[int], **attributes: Any) -> str:
        """A node whose axes are an input or an attribute, as the opset has it."""
        since = 13 if op in ("ReduceSum", "Squeeze", "Unsqueeze") else 18
        if self.opset >= since:
            return str(self.add(op, tensor, self.constant(axes), **attributes))
        return str(self.add(op, tensor, axes=axes, **attributes))

    def finished(self) -> onnx.ModelProto:
        """The whole model: what no node reads is an output, and one tensor in between."""
        made = [name for node in self.nodes if node.op_type != "Constant" for name in node.output]
        read = {name for node in self.nodes for name in node.input}
        outputs = [name for name in made if name not in read][-4:] + made[:1]
        infos = [self.info(name, dims) for name, (dims, _) in self.inputs.items()]
        results = [self.info(name, [None] * self.values[name].ndim) for name in dict.fromkeys(outputs)]
        return self.whole(helper.make_graph(self.nodes, "drawn", infos, results, self.constants))

    def sets(self) -> list[tuple[str, dict[str, np.ndarray]]]:
        """Inputs by what is remarkable about them."""
        kinds = ("zeros", "negative", "large", "special")
        found = [("ordinary", self.feeds(list(self.inputs)))]
        found += [(kind, self.drawn(kind, SIZES)) for kind in kinds]
        found += [("sizes" if all(sizes.values()) else "empty", self.drawn("ordinary", sizes)) for sizes in OTHER_SIZES]
        return found

    def drawn(self, kind: str, sizes: dict[str, int]) -> dict[str, np.ndarray]:
        made = {}
        for name, (dims, dtype) in self.inputs.items():
            value = self.numbers.standard_normal([sizes.get(dim, dim) for dim in dims])
            if np.dtype(dtype).kind != "f":
                made[name] = np.full(value.shape, 0, dtype)
                continue
            special = self.numbers.choice([np.nan, np.inf, -np.inf, -0.0, 1e-40, 1.0], value.shape)
            kinds = {"zeros": value * 0, "negative": -abs(value), "large": value * 1e4, "special": special}
            made[name] = kinds.get(kind, value).astype(dtype)
        return made


def draft(seed: int, pieces: Sequence[Callable[[Draft], Any]], most: int = 6) -> Draft:
    """A model of a few pieces drawn from `pieces`; the same for the same seed."""
    made = Draft(seed)
    for _ in range(made.chance.randint(1, 2)):
        dims = [made.chance.choice(["N", "M", 1, 2, 3, 4]) for _ in range(made.chance.randint(1, 4))]
        made.input(dims, made.numbers.standard_normal([SIZES.get(dim, dim) for dim in dims]).astype(np.float32))
    left = most
    for _ in range(8 * most):
        if not left:
            break
        before = (len(made.nodes), len(made.constants), set(made.values), dict(made.inputs))
        try:
            made.chance.choice(pieces)(made)
            left -= 1
        except (Refused, IndexError, ValueError):
            del made.nodes[before[0] :], made.constants[before[1] :]
            made.values = {name: value for name, value in made.values.items() if name in before[2]}
            made.inputs = before[3]
    return made


TYPES = (TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8, TensorProto.BOOL)
