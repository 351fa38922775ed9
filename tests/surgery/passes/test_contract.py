"""What every pass in PIPELINE promises, tested for all of them, so that a new pass gets these tests for free."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import onnx
import pytest

import surgery
from surgery.guard.tolerances import difference
from surgery.guard.traits import random_outputs
from surgery.passes import PIPELINE, all_passes
from surgery.pipeline.rule import Pass
from tests.surgery.passes.comparing import Case, parse
from tests.surgery.passes.tables import CLEAN, files, models, path_of, patterns, rewrites
from verify.inputs.draw import draw_inputs
from verify.report import Report
from verify.run.session import open_session

HEADINGS = ("What it does:", "Why:", "Before → After:", "Leaves alone:", "Numerics:")
KINDS = {"cleanup", "replace", "speed", "interface", "chosen"}
ROOMS = ("cleanup", "tensorrt", "speed", "interface")
WITHOUT_TABLE = {"SG003", "SG301"}  # an unread initializer and a spec are not in ONNX text
PASSES = [pytest.param(rule, id=f"{rule.code}-{rule.name}") for rule in all_passes()]


def test_codes_and_names_are_unique() -> None:
    assert len({rule.code for rule in all_passes()}) == len(all_passes())
    assert len({rule.name for rule in all_passes()}) == len(all_passes())
    assert len(set(PIPELINE)) == len(PIPELINE)


@pytest.mark.parametrize("rule", PASSES)
def test_form(rule: Pass) -> None:
    assert re.fullmatch(r"SG[0-9]{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.kind in KINDS


@pytest.mark.parametrize("module", PIPELINE)
def test_docstring_has_the_headings(module: str) -> None:
    text = importlib.import_module(f"surgery.passes.{module}").__doc__ or ""
    places = [text.find(f"\n{heading}") for heading in HEADINGS]
    assert -1 not in places, f"missing: {[h for h, place in zip(HEADINGS, places, strict=True) if place < 0]}"
    assert places == sorted(places)


@pytest.mark.parametrize("module", PIPELINE)
def test_exact_passes_say_so_and_are_compared_bit_for_bit(module: str) -> None:
    """A pass is exact when its text says so without a condition, and never when it speaks of rounding first."""
    found = importlib.import_module(f"surgery.passes.{module}")
    numerics = (found.__doc__ or "").split("\nNumerics:")[1].strip()
    if re.match(r"exact[.:;]", numerics):
        assert found.PASS.exact
    elif not numerics.startswith("exact"):
        assert not found.PASS.exact


@pytest.mark.parametrize("module", PIPELINE)
def test_every_pass_has_a_test_file_of_its_own(module: str) -> None:
    rule = importlib.import_module(f"surgery.passes.{module}").PASS
    assert path_of(module).exists()
    assert [file.CODE for file in files([module])] == [rule.code]
    assert rule.name == module.rpartition(".")[2].replace("_", "-")


def test_every_test_file_belongs_to_a_pass() -> None:
    here = Path(__file__).parent
    assert {path for room in ROOMS for path in (here / room).rglob("*.py")} == {path_of(module) for module in PIPELINE}


def test_every_pass_has_a_model_that_it_rewrites() -> None:
    shown = {code for room in ROOMS for code, _ in rewrites(room)} | {code for code, _, _ in patterns()}
    assert {rule.code for rule in all_passes()} - shown <= WITHOUT_TABLE


@pytest.mark.parametrize(
    ("code", "case"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in rewrites("tensorrt")]
)
def test_a_target_that_takes_it_keeps_it(code: str, case: Case) -> None:
    rule = next(rule for rule in all_passes() if rule.code == code)
    _, report = surgery.fix_model(parse(case.text, case.opset), target="onnxruntime", guard=False)
    assert "Swish" in case.text or "SwiGLU" in case.text or rule.kind != "replace" or code not in found_by(report)


def found_by(report: Report) -> set[str]:
    """Codes of the passes that found something."""
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("rule", PASSES)
def test_clean_model_is_left_byte_identical(rule: Pass, tmp_path: Path) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(parse(CLEAN, 17), source)
    surgery.fix(source, target, select=(rule.code,))
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("rule", PASSES)
def test_interface_and_values_stay_and_a_second_run_finds_nothing(rule: Pass) -> None:
    for case, before in models("cleanup"):
        original = before.SerializeToString()
        fixed, _ = surgery.fix_model(before, select=(rule.code,), guard=False)
        assert before.SerializeToString() == original, case
        if fixed is before:
            continue
        assert interface(fixed) == interface(before) or rule.code == "SG302", case
        again, report = surgery.fix_model(fixed, select=(rule.code,), guard=False)
        assert again is fixed, f"{case}: {[finding.message for finding in report.findings]}"
        assert_same_values(before, fixed, rule, case)


def interface(proto: onnx.ModelProto) -> list[bytes]:
    """Names, order, types and dims of inputs and outputs."""
    return [info.SerializeToString() for info in (*proto.graph.input, *proto.graph.output)]


def assert_same_values(before: onnx.ModelProto, fixed: onnx.ModelProto, rule: Pass, case: str) -> None:
    inputs = draw_inputs(before, default_size=3, seed=5)
    for backend in ("onnxruntime", "reference"):  # the reference places automatic padding below zero elsewhere
        wanted = open_session(before, backend=backend).run(inputs)
        got = open_session(fixed, backend=backend).run(inputs)
        if not wanted.error and not got.error:
            break
    if wanted.error:  # a node that stands before the ones it reads from
        return
    assert not got.error, case
    for name in wanted.outputs.keys() - set(random_outputs(before)):
        trouble, _ = difference(wanted.outputs[name], got.outputs[name], exact=rule.exact)
        assert not trouble, f"{case}: {name} {trouble}"
