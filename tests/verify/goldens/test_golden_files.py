"""What a golden is recorded with and what its files hold, down to the inputs each type is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from verify.errors import SurgeonError
from verify.goldens import check as golden_check
from verify.goldens import compare as golden_compare
from verify.goldens import index as golden
from verify.goldens import record as golden_record
from verify.goldens.cases import plans
from verify.goldens.check import check_golden
from verify.goldens.record import record
from verify.goldens.runs import nudge
from verify.interface.spec import load_spec
from verify.run.session import open_session

HEADER = '<ir_version: 11, opset_import: ["" : 23]>'
NEGATION = "g (float[N] x) => (float[N] y) { y = Neg(x) }"


def build(path: Path, text: str = NEGATION) -> onnx.ModelProto:
    model = parser.parse_model(HEADER + text)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return model


def test_index_holds_no_empty_fields_and_says_what_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_record, "PACKAGES", ("onnx", "surely-not-installed"))
    path = tmp_path / "net.onnx"
    made = record(path, build(path), tmp_path / "golden", seed=3).golden
    (entry,) = json.loads((tmp_path / "golden" / "index.json").read_text())["goldens"]
    for case in entry["cases"]:
        for tensor in (*case["inputs"], *case["outputs"]):
            assert None not in tensor.values()
            assert "" not in tensor.values()
    assert entry["cases"][0]["inputs"][0]["drawn"] == {"kind": "normal", "seed": "3/normal/x"}
    assert made.made_by["surely-not-installed"] == "unknown"
    assert made.made_by["onnx"] == onnx.__version__
    assert (made.made_by["seed"], made.made_by["outputs"]) == ("3", "the model itself")
    assert golden.read_index(tmp_path / "golden") == [made]


def test_name_of_the_data_is_cut_to_what_file_systems_take(tmp_path: Path) -> None:
    path = tmp_path / ("deep/" * 10 + "very long " * 10 + "name.onnx")
    data = record(path, build(path), tmp_path / "golden").golden.data
    assert data.endswith(".npz")
    assert len(data) == 100 + len("-01234567.npz")
    assert set(data) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_order_of_the_index_is_by_name(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        path = tmp_path / f"{name}.onnx"
        record(path, build(path), tmp_path / "golden")
    assert [made.id for made in golden.read_index(tmp_path / "golden")] == ["../a.onnx", "../b.onnx", "../c.onnx"]


@pytest.mark.parametrize(("elements", "fits"), [(1 << 28, True), ((1 << 28) + 1, False), (0, True)])
def test_largest_tensor_of_an_index(tmp_path: Path, elements: int, fits: bool) -> None:
    path = tmp_path / "net.onnx"
    record(path, build(path), tmp_path / "golden")
    index = tmp_path / "golden" / "index.json"
    content = json.loads(index.read_text())
    content["goldens"][0]["cases"][0]["inputs"][0]["shape"] = [elements]
    index.write_text(json.dumps(content))
    if fits:
        assert golden.read_index(tmp_path / "golden")[0].cases[0].inputs[0].shape == (elements,)
    else:
        with pytest.raises(SurgeonError, match="not a golden index"):
            golden.read_index(tmp_path / "golden")


def test_model_that_no_longer_runs_at_some_size_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    made = record(path, build(path), tmp_path / "golden").golden
    broken = build(path, "g (float[N] x) => (float[N] y) <int64[1] s = {3}> { a = Reshape(x, s)  y = Neg(a) }")
    (check,) = check_golden(path, broken, made)
    assert (check.status, len(check.figures["not_run"])) == ("fail", 4)  # the cases with a batch of one
    assert check.figures["not_run"][0].startswith("the model cannot be run (batch of one): ")


def test_each_case_runs_unoptimised_on_one_thread_and_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    model = build(path)
    made = record(path, model, tmp_path / "golden").golden
    asked: list[Any] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        asked.append(options)
        return open_session(*arguments, **options)

    monkeypatch.setattr(golden_compare, "open_session", spy)
    for count, threads in ((5, 5), (None, 1)):
        monkeypatch.setattr(golden_check.os, "cpu_count", lambda count=count: count)
        asked.clear()
        assert check_golden(path, model, made)[0].status == "pass"
        assert asked == [{"optimize": True, "threads": threads}, {}]


def test_model_that_cannot_be_loaded_is_a_failure_too(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    made = record(path, build(path), tmp_path / "golden").golden
    (check,) = check_golden(path, build(path, NEGATION.replace("Neg", "NoSuchOperator")), made)
    assert check.status == "fail"
    assert check.message.startswith("the model cannot be run: ")


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("int4", -8, 7), ("uint4", 0, 15), ("int2", -2, 1), ("uint2", 0, 3), ("uint8", 0, 255), ("int8", 0, 9),
     ("int64", 0, 9), ("uint16", 0, 9), ("bool", 0, 1)],
)  # fmt: skip
def test_whole_numbers_are_drawn_over_what_their_type_holds(kind: str, low: int, high: int) -> None:
    model = parser.parse_model(HEADER + "g (bool[3] x) => (float y) { y = Cast<to=1>(x) }")
    number = onnx.TensorProto.DataType.Value(kind.upper())
    model.graph.input[0].type.tensor_type.elem_type = number
    (plan,) = plans(model, {}, 1, {})[0]
    assert plan.drawn["x"] == {"kind": "integers", "seed": "1/normal/x", "low": low, "high": high}
    assert plan.dtypes["x"] == kind


def test_inputs_that_the_graph_confines_keep_to_it() -> None:
    model = parser.parse_model(
        HEADER + "g (float[3] x, float s, uint8 z, int64[2] at) => (uint8[3] y, float[2] f) "
        "{ y = QuantizeLinear(x, s, z)  f = Gather(x, at) }"
    )
    (plan,) = plans(model, {}, 1, {})[0]
    assert plan.drawn["s"] == {"kind": "uniform", "seed": "1/normal/s", "low": 0.01, "high": 1.0}
    assert (plan.drawn["at"]["low"], plan.drawn["at"]["high"]) == (0, 2)
    assert plan.drawn["x"] == {"kind": "normal", "seed": "1/normal/x"}


def test_every_free_dim_gets_another_size_and_one_case_a_batch_of_one() -> None:
    text = "g (float[N,3,H,W] x, float[N,T,3] z) => (float[N,3,H,W] y) { y = Neg(x) }"
    cases = plans(parser.parse_model(HEADER + text), {}, 1, {})
    several, one = cases[0][0], cases[1][0]
    assert several.shapes == {"x": (3, 3, 40, 48), "z": (3, 5, 3)}
    assert one.shapes == {"x": (1, 3, 48, 32), "z": (1, 6, 3)}
    assert all(side >= 32 for plan in (several, one) for side in plan.shapes["x"][2:])
    assert [plan.shapes["x"] for plan in cases[0]][-1] == (4, 3, 4, 4)  # what is tried last


def test_a_shape_that_is_given_holds_for_every_input_with_the_dim() -> None:
    model = parser.parse_model(HEADER + "g (float[N,3] x, float[N] z) => (float[N,3] y) { y = Neg(x) }")
    cases = plans(model, {}, 1, {"x": (7, 3)})
    assert {plan.shapes["x"] for case in cases for plan in case} == {(7, 3)}
    assert {plan.shapes["z"] for case in cases for plan in case} == {(7,)}


def test_sizes_are_tried_until_the_model_runs(tmp_path: Path) -> None:
    """A model that wants sides that are multiples of 32, as a network of five halvings does."""
    path = tmp_path / "net.onnx"
    text = (
        "g (float[N,1,H,W] x) => (float[N,1,A,B] y) <int64[4] blocks = {0, 1, -1, 1024}, int64[1] axis = {3}> "
        "{ r = Reshape(x, blocks)  y = ReduceMax(r, axis) }"
    )
    made = record(path, build(path, text), tmp_path / "golden").golden
    sides = {case.name: case.inputs[0].shape for case in made.cases}
    assert sides["normal"] == (3, 1, 64, 96)
    assert sides["batch of one"] == (1, 1, 96, 64)


def _encoder(image_size: int, **dims: Any) -> onnx.ModelProto:
    """A model with the inputs of the memory encoder, with `dims` in place of some of them."""
    spec = load_spec(image_size=image_size, batch="dynamic")["memory_encoder"]
    ports = [onnx.helper.make_tensor_value_info(p.name, 1, dims.get(p.name, list(p.dims))) for p in spec.inputs]
    node = onnx.helper.make_node("Neg", [ports[0].name], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "m", ports, [onnx.ValueInfoProto(name="y")]))


def test_cases_of_the_spec_must_fit_the_model() -> None:
    metadata = {"spec": "sam2", "module": "memory_encoder", "image_size": "256"}
    (free,) = plans(_encoder(256), metadata, 5, {})[0]
    name = next(iter(free.shapes))
    assert free.drawn[name]["seed"] == f"5/memory_encoder/{name}"
    shape = free.shapes[name]
    assert plans(_encoder(256, **{name: list(shape)}), metadata, 5, {})
    for wrong in ([*shape, 1], [*shape[:-1], shape[-1] + 1]):
        with pytest.raises(SurgeonError, match="no case of spec sam2 fits the input shapes of this memory_encoder"):
            plans(_encoder(256, **{name: wrong}), metadata, 5, {})


def test_a_case_of_the_spec_with_values_at_which_operators_change() -> None:
    metadata = {"spec": "sam2", "module": "memory_encoder", "image_size": "256"}
    cases = {plan.name: plan for (plan,) in plans(_encoder(256), metadata, 5, {})}
    plain, edges = cases["occ_logit=-1.5"].arrays(), cases["occ_logit=-9 edges=1"].arrays()
    assert (float(plain["occ_logit"].max()), float(edges["occ_logit"].max())) == (-1.5, -9.0)
    assert not np.any(plain["pix_feat"] == 0.0)
    assert {0.0, -6.0, 4.5} <= set(edges["pix_feat"].reshape(-1).tolist())
    same = edges["mask_for_mem"] == plain["mask_for_mem"]  # still a mask
    assert 0.97 < same.mean() < 0.99
    assert 0.0 in edges["mask_for_mem"][~same]


def test_fractions_are_nudged_up_as_often_as_down() -> None:
    array = np.linspace(0.1, 0.9, 2000, dtype=np.float32)
    moved = nudge({"x": array})["x"]
    up, down = np.nextafter(array, np.float32(np.inf)), np.nextafter(array, np.float32(-np.inf))
    assert ((moved == up) | (moved == down)).all()
    assert 0.45 < (moved == up).mean() < 0.55
