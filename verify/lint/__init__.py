"""The lint of the file itself: every breach of the ONNX specification at once; onnx.checker stops at the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from verify.lint import graph_rules, model_rules, node_rules, tensor_rules
from verify.lint.rule import Rule, as_finding
from verify.lint.scope import scopes

if TYPE_CHECKING:
    import onnx

    from verify.render.rule_text import RuleText
    from verify.report import Finding

__all__ = ["RULES", "Rule", "lint", "rule_texts"]

RULES: tuple[Rule, ...] = (*model_rules.RULES, *graph_rules.RULES, *node_rules.RULES, *tensor_rules.RULES)


def lint(model: onnx.ModelProto) -> list[Finding]:
    """Every breach of the ONNX specification that can be seen without running the model, in the order of the file.

    Weights in other files are not read. The model may hold anything that protobuf can read.
    """
    return list(_findings(model))


def rule_texts() -> dict[str, RuleText]:
    """The text of every rule by its code."""
    from verify.render.rule_text import RuleText

    return {
        rule.code: RuleText(rule.code, rule.name, rule.title, rule.fixable, "lint", {"What to do": rule.advice})
        for rule in RULES
    }


def _findings(model: onnx.ModelProto) -> Iterator[Finding]:
    of_model = [rule for rule in RULES if rule.of == "model"]
    of_scope = [rule for rule in RULES if rule.of != "model"]
    for rule in of_model:
        yield from (as_finding(rule, breach, "") for breach in rule.find(model))
    for scope in scopes(model):
        for rule in of_scope:
            yield from (as_finding(rule, breach, scope.path) for breach in rule.find(scope))
