"""Rules of a graph: names, order, and what it declares of its inputs, outputs and initializers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from verify.lint.rule import Breach, Rule, Scope, shown
from verify.lint.scope import BEFORE
from verify.model.walk import initializer_names

FREE_INITIALIZERS_SINCE = 4  # the IR version from which an initializer need not be an input


def graph_without_name(scope: Scope) -> Iterator[Breach]:
    if not scope.graph.name:
        yield Breach("the function has no name" if scope.is_function else "the graph has no name")


def value_without_name(scope: Scope) -> Iterator[Breach]:
    if scope.is_function:
        return
    for kind in ("input", "output", "initializer"):
        count = sum(not value.name for value in getattr(scope.graph, kind))
        if count:
            yield Breach(f"{count} {kind}{'s' if count > 1 else ''} without a name")


def not_sorted(scope: Scope) -> Iterator[Breach]:
    for place, node in enumerate(scope.graph.node):
        for name in dict.fromkeys(filter(None, node.input)):
            if not scope.visible(name, place) and name in scope.made:
                yield Breach(f"reads {shown(name)}, which a later node computes", node)


def not_made(scope: Scope) -> Iterator[Breach]:
    for place, node in enumerate(scope.graph.node):
        for name in dict.fromkeys(filter(None, node.input)):
            if name not in scope.made and not scope.visible(name, place):
                yield Breach(f"reads {shown(name)}, which does not exist", node)


def output_not_made(scope: Scope) -> Iterator[Breach]:
    outputs = scope.graph.output if scope.is_function else [value.name for value in scope.graph.output]
    for name in dict.fromkeys(filter(None, outputs)):
        if name not in scope.made and (scope.is_main or not scope.around(name)):
            yield Breach(f"nothing computes the output {shown(name)}")


def made_twice(scope: Scope) -> Iterator[Breach]:
    makers: dict[str, int] = {name: 1 for name, place in scope.made.items() if place == BEFORE}
    for node in scope.graph.node:
        for name in filter(None, node.output):
            makers[name] = makers.get(name, 0) + 1
            if makers[name] == 2:
                before = "an input or initializer" if scope.made[name] == BEFORE else "another node"
                yield Breach(f"makes {shown(name)}, which {before} makes too", node)


def listed_twice(scope: Scope) -> Iterator[Breach]:
    for kind in ("input", "initializer"):
        values = getattr(scope.graph, kind, ())
        names = Counter(value if scope.is_function else value.name for value in values)
        for name, count in names.items():
            if name and count > 1:
                yield Breach(f"{count} {kind}s have the name {shown(name)}")


def shadows(scope: Scope) -> Iterator[Breach]:
    for name in scope.made:
        if name and scope.around(name):
            yield Breach(f"{shown(name)} is the name of a tensor of the graph around it, too")


def node_name_twice(scope: Scope) -> Iterator[Breach]:
    for name, count in Counter(node.name for node in scope.graph.node if node.name).items():
        if count > 1:
            yield Breach(f"{count} nodes have the name {shown(name)}")


def untyped(scope: Scope) -> Iterator[Breach]:
    if not scope.is_main:
        return
    for kind in ("input", "output"):
        for value in getattr(scope.graph, kind):
            which = value.type.WhichOneof("value")
            if which is None:
                yield Breach(f"{kind} {shown(value.name)} has no type")
            elif which == "tensor_type" and not value.type.tensor_type.elem_type:
                yield Breach(f"{kind} {shown(value.name)} has no element type")


def initializer_not_input(scope: Scope) -> Iterator[Breach]:
    if scope.is_function or not 0 < scope.model.ir_version < FREE_INITIALIZERS_SINCE:
        return
    for name in sorted(filter(None, initializer_names(scope.graph) - {value.name for value in scope.graph.input})):
        yield Breach(f"initializer {shown(name)} is no input, as IR version {scope.model.ir_version} wants it")


def initializer_differs(scope: Scope) -> Iterator[Breach]:
    if scope.is_function:
        return
    inputs = {value.name: value.type.tensor_type for value in scope.graph.input}
    for tensor in scope.graph.initializer:
        declared = inputs.get(tensor.name)
        if declared is None:
            continue
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in declared.shape.dim]
        fits = len(dims) == len(tensor.dims) and all(
            wanted in (None, has) for wanted, has in zip(dims, tensor.dims, strict=True)
        )
        if declared.elem_type and declared.elem_type != tensor.data_type:
            yield Breach(f"initializer {shown(tensor.name)} has another element type than the input of its name")
        elif declared.HasField("shape") and not fits:
            yield Breach(f"initializer {shown(tensor.name)} has other dims than the input of its name")


RULES = (
    Rule(
        "SG710",
        "graph-without-name",
        "Every graph and every function has a name.",
        "Give the graph or function a name.",
        graph_without_name,
    ),
    Rule(
        "SG711",
        "value-without-name",
        "Every input, output and initializer has a name.",
        "Export again; a tensor without a name cannot be read.",
        value_without_name,
    ),
    Rule(
        "SG712",
        "unsorted-nodes",
        "A node comes after the nodes whose outputs it reads.",
        "Sort the nodes.",
        not_sorted,
        fixable=True,
    ),
    Rule(
        "SG713",
        "undefined-tensor",
        "A node reads inputs, initializers, outputs of other nodes, and what graphs around it offer.",
        "Export again, or correct the name: the tensor does not exist.",
        not_made,
    ),
    Rule(
        "SG714",
        "undefined-output",
        "A graph computes each of its outputs.",
        "Export again, or remove the output.",
        output_not_made,
    ),
    Rule(
        "SG715",
        "tensor-made-twice",
        "Every tensor of a graph has one definition (static single assignment).",
        "Rename one of the two tensors, also where nodes read it.",
        made_twice,
    ),
    Rule(
        "SG716",
        "name-listed-twice",
        "Inputs have distinct names, and so have initializers.",
        "Rename or remove one of them.",
        listed_twice,
    ),
    Rule(
        "SG717",
        "shadowed-name",
        "A graph inside a node does not use a name of the graph around it for another tensor.",
        "Rename the inner tensor.",
        shadows,
    ),
    Rule(
        "SG718",
        "node-name-twice",
        "Nodes of a graph that have names have distinct names.",
        "Rename them: messages and --skip-node refer to nodes by name.",
        node_name_twice,
        severity="warning",
    ),
    Rule(
        "SG719",
        "untyped-interface",
        "Every input and output of the main graph has a type.",
        "Export again, or declare the type.",
        untyped,
    ),
    Rule(
        "SG720",
        "initializer-not-input",
        "Before IR version 4 every initializer is an input, too.",
        "Set ir_version to 4 or later.",
        initializer_not_input,
    ),
    Rule(
        "SG721",
        "initializer-differs-from-input",
        "An initializer is the default of the input of its name, and has its type and dims.",
        "Correct the type of the input, or export again.",
        initializer_differs,
    ),
)
