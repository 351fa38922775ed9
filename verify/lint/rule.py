"""What a rule of the lint is: a code, its texts, and a function that looks at one part of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verify.lint.scope import Scope
from verify.report import Finding, Severity

if TYPE_CHECKING:
    import onnx

SHOWN = 80  # characters of a name in a message


@dataclass(frozen=True)
class Breach:
    """One place that breaks a rule: the message, and the node where there is one."""

    message: str
    node: onnx.NodeProto | None = None


@dataclass(frozen=True)
class Rule:
    """One rule of the ONNX specification.

    code      stable, "SG711"
    name      what is wrong, in words joined by hyphens
    title     one sentence
    advice    what to do
    find      yields the breaches: given the model for `of` "model", else the scope of each graph and function body
    fixable   whether `surgeon fix` writes a model without the breach
    severity  "warning" if onnx.checker and the runtimes accept the breach
    """

    code: str
    name: str
    title: str
    advice: str
    find: Callable[[Any], Iterator[Breach]]
    of: str = "scope"
    fixable: bool = False
    severity: Severity = "error"


def as_finding(rule: Rule, breach: Breach, path: str) -> Finding:
    """The breach as a finding of the rule."""
    node = breach.node
    return Finding(
        rule.code,
        breach.message,
        node="" if node is None else name_of(node),
        op="" if node is None else operator_of(node),
        path=path,
        why=rule.title,
        advice=rule.advice,
        severity=rule.severity,
        details={"fixable": rule.fixable},
    )


def text(value: str | bytes) -> str:
    """A string of the model; protobuf returns text that is not UTF-8 as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def shown(value: str | bytes) -> str:
    """A name in quotes, shortened if it is long."""
    whole = text(value)
    return f"'{whole}'" if len(whole) <= SHOWN else f"'{whole[:SHOWN]}...' ({len(whole):,} characters)"


def name_of(node: onnx.NodeProto) -> str:
    """The node's name, else its first output or its operator."""
    made = next((text(name) for name in node.output if name), text(node.op_type))
    return text(node.name) or f"node_of_{made}"


def operator_of(node: onnx.NodeProto) -> str:
    """The operator, with its domain unless that is ONNX's own."""
    domain = text(node.domain)
    return text(node.op_type) if domain in ("", "ai.onnx") else f"{domain}::{text(node.op_type)}"


__all__ = ["Breach", "Rule", "Scope", "as_finding", "name_of", "operator_of", "shown", "text"]
