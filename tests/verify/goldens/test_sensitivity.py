"""How many planted faults a golden catches: stored with it, shown, and wanted by `verify --strict`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from tests.verify.cli_models import write
from verify import record_golden, verify_model
from verify.errors import SurgeonError
from verify.faults.fixed import fixed_tensors, same_axes
from verify.faults.plant import KINDS, plant
from verify.goldens.index import read_index
from verify.goldens.quality.sensitivity import effect, share

Surgeon = Callable[..., tuple[int, str, str]]
HEADER = '<ir_version: 9, opset_import: ["" : 18]> '


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def model(text: str, **weights: Any) -> onnx.ModelProto:
    found = parser.parse_model(HEADER + text)
    found.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items())
    return found


def save(text: str, **weights: Any) -> Path:
    onnx.save(model(text, **weights), "m.onnx")
    return Path("m.onnx")


def random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def strict(**options: Any) -> dict[str, str]:
    report = verify_model("m.onnx", spec=None, goldens=["golden"], tensorrt=False, strict=True, **options)
    return {check.name: check.status for check in report.checks}


def test_a_golden_of_a_plain_model_catches_all() -> None:
    path = save("g (float[n,8] x) => (float[n,4] y) { a = MatMul(x, w)  y = Relu(a) }", w=random(8, 4))
    found = record_golden(path).golden.sensitivity
    assert found["planted"] >= 40
    assert share(found) == 1.0


def test_rows_that_no_input_reads_slip_and_are_named() -> None:
    path = save("g (int64[n] ids) => (float[n,4] y) { y = Gather<axis = 0>(t, ids) }", t=random(40, 4))
    record_golden(path, inputs={"ids": np.arange(5)})
    (golden,) = read_index(Path("golden"))
    assert 0.05 < (share(golden.sensitivity) or 0) < 0.7
    rows = [one for one in golden.sensitivity["slipped"] if one["kind"] == "a row of weights is zero"]
    assert rows
    assert all(
        one["why"] == "other inputs show it, those of the golden do not" for one in rows if "axis 0" in one["place"]
    )


def test_strict_wants_a_minimum() -> None:
    path = save("g (int64[n] ids) => (float[n,4] y) { y = Gather<axis = 0>(t, ids) }", t=random(40, 4))
    record_golden(path, inputs={"ids": np.arange(5)})
    assert strict()["golden sensitivity"] == "fail"
    assert strict(min_sensitivity=0.05)["golden sensitivity"] == "pass"
    record_golden(path, sizes={"ids": [64]}, seed=1)
    Path("golden/index.json").unlink()
    record_golden(path)
    assert strict()["golden sensitivity"] == "pass"


def test_a_golden_without_sensitivity_is_not_good_enough_for_strict() -> None:
    save("g (float[n,8] x) => (float[n,4] y) { y = MatMul(x, w) }", w=random(8, 4))
    record_golden("m.onnx")
    index = json.loads(Path("golden/index.json").read_text())
    del index["goldens"][0]["sensitivity"]
    Path("golden/index.json").write_text(json.dumps(index))
    assert strict()["golden sensitivity"] == "fail"


def test_an_index_with_impossible_numbers_is_refused() -> None:
    save("g (float[n,8] x) => (float[n,4] y) { y = MatMul(x, w) }", w=random(8, 4))
    record_golden("m.onnx")
    index = json.loads(Path("golden/index.json").read_text())
    index["goldens"][0]["sensitivity"]["caught"] = 1000
    Path("golden/index.json").write_text(json.dumps(index))
    with pytest.raises(SurgeonError, match="1000 of"):
        read_index(Path("golden"))


def test_the_same_seed_plants_the_same_faults() -> None:
    one = model("g (float[n,8] x) => (float[n,4] y) { a = MatMul(x, w)  y = Relu(a) }", w=random(8, 4))
    names = [[str(fault) for fault, _ in zip(plant(one, 3), range(20), strict=False)] for _ in range(2)]
    assert names[0] == names[1]
    assert len(set(names[0])) == 20


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_changes_the_copy_and_not_the_model(kind: str) -> None:
    """A model with something for every kind of fault."""
    text = (
        "g (float[n,4] x, int8[n,4] q) => (float[4,n] y, float[n,4] z) { a = MatMul(x, w)  b = Relu(a)  c = Sub(b, x) "
        "d = Transpose<perm = [1, 0]>(c)  i = Constant<value = int64[1] {0}>()  e = ReduceSum<keepdims = 1>(d, i) "
        "y = Sub(d, e)  p = DequantizeLinear(k, s)  u = Gemm<alpha = 0.5>(x, w, v)  z = Add(u, p) }"
    )
    weights = {"w": random(4, 4), "v": random(4), "k": np.arange(1, 5, dtype=np.int8), "s": np.float32(0.1)}
    weights["k"] = np.stack([weights["k"]] * 2)[:1]
    whole = model(text, **weights)
    before = whole.SerializeToString()
    found = [fault for fault, _ in zip(plant(whole, 1), range(120), strict=False) if fault.kind == kind]
    assert found
    assert all(fault.model.SerializeToString() != before for fault in found)
    assert whole.SerializeToString() == before


def test_what_provably_changes_nothing_is_not_a_fault_that_slipped() -> None:
    """A bias of zeros, a factor of one, a Relu after a Sigmoid, and shapes that are always the same."""
    text = (
        "g (float[2,8] x) => (float[2,8] y) { a = Gemm(x, w, zero)  b = Mul(a, one)  c = Sigmoid(b)  d = Relu(c) "
        "s = Shape(x)  i = Constant<value = int64[1] {1}>()  n = Gather<axis = 0>(s, i)  m = Concat<axis = 0>(i, n) "
        "k = Constant<value = int64[2] {2, 8}>()  y = Reshape(d, k) }"
    )
    path = save(text, w=random(8, 8), zero=np.zeros(8, np.float32), one=np.ones(8, np.float32))
    found = record_golden(path).golden.sensitivity
    assert found["slipped"] == []
    assert share(found) == 1.0


def test_fixed_tensors_follow_fixed_dims_only() -> None:
    one = model(
        "g (float[n,8] x) => (float[n,8] y) { s = Shape(x)  i = Constant<value = int64 {1}>()  w = Gather(s, i) "
        "j = Constant<value = int64 {0}>()  h = Gather(s, j)  f = Cast<to = 1>(w)  y = Mul(x, f) }"
    )
    assert {"w", "f"} <= fixed_tensors(one)
    assert not {"s", "h", "x", "y"} & fixed_tensors(one)


def test_axes_counted_from_the_other_end_are_the_same() -> None:
    def concat(axis: int) -> onnx.ModelProto:
        return model(f"g (float[2,8] x) => (float[2,16] y) {{ y = Concat<axis = {axis}>(x, x) }}")

    assert same_axes(concat(1), concat(-1))
    assert not same_axes(concat(1), concat(0))


def test_effect_looks_at_each_channel() -> None:
    right = np.asarray([[1000.0, 0.1], [1000.0, 0.2]], np.float32)
    wrong = right + np.asarray([0.0, 0.01], np.float32)
    assert effect(right, right) == 0.0
    assert effect(wrong, right) > 0.05
    assert effect(right.T.copy()[:1], right) == np.inf


def test_record_and_show_say_what_slips(surgeon: Surgeon) -> None:
    save("g (int64[n] ids) => (float[n,4] y) { y = Gather<axis = 0>(t, ids) }", t=random(40, 4))
    np.savez("in.npz", ids=np.arange(5))
    code, out, err = surgeon("golden", "record", "m.onnx", "--inputs", "in.npz", "-o", "golden")
    assert code == 0, err
    assert "planted faults (" in out
    assert "not caught: " in out
    _, shown, _ = surgeon("golden", "show", "golden")
    assert "planted faults (" in shown
    surgeon("verify", "m.onnx", "--spec", "none", "--no-trt", "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Planted faults that the golden does not catch" in page


def test_pyproject_sets_the_minimum(surgeon: Surgeon) -> None:
    save("g (int64[n] ids) => (float[n,4] y) { y = Gather<axis = 0>(t, ids) }", t=random(40, 4))
    record_golden("m.onnx", inputs={"ids": np.arange(5)})
    command = ("verify", "m.onnx", "--spec", "none", "--no-trt", "--no-cache")
    assert surgeon(*command)[0] == 0
    Path("pyproject.toml").write_text("[tool.surgeon.verify]\nmin-sensitivity = 0.95\n")
    assert surgeon(*command)[0] == 1


def test_a_model_with_weights_in_another_file() -> None:
    one = model("g (float[n,64] x) => (float[n,64] y) { y = MatMul(x, w) }", w=random(64, 64))
    onnx.save(one, "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert share(record_golden("m.onnx").golden.sensitivity) == 1.0


def test_writes_nothing_but_the_golden() -> None:
    path = write(Path("net.onnx"))
    before = path.read_bytes()
    record_golden(path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in Path().iterdir()) == ["golden", "net.onnx"]


def test_inputs_that_came_from_another_process_are_stored_as_they_are() -> None:
    """NumPy types that were pickled say that they are not built in."""
    import pickle

    save("g (int64[n] ids) => (float[n,4] y) { y = Gather<axis = 0>(t, ids) }", t=random(40, 4))
    record_golden("m.onnx", inputs=pickle.loads(pickle.dumps({"ids": np.arange(5)})))
    assert all(status == "pass" for status in strict(min_sensitivity=0.0).values())
