"""What a finding promises of `surgeon fix`, and how much of a long name a message shows."""

from __future__ import annotations

import pytest

from tests.verify.lint.models import changed
from tests.verify.lint.test_lint import CASES
from tests.verify.lint.test_lint_messages import lines
from verify.lint import lint


def test_fix_is_promised_for_unsorted_nodes_alone() -> None:
    found = [finding for models in CASES.values() for model in models for finding in lint(model)]
    assert {finding.code for finding in found if finding.details["fixable"]} == {"SG712"}
    assert all(finding.details["fixable"] for finding in found if finding.code == "SG712")


@pytest.mark.parametrize(("length", "shown"), [(80, f"'{'R' * 80}'"), (81, f"'{'R' * 80}...' (81 characters)")])
def test_names_of_80_characters_are_whole(length: int, shown: str) -> None:
    model = changed(lambda m: setattr(m.graph.node[0], "op_type", "R" * length))
    assert lines(model, "SG732") == [f"node_of_a: version 18 of ai.onnx has no operator {shown}"]
