"""Small models for the tests of the lint."""

from __future__ import annotations

from collections.abc import Callable

import onnx

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


GOOD = "g (float[2] x) => (float[2] y) { a = Relu(x)  y = Neg(a) }"


BRANCHES = """g (bool c, float[2] x) => (float[2] y) {{ a = Relu(x)
  y = If (c) <then_branch = t () => (float[2] {made}) {{ {made} = Neg({read}) }},
              else_branch = e () => (float[2] w) {{ w = Abs(x) }}> }}"""


Change = Callable[[onnx.ModelProto], object]


def parsed(graph: str, head: str = HEAD) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"{head} {graph}")


def changed(change: Change, graph: str = GOOD) -> onnx.ModelProto:
    model = parsed(graph)
    change(model)
    return model


def weights(**fields: object) -> onnx.ModelProto:
    """A model whose initializer `w` of two floats has these fields instead of its own."""
    model = parsed("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    tensor = model.graph.initializer[0]
    for name, value in fields.items():
        tensor.ClearField(name)
        getattr(tensor, name).extend(value) if isinstance(value, list) else setattr(tensor, name, value)
    return model


def attribute(model: onnx.ModelProto, **fields: object) -> None:
    """Give the last node an attribute with these fields."""
    made = model.graph.node[-1].attribute.add()
    for name, value in fields.items():
        setattr(made, name, value)


def function(version: int, count: int = 1) -> onnx.ModelProto:
    body = parsed("g (float[2] x) => (float[2] y) { y = Neg(x) }").graph.node
    model = parsed("g (float[2] x) => (float[2] y) { y = mine.Twice(x) }", HEAD.replace("18]", '18, "mine" : 1]'))
    for _ in range(count):
        imports = [onnx.helper.make_opsetid("", 18)]
        model.functions.append(onnx.helper.make_function("mine", "Twice", ["x"], ["y"], body, imports))
    model.ir_version = version
    return model


def without_ir_version() -> onnx.ModelProto:
    model = weights()
    model.ClearField("ir_version")
    return model


def function_not_imported() -> onnx.ModelProto:
    model = function(8)
    del model.opset_import[1]
    return model


def before_ir_4() -> onnx.ModelProto:
    model = weights()
    model.ir_version = 3
    return model


def default_of_another_shape() -> onnx.ModelProto:
    model = weights()
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [3]))
    return model
