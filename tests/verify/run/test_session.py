"""Sessions to the letter: how a model is opened, what a run gives back, what is said when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from verify.errors import MissingBackend, SurgeonError
from verify.run import onnxruntime as runner_onnxruntime
from verify.run.session import one_line, open_session

HEADER = '<ir_version: 10, opset_import: ["" : 21]>'
X = np.array([1.0, -2.0], np.float32)


def model(text: str = "g (float[2] x) => (float[2] y, float[2] z) { y = Neg(x)  z = Abs(x) }") -> onnx.ModelProto:
    return parser.parse_model(HEADER + text)


@pytest.fixture
def external(tmp_path: Path) -> Path:
    made = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }")
    made.graph.initializer.append(numpy_helper.from_array(np.array([10.0, 20.0], np.float32), "w"))
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
@pytest.mark.parametrize("form", ["path", "text", "bytes", "proto"])
def test_every_form_of_a_model_runs_with_its_weights(external: Path, form: str, backend: str) -> None:
    proto = onnx.load(external, load_external_data=False)
    given: Any = {"path": external, "text": str(external), "bytes": external.read_bytes(), "proto": proto}[form]
    folder = None if form in ("path", "text") else external.parent
    session = open_session(given, backend=backend, base_dir=folder)
    run = session.run({"x": X})
    assert (session.error, run.error) == ("", "")
    assert run.outputs["y"].tolist() == [11.0, 18.0]
    assert run.backend == session.backend == {"reference": "onnx.reference"}.get(backend, backend)
    assert proto.graph.initializer[0].data_location == onnx.TensorProto.EXTERNAL


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_outputs_come_in_the_order_of_the_graph(backend: str) -> None:
    run = open_session(model(), backend=backend).run({"x": X})
    assert list(run.outputs) == ["y", "z"]
    assert [value.tolist() for value in run.outputs.values()] == [[-1.0, 2.0], [1.0, 2.0]]
    assert 0 < run.seconds < 30


def test_auto_falls_back_where_onnxruntime_cannot_load() -> None:
    assert open_session(model()).backend == "onnxruntime"
    text = "g (float[2] x) => (float[2] y) { y = own.Twice(x) }"
    made = parser.parse_model(HEADER.replace("21]", '21, "own" : 1]') + text)
    session = open_session(made)
    assert session.backend == "onnx.reference"
    assert session.error == "onnxruntime and onnx.reference: no operator own::Twice"
    alone = open_session(made, backend="onnxruntime")
    assert (alone.backend, bool(alone.error)) == ("onnxruntime", True)
    assert not alone.error.startswith("onnxruntime: ")
    only = open_session(made, backend="reference").error
    assert only.startswith("onnx.reference: ")
    with pytest.raises(SurgeonError, match="unknown backend 'cuda'; choose one of auto, onnxruntime, reference"):
        open_session(made, backend="cuda")


def test_failed_run_says_why_and_how_long() -> None:
    session = open_session(model())
    run = session.run({"x": np.zeros(3, np.float32)})
    assert run.outputs == {}
    assert run.backend == "onnxruntime"
    assert "\n" not in run.error
    assert run.seconds > 0
    assert session.run({"x": X}).error == ""


def test_settings_of_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen: list[Any] = []
    real = onnxruntime.InferenceSession

    def spy(source: Any, options: Any, providers: Any) -> Any:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads, options.graph_optimization_level,
                     options.log_severity_level, providers))  # fmt: skip
        return real(source, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    open_session(model())
    open_session(model(), optimize=True, threads=3, providers=("CPUExecutionProvider",))
    level = onnxruntime.GraphOptimizationLevel
    cpu = ["CPUExecutionProvider"]
    assert seen == [(1, 1, level.ORT_DISABLE_ALL, 4, cpu), (3, 1, level.ORT_ENABLE_ALL, 4, cpu)]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("bfloat16", ml_dtypes.bfloat16),
        ("float8e4m3fn", ml_dtypes.float8_e4m3fn),
        ("float8e5m2", ml_dtypes.float8_e5m2),
    ],
)
def test_types_that_numpy_lacks_go_in_and_come_out(kind: str, dtype: Any) -> None:
    text = f"g ({kind}[2,3] h, float[2] x) => ({kind}[2,3] a, float[2] b) {{ a = Identity(h)  b = Neg(x) }}"
    array = np.asarray([[1, 2.5, -3], [0.5, 4, 0]], np.float32).astype(dtype)
    for given in (array, np.asfortranarray(array)):
        run = open_session(model(text), backend="onnxruntime").run({"h": given, "x": X[::-1]})
        assert run.error == ""
        assert run.outputs["a"].dtype == dtype
        assert np.array_equal(run.outputs["a"], array)
        assert run.outputs["b"].tolist() == [2.0, -1.0]


def test_four_bits_are_not_handed_out() -> None:
    made = model("g (int8[2] x) => (int8[2] y) { y = Identity(x) }")
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.INT4
    run = open_session(made, backend="onnxruntime").run({"x": np.array([1, -8], ml_dtypes.int4)})
    assert run.outputs == {}
    assert run.error


@pytest.mark.parametrize(
    ("ort", "name"),
    [
        ("tensor(bfloat16)", "bfloat16"), ("tensor(float8e4m3fn)", "float8_e4m3fn"), ("tensor(int4)", "int4"),
        ("tensor(float8e4m3fnuz)", "float8_e4m3fnuz"), ("tensor(float8e5m2)", "float8_e5m2"),
        ("tensor(uint4)", "uint4"),
        ("tensor(float8e5m2fnuz)", "float8_e5m2fnuz"), ("tensor(float)", ""), ("seq(tensor(float))", ""),
    ],
)  # fmt: skip
def test_names_of_types(ort: str, name: str) -> None:
    assert runner_onnxruntime._bits(ort) == name


def test_errors_are_one_line_and_cut() -> None:
    assert one_line(ValueError("a\n  b\tc")) == "ValueError: a b c"
    assert one_line(KeyError("x" * 500), 20) == "KeyError: '" + "x" * 9
    assert len(one_line(ValueError("y" * 500))) == 300


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_run_within_its_time_is_whole(backend: str) -> None:
    session = open_session(model(), backend=backend)
    for _ in range(2):
        run = session.run({"x": X}, timeout=30)
        assert run.error == ""
        assert run.outputs["y"].tolist() == [-1.0, 2.0]


def test_time_that_ran_out_does_not_stop_the_next_run() -> None:
    text = """g (float[1] x, bool go) => (float[1] y) {
      y = Loop(, go, x) <body = b (int64 i, bool c, float[1] a) => (bool d, float[1] e) { d = Identity(c) e = Neg(a) }>
    }"""
    session = open_session(model(text), backend="reference")
    one = np.ones(1, np.float32)
    assert "TimeoutError" in session.run({"x": one, "go": np.array(True)}, timeout=0.2).error
    assert session.run({"x": one, "go": np.array(False)}).error == ""


def test_numbers_that_overflow_raise_no_warning() -> None:
    with np.errstate(all="raise"):
        run = open_session(model("g (float[2] x) => (float[2] y) { y = Sqrt(x) }"), backend="reference").run({"x": X})
    assert run.error == ""
    assert np.isnan(run.outputs["y"][1])


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_ai_onnx_names_the_default_domain_too(backend: str) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["ai.onnx" : 17]> g (float[1] x) => (float[1] y) { a = Neg(x) y = Neg(a) }'
    )
    model.graph.node[1].domain = "ai.onnx"
    run = open_session(model, backend=backend).run({"x": np.ones(1, "f")})
    assert (run.error, run.outputs.get("y")) == ("", np.ones(1))


def test_a_provider_that_is_absent_is_a_missing_backend() -> None:
    with pytest.raises(MissingBackend, match="onnxruntime has no CUDAExecutionProvider here; it has"):
        open_session(model(), providers=("CUDAExecutionProvider",))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_falls_back_to_the_cpu_is_a_missing_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime built for CUDA has the provider, and without a GPU runs on the CPU without an error."""
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    with pytest.raises(MissingBackend, match="CUDAExecutionProvider"):
        open_session(model(), providers=("CUDAExecutionProvider",))
