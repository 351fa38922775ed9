"""What `verify_model` says of one model, check by check, with a TensorRT that answers what the test wants."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser

import verify
from tests.verify.cli_models import decoder
from verify import record_golden, verify_model
from verify.errors import CheckFailed, MissingBackend, SurgeonError
from verify.interface.recognise import write_metadata
from verify.interface.spec import Spec, load_spec
from verify.report import Check, Report
from verify.tensorrt import engine
from verify.tensorrt.engine import BuildResult, Refusal

RELU = '<ir_version: 8, opset_import: ["" : 17]> m (float[N,3] x) => (float[N,3] y) { y = Relu(x) }'
POINTS = {"x": ((1, 3), (4, 3), (9, 3))}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.onnx"
    onnx.save(parser.parse_model(RELU), path)
    return path


def judged(path: Path, **options: Any) -> dict[str, Check]:
    """Checks by name, the golden's left out."""
    checks = verify_model(path, **{"spec": None, **options}).checks
    return {check.name: check for check in checks if check.name != "golden"}


def fake(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> list[Any]:
    asked: list[Any] = []

    def build(path: Path, profiles: Any, **_: Any) -> BuildResult:
        asked.append(profiles)
        return BuildResult(**{"ok": True, "seconds": 1.256, "engine_bytes": 5_240_000, **answer})

    monkeypatch.setattr(engine, "build", build)
    monkeypatch.setattr(engine, "version", lambda: "tensorrt 9")
    return asked


GUESSED = "--input-shape x:1x3..4x3..9x3"


@pytest.mark.parametrize(
    ("answer", "sizes"),
    [
        ({"profiles": POINTS, "derived": True}, f", at guessed sizes only: {GUESSED}"),
        ({"profiles": POINTS, "derived": False}, ""),
        ({"profiles": {}, "derived": True}, ""),
        (
            {"profiles": {**POINTS, "z": ((5,), (5,), (5,))}, "derived": True},
            f", at guessed sizes only: {GUESSED} --input-shape z:5",
        ),
    ],
)
def test_engine_that_builds(model: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, sizes: str) -> None:
    fake(monkeypatch, **answer)
    checks = judged(model)
    assert list(checks) == ["onnx", "tensorrt parser", "tensorrt builder"]
    assert all(check.status == "pass" for check in checks.values())
    assert checks["tensorrt parser"].message == "accepted by tensorrt 9"
    assert checks["tensorrt builder"].message == f"engine of 5.2 MB in 1.3 s{sizes}"
    figures = {"version": "tensorrt 9", "seconds": 1.26, "engine_bytes": 5_240_000}
    assert checks["tensorrt builder"].figures.items() >= figures.items()


@pytest.mark.parametrize(
    ("messages", "said"),
    [((), "no engine, and no reason given"), (("too\n  large", "more"), "too large"), (("x" * 500,), "x" * 400)],
)
def test_engine_that_does_not_build(
    model: Path, monkeypatch: pytest.MonkeyPatch, messages: tuple[str, ...], said: str
) -> None:
    fake(monkeypatch, ok=False, messages=messages, profiles=POINTS, derived=False)
    checks = judged(model)
    assert checks["tensorrt parser"].status == "pass"
    assert checks["tensorrt builder"].status == "fail"
    assert checks["tensorrt builder"].message == f"{said}; surgeon diagnose explains"


def test_failing_at_guessed_sizes_is_a_warning_unless_strict(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, ok=False, messages=("no",), profiles=POINTS, derived=True)
    said = f"sizes unknown, give --input-shape; does not build at guessed sizes ({GUESSED}): no"
    for strict, status in ((False, "skip"), (True, "fail")):
        check = judged(model, strict=strict)["tensorrt builder"]
        assert (check.status, check.message) == (status, said)


def test_library_that_ends_before_it_answers_accepts_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, ok=False, parsed=False, messages=("TensorRT's process ended with code -11",))
    checks = judged(model)
    assert list(checks) == ["onnx", "tensorrt"]
    assert (checks["tensorrt"].status, checks["tensorrt"].message) == (
        "fail",
        "TensorRT's process ended with code -11",
    )


def test_profiles_that_name_no_input_are_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch)
    with pytest.raises(SurgeonError, match=r"m\.onnx has no input 'image'; it has x"):
        judged(model, profiles={"image": POINTS["x"]})


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        ([Refusal("A", 0, "n", "Odd", "not\nknown")], "Odd n: not known; surgeon diagnose explains"),
        ([Refusal("A", message="no")], "no; surgeon diagnose explains"),
        ([Refusal("A", op="Odd", message="false")], "Odd: TensorRT gives no reason; surgeon diagnose explains"),
        ([Refusal("A", message="no", tensor="x")], "x: no; surgeon diagnose explains"),
        (
            [Refusal("A", op="Odd", message="no"), Refusal("B"), Refusal("C")],
            "Odd: no (and 2 more); surgeon diagnose explains",
        ),
    ],
)
def test_refusal(model: Path, monkeypatch: pytest.MonkeyPatch, refusals: list[Refusal], said: str) -> None:
    fake(monkeypatch, ok=False, refusals=tuple(refusals))
    checks = judged(model)
    assert list(checks) == ["onnx", "tensorrt parser"]
    assert (checks["tensorrt parser"].status, checks["tensorrt parser"].message) == ("fail", said)


def test_tensorrt_left_out_absent_or_asked_for(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BACKENDS", {})
    assert list(judged(model, tensorrt=False)) == ["onnx"]
    skipped = judged(model)["tensorrt"]
    assert (skipped.status, skipped.figures) == ("skip", {"missing": True})
    with pytest.raises(MissingBackend):
        judged(model, tensorrt=True)


def test_profiles_come_from_the_caller_else_from_the_spec(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake(monkeypatch)
    judged(model, profiles=POINTS)
    judged(model)
    judged(decoder(), spec="sam2")
    spec = load_spec()["mask_decoder"]
    wanted = {name: (profile.min, profile.opt, profile.max) for name, profile in spec.profiles().items()}
    assert asked == [POINTS, None, wanted]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (("Relu", "Unheard"), "skip", "No Op registered for Unheard"),
        (("Relu(x)", "Relu(z)"), "fail", "z"),
        (("", ""), "pass", "well-formed"),
    ],
)
def test_form(model: Path, change: tuple[str, str], status: str, said: str) -> None:
    onnx.save(parser.parse_model(RELU.replace(*change)), model)
    check = judged(model, tensorrt=False)["onnx"]
    assert check.status == status
    assert said in check.message
    assert "\n" not in check.message
    assert len(check.message) <= 300


def test_golden_that_was_never_recorded(model: Path) -> None:
    def golden(**options: Any) -> Check:
        checks = verify_model(model, spec=None, tensorrt=False, **options).checks
        (check,) = (check for check in checks if check.name == "golden")
        return check

    assert (golden().status, golden(strict=True).status) == ("skip", "skip")
    assert golden().message == "none recorded for this model; see surgeon golden record --help"
    proto = onnx.load(model)
    write_metadata(proto, {"module": "decoder", "checkpoint": "0123456789" * 5, "precision": "fp16", "opset": "17"})
    onnx.save(proto, model)
    assert golden().message.startswith("none recorded for decoder fp16 01234567890123456789; see")
    folder = model.parent / "recorded"
    folder.mkdir()
    (folder / "index.json").write_text('{"format": 1, "goldens": []}')
    assert golden(goldens=(folder,)).status == "skip"
    assert golden(goldens=(folder,), strict=True).status == "fail"


def test_an_extra_check_comes_last_and_gets_path_metadata_and_spec(model: Path) -> None:
    given: list[Any] = []

    def extra(path: Path, metadata: Mapping[str, str], spec: Spec | None) -> Check:
        given.append((path, dict(metadata), spec.module if spec else None))
        return Check("extra", "pass", "fine")

    report = verify_model(model, spec=None, tensorrt=False, extra_check=extra)
    assert report == Report(str(model), report.checks)
    assert [check.name for check in report.checks] == ["onnx", "golden", "extra"]
    verify_model(decoder(), tensorrt=False, extra_check=extra)
    assert given == [(model, {}, None), (Path("mask_decoder.onnx"), {}, "mask_decoder")]


def test_module_is_recognised_by_more_than_half_of_its_ports(model: Path) -> None:
    ports = [port.name for port in load_spec()["mask_decoder"].ports]
    half = {name: f"other_{name}" for name in ports[: len(ports) // 2]}
    checks = judged(decoder(**half), spec="sam2", tensorrt=False)
    assert checks["module"].message == "says it is the mask_decoder, but has 50% of its inputs and outputs"
    del half[ports[0]]
    checks = judged(decoder(**half), spec="sam2", tensorrt=False)
    assert "module" not in checks
    assert f"input {ports[1]}" in checks


def test_exit_codes_of_errors() -> None:
    assert [error("x").exit_code for error in (SurgeonError, MissingBackend, CheckFailed)] == [2, 4, 1]


def test_the_package_offers_both_functions_and_loads_them_late(tmp_path: Path) -> None:
    code = (
        "import sys, verify; early = 'verify.api' in sys.modules; from verify import record_golden, verify_model;"
        "import verify.api; print(early, verify.verify_model is verify.api.verify_model, 'onnx' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "True", "False"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        print(verify.nothing)


def test_no_module_hides_an_exported_function() -> None:
    modules = {path.stem for path in Path(verify.__file__).parent.iterdir()}
    assert not modules & set(verify.__all__)


def test_record_then_verify_by_the_public_functions(model: Path) -> None:
    recording = record_golden(model, "recorded", sizes={"x": (2, 3)})
    golden = recording.golden
    assert repr(recording).startswith(f"<golden of {golden.id} in recorded: {len(golden.cases)} cases; catches ")
    assert "\n" not in repr(recording)
    assert len(repr(recording)) < 200
    assert golden.cases[0].inputs[0].shape == (2, 3)
    good = verify_model(model, spec=None, goldens=["recorded"], tensorrt=False)
    assert [(check.name, check.status) for check in good.checks] == [("onnx", "pass"), ("golden", "pass")]
    onnx.save(parser.parse_model(RELU.replace("Relu", "Abs")), model)
    assert verify_model(model, spec=None, goldens=["recorded"], tensorrt=False).exit_code == 1
    without = verify_model(model, spec=None, goldens=None, tensorrt=False)
    assert [check.name for check in without.checks] == ["onnx"]


def test_a_spec_of_one_module_can_be_given_as_it_is(model: Path) -> None:
    path, spec = decoder(), load_spec()["mask_decoder"]
    by_name, given = (verify_model(path, spec=which, goldens=None, tensorrt=False) for which in ("sam2", spec))
    assert given.checks == by_name.checks
    checks = verify_model(model, spec=spec, goldens=None, tensorrt=False).checks
    assert checks[-1].message == "says it is the mask_decoder, but has 0% of its inputs and outputs"


def test_a_model_in_memory_cannot_be_recorded() -> None:
    with pytest.raises(SurgeonError, match="path: give the path of a model, not ModelProto; save a model in memory"):
        verify.record_golden(onnx.ModelProto())  # type: ignore[arg-type]
