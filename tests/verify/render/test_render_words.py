"""What a reader of the HTML page reads: verdict, tables, figures and cards, with the markup taken away."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tests.verify.render.report_samples import RULES, refused, sample
from verify.render import data
from verify.render.page import to_html
from verify.report import Check, Finding, Report


def words(html: str) -> str:
    """Cells are separated by " | ", everything else by a space."""
    html = re.sub(r"<style>.*?</style>|<head>.*?</head>", "", html, flags=re.S)
    html = re.sub(r"</t[dh]>\s*<t[dh][^>]*>", " | ", html)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html))).strip()


def page(*reports: Report) -> str:
    return words(to_html(reports, title="Title", rules=RULES))


def report(name: str = "m.onnx", statuses: str = "", severities: str = "") -> Report:
    checks = [Check("one", status, "says") for status in statuses.split()]  # type: ignore[arg-type]
    findings = [Finding("SG001", f"m{i}", severity=s) for i, s in enumerate(severities.split())]  # type: ignore[arg-type]
    return Report(name, checks, findings)


@pytest.mark.parametrize(
    ("reports", "verdict"),
    [
        ([], "0 models: nothing was checked."),
        ([report(statuses="pass")], "1 model: all checks passed."),
        ([report(statuses="pass fail skip")], "1 model: 1 of 1 failed, 1 check skipped."),
        ([report(statuses="pass skip"), report()], "2 models: all checks that ran passed, 1 check skipped."),
        ([report(statuses="skip skip"), report()], "2 models: nothing was checked, 2 checks skipped."),
        ([report(severities="warning"), report()], "2 models: no errors."),
        ([report(severities="error"), report()], "2 models: 1 of 2 failed, 1 error."),
        ([report(severities="error error warning note")], "1 model: 1 of 1 failed, 2 errors."),
    ],
)
def test_verdict(reports: list[Report], verdict: str) -> None:
    assert verdict in page(*reports)


def test_contents_say_what_was_found_in_each_model() -> None:
    text = page(
        report("a.onnx", "pass", "error warning note"), report("b.onnx"), report("c.onnx", "fail pass fail", "note")
    )
    assert "result | model | what was found" in text
    assert "FAIL | a.onnx | 1 error, 2 warnings and notes" in text
    assert "pass | b.onnx | nothing" in text
    assert "FAIL | c.onnx | 2 checks failed, 1 warning or note" in text


def test_checks_with_their_figures() -> None:
    figures = {"seconds": 1.23456789, "cases": 2, "tensors": {}, "list": [1], "backend": "onnxruntime"}
    text = page(Report("m.onnx", [Check("golden", "fail", "y: off", figures), Check("onnx", "pass", "fine")]))
    assert "Checks Checks result | check | what it says" in text
    assert "FAIL | golden | y: off figures seconds 1.23457 cases 2 backend onnxruntime" in text
    assert re.search(r"pass \| onnx \| fine(?! figures)", text)
    assert "Checks" not in page(report())


def test_table_of_tensors() -> None:
    bars = {"edges": [0, 1, 2], "counts": [3, 4]}
    rows: dict[str, Any] = {
        "y": {"max_abs": 0.123456, "worst": [1, 2], "nan_mismatch": 0, "inf_mismatch": 0, "dtype": "float32",
              "size": "12", "histogram": bars},
        "z": {"max_abs": 2.0, "nan_mismatch": 3, "inf_mismatch": 0, "extra": 7, "dtype": "int64", "size": "inf"},
    }  # fmt: skip
    html = page_of({"tensors": rows})
    text = words(html)
    assert "Error of each tensor (golden) Error of each tensor (golden) tensor | max_abs | nan_mismatch" in text
    assert "tensor | max_abs | nan_mismatch | dtype | size | extra" in text
    assert "y | 0.123 | 0 | float32 | 12 |" in text
    assert "z | 2 | 3 | int64 | inf | 7" in text
    assert html.count("<figure>") == 1
    assert "y : elements by size of error" in text
    kinds = re.findall(r'<th scope="col" class="(\w+)">(\w+)', html)
    assert kinds == [("word", "tensor"), ("number", "max_abs"), ("number", "nan_mismatch"), ("word", "dtype"),
                     ("number", "size"), ("number", "extra")]  # fmt: skip
    assert "Error of each tensor" not in page_of({"tensors": {}})
    assert 'class="histograms"' not in page_of({"tensors": {"z": rows["z"]}})


def page_of(figures: dict[str, Any]) -> str:
    return to_html([Report("m.onnx", [Check("golden", "pass", "", figures)])], title="Title", rules={})


def test_operators_before_and_after() -> None:
    text = words(page_of({"op_counts": {"before": {"Constant": 12, "Add": 9, "Mul": 1},
                                        "after": {"Add": 8, "Gelu": 1, "Mul": 1}}}))  # fmt: skip
    assert (
        "Nodes of each operator Nodes of each operator operator | before | after | change all | 22 | 10 | -12 "
        "Constant | 12 | 0 | -12 Add | 9 | 8 | -1 Gelu | 0 | 1 | +1 Mul | 1 | 1 | 0"
    ) in text
    order = words(page_of({"op_counts": {"before": {"A": 1, "B": 5}, "after": {"B": 4, "C": 1}}}))
    assert "A | 1 | 0 | -1 B | 5 | 4 | -1 C | 0 | 1 | +1" in order
    assert "Nodes of each operator" not in page_of({"op_counts": {}})


def test_card_of_one_finding() -> None:
    text = page(Report("m.onnx", [], [refused()]))
    finding = refused()
    head = f"Findings error SG114 LayerNormalization {finding.message} surgeon fix repairs it TensorRT-RTX only"
    assert head in text
    assert "node If_7 -> else_branch -> /decoder/LayerNormalization_3 inputs x float32[1, 4096, 256]" in text
    assert "scale ?[?] outputs y float32[batch, ?, 256]" in text
    for label, body in (("from", finding.where), ("why", finding.why), ("do", finding.advice)):
        assert f"{label} {body}" in text
    assert f"says {finding.details['says']}" in text
    assert "Neighbourhood of /decoder/LayerNormalization_3" in text
    assert "the same as a list Add → LayerNormalization: float32[1, 4096, 256]" in text
    assert "About SG114 LayerNormalization with more than one output. What it does drops the outputs" in text


def test_card_of_several_findings_lists_their_nodes() -> None:
    group = [refused(node, details={"flags": ["--a", "--b"]}, path="") for node in ("n1", "n2", "n3")]
    text = page(Report("m.onnx", [], group))
    assert "3 nodes n1 n2 n3 from sam2/modeling/sam/mask_decoder.py:153" in text
    assert text.count("mask_decoder.py:153") == 1
    assert "flags --a --b" in text
    assert "surgeon fix repairs it" not in text
    assert "inputs" not in text


def test_long_list_of_nodes_is_folded() -> None:
    def card(count: int) -> str:
        group = [refused(f"n{i}", details={}, path="") for i in range(count)]
        return to_html([Report("m.onnx", [], group)], title="t", rules={})

    assert "<summary>4 more</summary><pre>n8\nn9\nn10\nn11</pre>" in card(12)
    assert "12 nodes n0 n1 n2 n3 n4 n5 n6 n7 4 more n8 n9 n10 n11" in words(card(12))
    assert "more</summary>" not in card(8)


def test_drawings_after_the_first_are_folded() -> None:
    html = to_html([Report("m.onnx", [], [refused(f"n{i}") for i in range(42)])], title="t", rules={})
    assert html.count("<summary>Neighbourhood of ") == 39
    assert html.count("<svg") == 40
    without = to_html(
        [Report("m.onnx", [], [refused(details={"neighbourhood": {"nodes": [], "edges": []}})])], title="t", rules={}
    )
    assert "<svg" not in without


def test_finding_refused_in_company_names_it() -> None:
    text = page(Report("m.onnx", [], [refused(details={"together_with": ["p", "q"]})]))
    assert "with p q" in text


def test_version_of_a_bare_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> str:
        raise data.PackageNotFoundError

    monkeypatch.setattr(data, "version", absent)
    assert data.tool_version() == "0"


def test_exit_codes_and_data_of_reports() -> None:
    assert [item.exit_code for item in sample()] == [0, 1]
    assert report(statuses="skip pass", severities="warning note").exit_code == 0
    assert report(statuses="fail").exit_code == 1
    assert report(severities="error").exit_code == 1


def test_characters_that_steer_are_shown_as_escapes() -> None:
    steering = [*range(9), *range(11, 32), 127, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    for code in steering:
        html = to_html([report(f"a{chr(code)}b")], title="t", rules={})
        assert f"a\\u{code:04x}b" in html
        assert chr(code) not in html
    for code in (9, 10, 32, 126, 128, 0x200D, 0x2010, 0x2029, 0x202F, 0x2065, 0x206A):
        assert f"a{chr(code)}b" in to_html([report(f"a{chr(code)}b")], title="t", rules={})
