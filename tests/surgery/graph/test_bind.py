"""Pinned shapes, inputs that become constants, other outputs, and the documented interface."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

import surgery
from verify.errors import SurgeonError
from verify.interface.spec import load_spec

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 4] x, int64 sr) => (float[n, 4] y, int64[1] d) <int64 k = {16000}> {
  c = Equal(sr, k)
  h = Relu(x)
  y = If(c) <then_branch = t () => (float[a, 4] p) { p = Neg(h) }, else_branch = e () => (float[b, 4] q) { q = Abs(h) }>
  d = Shape<end = 1>(x)
}"""


def fixed(**options: Any) -> onnx.ModelProto:
    return surgery.fix_model(onnx.parser.parse_model(TEXT), **options)[0]


def test_set_input_makes_a_constant_and_folds_what_follows() -> None:
    for value, op in ((16000, "Neg"), (8000, "Abs")):
        model = fixed(set_inputs={"sr": value})
        assert [info.name for info in model.graph.input] == ["x"]
        assert [node.op_type for node in model.graph.node] == ["Relu", "Shape", op] or [
            node.op_type for node in model.graph.node
        ] == ["Relu", op, "Shape"]


def test_input_shape_pins_dims() -> None:
    model = fixed(input_shapes={"x": (3, -1)})
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [3, 4]
    assert "Constant" in [node.op_type for node in model.graph.node]


def test_a_free_dim_takes_another_name() -> None:
    model = fixed(input_shapes={"x": ("rows", -1)})
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, dims[1].dim_value) == ("rows", 4)


def test_output_cuts() -> None:
    model = fixed(outputs=("h",))
    assert [info.name for info in model.graph.output] == ["h"]
    assert [node.op_type for node in model.graph.node] == ["Relu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set_inputs": {"rate": 1}}, "no input 'rate'"),
        ({"set_inputs": {"sr": "abc"}}, "cannot be"),
        ({"input_shapes": {"x": (1, 2, 3)}}, "has 2 dims"),
        ({"input_shapes": {"x": (1, 5)}}, "fixed at 4"),
        ({"input_shapes": {"x": (1, "k")}}, "fixed at 4 in dim 1, so it cannot be k; export the model with a free dim"),
        ({"outputs": ("nope",)}, "not in the model"),
        ({"outputs": ("p",)}, "inside a subgraph"),
        ({"target": "gpu"}, "unknown target"),
        ({"spec": "sam2"}, "no module of spec"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        fixed(**options)


def memory_encoder(names: list[str], dims: str) -> onnx.ModelProto:
    """A small graph with the interface of SAM2's memory encoder, under other names."""
    mask, pix, occ, features, positions, code = names
    return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 1, 1024, 1024] {mask}, float[1, 256, 64, 64] {pix}, float[1, 1] {occ}) =>
      (float[{dims}] {features}, float[1, m, 64] {positions}, float[7, 1, 1, 64] {code})
    <int64[3] s3 = {{1, 4096, 64}}, int64[4] s4 = {{1, 64, 64, 64}}, int64[1] a = {{0}}, int64[1] b = {{64}},
     int64[1] one = {{1}}, int64[4] st = {{7, 1, 1, 64}}> {{
      part = Slice({pix}, a, b, one)  {features} = Mul(part, {occ})
      {positions} = Reshape({features}, s3)
      {code} = ConstantOfShape(st)
    }}""")


def test_interface_comes_to_the_spec() -> None:
    spec = load_spec("sam2")["memory_encoder"]
    model = memory_encoder(
        ["mask_for_mem", "pix_feat", "occ_logit", "feats_0", "maskmem_pos_enc", "temporal_code"], "1, 64, h, w"
    )
    result, report = surgery.fix_model(model, spec=spec)
    assert [info.name for info in result.graph.input] == [port.name for port in spec.inputs]
    assert [info.name for info in result.graph.output] == [port.name for port in spec.outputs]
    shape = result.graph.output[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 64, 64, 64]
    assert next(check for check in report.checks if check.name == "parity").status == "pass"
    again, _ = surgery.fix_model(result, spec=spec)
    assert again is result
    made = {out for node in result.graph.node for out in node.output}
    assert "temporal_code" in made


NAMELESS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4] x) => (float[4] y) { [first] a = Identity(x) b = Identity(a) y = Neg(b) }"""


def test_a_node_is_skipped_by_the_name_that_diagnose_prints() -> None:
    model = onnx.parser.parse_model(NAMELESS)
    kept = surgery.fix_model(model, skip_nodes="node_of_b")[0].graph.node
    assert [(node.op_type, node.name) for node in kept if node.op_type == "Identity"] == [("Identity", "")]
    kept = surgery.fix_model(model, skip_nodes="first")[0].graph.node
    assert [node.name for node in kept if node.op_type == "Identity"] == ["first"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip_nodes": "frist"}, r"--skip-node 'frist': no node has this name; did you mean first\?"),
        ({"skip_nodes": "nothing like it"}, "no node has this name; the nodes are first, "),
        ({"outputs": "bb"}, r"--outputs 'bb': not in the model; did you mean b\?"),
    ],
)
def test_a_name_that_names_nothing_is_an_error_with_names_like_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SurgeonError, match=message):
        surgery.fix_model(onnx.parser.parse_model(NAMELESS), **options)
